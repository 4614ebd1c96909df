/**
 * Constraints on jobs (RFC 43): which jobs a request is for.
 *
 *     {"and": [{"userid": [42]}, {"or": [{"states": ["pending"]}, {"t_inactive": [">=1795261259.0"]}]}]}
 *
 * A constraint is compiled once for a request. Beside its test it says in which states jobs may pass at all, so that lists
 * without such jobs are not walked.
 */

import { FluxError } from '../../core/errno.ts';
import { Hostlist } from '../../core/formats/hostlist.ts';
import { IdSet } from '../../core/formats/idset.ts';
import { JobResult, JobState, resultBit, stateBits } from '../../core/formats/job-state.ts';
import type { JsonValue } from '../../core/json.ts';
import { USERID_UNKNOWN } from '../../core/message/credentials.ts';
import { isObject } from '../../core/message/unpack.ts';
import type { Job } from './job.ts';

export interface Constraint {
  /** @throws FluxError EINVAL: the request costs more comparisons than it may */
  test(job: Job): boolean;
  /** States, as bits, in which a job may pass. */
  readonly possible: number;
  /** States in which all jobs pass. */
  readonly certain: number;
}

export interface ConstraintLimits {
  /** Comparisons that the request may cost; 0: any number. */
  readonly comparisonsMax: number;
  /** Hosts, or ranks, that one constraint may name. */
  readonly hostsMax: number;
  /** The parent of a virtual queue, whose jobs are jobs of its parent, too. */
  readonly parents: ReadonlyMap<string, string>;
}

/** Nested deeper than this, a constraint is taken for a mistake. */
const DEPTH_MAX = 100;

const ALL = JobState.active | JobState.inactive;

/**
 * Compiles a constraint; undefined and the empty object let all jobs pass.
 *
 * @throws FluxError EINVAL: what is wrong in it
 */
export function compileConstraint(constraint: JsonValue | undefined, limits: ConstraintLimits): Constraint {
  const counter = new ComparisonCounter(limits.comparisonsMax);
  return compile(constraint, { limits, counter }, 1);
}

class ComparisonCounter {
  readonly #max: number;
  #count = 0;

  constructor(max: number) {
    this.#max = max || Infinity;
  }

  add(comparisons = 1): void {
    this.#count += comparisons;
    if (this.#count > this.#max)
      throw new FluxError('EINVAL', 'Excessive comparisons made, limit search via states or since');
  }
}

interface Compilation {
  readonly limits: ConstraintLimits;
  readonly counter: ComparisonCounter;
}

type Values = readonly JsonValue[];
type Operator = (values: Values, compilation: Compilation, depth: number) => Constraint;

function compile(constraint: JsonValue | undefined, compilation: Compilation, depth: number): Constraint {
  if (depth > DEPTH_MAX) throw invalid('constraint is nested too deep');
  if (constraint !== undefined && !isObject(constraint)) throw invalid('constraint must be JSON object');
  const entries = Object.entries(constraint ?? {});
  if (entries.length > 1) throw invalid('constraint must only contain 1 element');
  const [entry] = entries;
  if (!entry) return leaf(compilation, () => true, ALL, ALL);
  const [name, values] = entry;
  if (!Array.isArray(values)) throw invalid(`operator ${name} values not an array`);
  const operator = Object.hasOwn(operators, name) ? operators[name] : undefined;
  if (!operator) throw invalid(`unknown constraint operator: ${name}`);
  return operator(values, compilation, depth);
}

/** A test that costs one comparison. */
function leaf({ counter }: Compilation, test: (job: Job) => boolean, possible = ALL, certain = 0): Constraint {
  return {
    test(job) {
      counter.add();
      return test(job);
    },
    possible,
    certain,
  };
}

// ---- values

/** Whether one of the values fits; each that is looked at is a comparison. */
function anyOf<T>(values: readonly T[], { counter }: Compilation, fits: (job: Job, value: T) => boolean): Constraint {
  return {
    test(job) {
      for (const value of values) {
        counter.add();
        if (fits(job, value)) return true;
      }
      return false;
    },
    possible: ALL,
    certain: 0,
  };
}

function userids(values: Values): number[] {
  return values.map((value) => {
    if (!Number.isInteger(value) && typeof value !== 'bigint') throw invalid('userid value must be an integer');
    return Number(BigInt.asUintN(32, BigInt(value as number | bigint)));
  });
}

function strings(values: Values, name: string): string[] {
  return values.map((value) => {
    if (typeof value !== 'string') throw invalid(`${name} value must be a string`);
    return value;
  });
}

/** The bits of names or numbers. */
function bits(values: Values, name: string, valid: number, bitsOf: (text: string) => number | undefined): number {
  return values.reduce<number>((mask, value) => {
    if (typeof value === 'string') {
      const named = bitsOf(value);
      if (named === undefined) throw invalid(`invalid ${name} value '${value}' specified`);
      return mask | named;
    }
    if (typeof value !== 'number' || !Number.isInteger(value)) throw invalid(`${name} value invalid type`);
    if (value < 0 || value > valid)
      throw invalid(`invalid ${name} value '${(value >>> 0).toString(16).toUpperCase()}h' specified`);
    return mask | value;
  }, 0);
}

const STATES = JobState.new | ALL;
const RESULTS = Object.values(JobResult).reduce((all, bit) => all | bit, 0);

// ---- hosts and ranks

/**
 * A test of a text that many jobs have in common, such as a nodelist; what comes of it is remembered for each text.
 *
 * `look` says what the test found, and how many comparisons it made.
 */
function testOnce(
  { counter }: Compilation,
  textOf: (job: Job) => string | undefined,
  look: (text: string) => { readonly found: boolean; readonly comparisons: number },
): Constraint {
  const known = new Map<string, ReturnType<typeof look>>();
  return {
    test(job) {
      const text = textOf(job);
      if (text === undefined) return false;
      let result = known.get(text);
      if (!result) {
        result = look(text);
        known.set(text, result);
      }
      counter.add(result.comparisons);
      return result.found;
    },
    possible: ALL,
    certain: 0,
  };
}

function hostlist(values: Values, compilation: Compilation): Constraint {
  let hosts = Hostlist.empty;
  for (const value of values) {
    if (typeof value !== 'string') throw invalid('host value must be a string');
    hosts = hosts.append(
      parsed(
        () => Hostlist.parse(value),
        () => 'host value not in valid Hostlist format',
      ),
    );
  }
  if (hosts.count > compilation.limits.hostsMax) throw invalid('too many hosts specified');
  const names = hosts.expand();
  return testOnce(
    compilation,
    (job) => job.nodelist,
    (text) => {
      const nodelist = Hostlist.parse(text);
      const place = names.findIndex((name) => nodelist.has(name));
      return { found: place >= 0, comparisons: place < 0 ? names.length : place + 1 };
    },
  );
}

function ranks(values: Values, compilation: Compilation): Constraint {
  let wanted = IdSet.empty;
  for (const value of values) {
    if (typeof value !== 'string') throw invalid('ranks value must be a string');
    wanted = wanted.union(
      parsed(
        () => IdSet.parse(value),
        ({ message }) => `ranks value '${value}': ${message}`,
      ),
    );
  }
  if (wanted.count > compilation.limits.hostsMax) throw invalid('too many ranks specified');
  return testOnce(
    compilation,
    (job) => job.ranks,
    (text) => {
      const set = IdSet.parse(text);
      return { found: set.intersects(wanted), comparisons: Math.min(set.count, wanted.count) };
    },
  );
}

function parsed<T>(parse: () => T, sentence: (cause: Error) => string): T {
  try {
    return parse();
  } catch (cause) {
    throw new FluxError('EINVAL', sentence(cause as Error), { cause });
  }
}

// ---- times

type Time = (job: Job) => number | undefined;

/** A time that a job has once it was in a state. */
function since(state: number, time: (job: Job) => number): Time {
  return (job) => (job.states & state ? time(job) : undefined);
}

/** A job's time of a state that it may come into more than once: of the first time. */
function first(time: (job: Job) => number): Time {
  return (job) => time(job) || undefined;
}

const { depend, run, cleanup, inactive } = JobState;

/** Times by name, with the states in which jobs may have them. */
const times: Readonly<Record<string, { readonly time: Time; readonly possible: number }>> = {
  t_submit: { time: (job) => job.submitted, possible: ALL },
  t_depend: {
    time: (job) => (job.submitVersion < 1 ? job.submitted : job.states & depend ? job.depended : undefined),
    possible: ALL,
  },
  t_priority: { time: first((job) => job.prioritized), possible: ALL & ~depend },
  // A job may lose its priority again.
  t_sched: { time: first((job) => job.scheduled), possible: ALL & ~depend },
  t_run: { time: since(run, (job) => job.ran), possible: run | cleanup | inactive },
  t_cleanup: { time: since(cleanup, (job) => job.cleaned), possible: cleanup | inactive },
  t_inactive: { time: since(inactive, (job) => job.ended), possible: inactive },
};

const comparisons: Readonly<Record<string, (a: number, b: number) => boolean>> = {
  '>=': (a, b) => a >= b,
  '<=': (a, b) => a <= b,
  '>': (a, b) => a > b,
  '<': (a, b) => a < b,
};

function timestamp(name: string): Operator {
  const { time, possible } = times[name]!;
  return ([value], compilation) => {
    if (value === undefined) throw invalid('timestamp value not specified');
    if (typeof value !== 'string') throw invalid(`${name} value must be a string`);
    const [, sign, text] = /^([<>]=?)(.*)$/s.exec(value) ?? [];
    if (sign === undefined || text === undefined) throw invalid('timestamp comparison operator not specified');
    const limit = Number(text);
    if (Number.isNaN(limit) || /\s$/.test(text)) throw invalid('Invalid timestamp value specified');
    if (limit < 0) throw invalid('timestamp value must be >= 0.0');
    const holds = comparisons[sign]!;
    return leaf(
      compilation,
      (job) => {
        const at = time(job);
        return at !== undefined && holds(at, limit);
      },
      possible,
    );
  };
}

// ---- operators

function operandsOf(values: Values, compilation: Compilation, depth: number): Constraint[] {
  return values.map((value) => compile(value, compilation, depth + 1));
}

function allOf(operands: readonly Constraint[]): Constraint {
  return {
    test: (job) => operands.every((operand) => operand.test(job)),
    possible: operands.reduce((states, { possible }) => states & possible, ALL),
    certain: operands.reduce((states, { certain }) => states & certain, ALL),
  };
}

const operators: Readonly<Record<string, Operator>> = {
  userid: (values, compilation) =>
    anyOf(userids(values), compilation, (job, userid) => userid === USERID_UNKNOWN || userid === job.userid),
  name: (values, compilation) => anyOf(strings(values, 'name'), compilation, (job, name) => name === job.name),
  queue: (values, compilation) => {
    const { parents } = compilation.limits;
    return anyOf(
      strings(values, 'queue'),
      compilation,
      ({ queue }, name) => queue !== undefined && (queue === name || parents.get(queue) === name),
    );
  },
  states: (values, compilation) => {
    const mask = bits(values, 'states', STATES, stateBits);
    return leaf(compilation, (job) => (mask & job.state) !== 0, mask & ALL, mask & ALL);
  },
  results: (values, compilation) => {
    const mask = bits(values, 'results', RESULTS, resultBit);
    return leaf(compilation, (job) => job.state === inactive && (mask & job.result) !== 0, inactive);
  },
  hostlist,
  ranks,
  ...Object.fromEntries(Object.keys(times).map((name) => [name, timestamp(name)])),
  and: (values, compilation, depth) => allOf(operandsOf(values, compilation, depth)),
  or: (values, compilation, depth) => {
    const operands = operandsOf(values, compilation, depth);
    if (operands.length === 0) return allOf([]);
    return {
      test: (job) => operands.some((operand) => operand.test(job)),
      possible: operands.reduce((states, { possible }) => states | possible, 0),
      certain: operands.reduce((states, { certain }) => states | certain, 0),
    };
  },
  not: (values, compilation, depth) => {
    const all = allOf(operandsOf(values, compilation, depth));
    return { test: (job) => !all.test(job), possible: ALL & ~all.certain, certain: ALL & ~all.possible };
  },
};

function invalid(sentence: string): FluxError {
  return new FluxError('EINVAL', sentence);
}
