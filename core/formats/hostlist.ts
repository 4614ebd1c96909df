/**
 * Hostlists: ordered lists of host names, repeats allowed, written `node[01-16],login` (RFC 29).
 *
 * A hostlist never changes once made; `append`, `sort` and their like return another one.
 * Inside it is a list of runs, each a name, or a prefix with consecutive numbers of one zero-padded width. Work is
 * proportional to the runs wherever names need not be spelled out, and the text shows the runs one to one.
 */

import { FluxError } from '../errno.ts';
import {
  appendRun,
  commonWidth,
  compareRuns,
  hostCount,
  nameIn,
  numbersOf,
  offsetIn,
  padded,
  type Run,
  runOfName,
  runWithout,
} from './host-run.ts';

/** More hosts than this in the ranges of one text are taken for a mistake; Flux has that limit for each range. */
export const HOSTS_MAX = 2 ** 20;

/** With this few runs a search walks them; with more it indexes all names first. A guess; `find` would measure it. */
const WALKED_RUNS_MAX = 16;
/** Unless the runs are longer than this on average, for the index would outgrow the list. */
const INDEXED_LENGTH_MAX = 16;

export class Hostlist implements Iterable<string> {
  static readonly empty = new Hostlist([]);

  /** How many hosts the list holds, repeats counted. */
  readonly count: number;
  readonly #runs: readonly Run[];
  #positions: Map<string, number> | undefined;

  private constructor(runs: readonly Run[]) {
    this.#runs = runs;
    this.count = runs.reduce((count, run) => count + hostCount(run), 0);
  }

  /**
   * Reads a hostlist: names and `prefix[ids]suffix` forms between commas, blanks or tabs; empty text is the empty list.
   *
   * Throws FluxError EINVAL that names the part with unbalanced brackets or a bad range (RFC 29).
   */
  static parse(text: string): Hostlist {
    const runs: Run[] = [];
    let room = HOSTS_MAX;
    for (const expression of expressionsOf(text)) room -= appendExpression(runs, expression, room);
    return new Hostlist(runs);
  }

  /** The list of the names given, in their order; names are taken literally, brackets and all. */
  static from(names: Iterable<string>): Hostlist {
    const runs: Run[] = [];
    for (const name of names) appendRun(runs, runOfName(name));
    return new Hostlist(runs);
  }

  get first(): string | undefined {
    return this.nth(0);
  }

  get last(): string | undefined {
    return this.nth(this.count - 1);
  }

  /** The host at a position, counted from 0, or undefined when the list is shorter. */
  nth(position: number): string | undefined {
    if (position < 0) return undefined;
    let before = 0;
    for (const run of this.#runs) {
      const count = hostCount(run);
      if (position < before + count) return nameIn(run, position - before);
      before += count;
    }
    return undefined;
  }

  /** The first position at which the list has a host of this name, or undefined. */
  find(name: string): number | undefined {
    const { length } = this.#runs;
    if (length > WALKED_RUNS_MAX && this.count <= length * INDEXED_LENGTH_MAX) {
      this.#positions ??= indexNames(this);
      return this.#positions.get(name);
    }
    let before = 0;
    for (const run of this.#runs) {
      const offset = offsetIn(run, name);
      if (offset !== undefined) return before + offset;
      before += hostCount(run);
    }
    return undefined;
  }

  has(name: string): boolean {
    return this.find(name) !== undefined;
  }

  /** The first position of each of `hosts`, in their order; throws FluxError ENOENT that names the ones not found. */
  index(hosts: Hostlist): number[] {
    const names = hosts.expand();
    const missing = Hostlist.from(names.filter((name) => !this.has(name)));
    if (missing.count) throw new FluxError('ENOENT', `host${missing.count > 1 ? 's' : ''} '${missing}' not found`);
    return names.map((name) => this.find(name)!);
  }

  /** The hosts at the positions given, in that order; throws FluxError ENOENT for a position the list lacks. */
  pick(positions: Iterable<number>): Hostlist {
    const names = this.expand();
    return Hostlist.from(
      Array.from(positions, (position) => {
        const name = names[position];
        if (name === undefined) throw new FluxError('ENOENT', 'Hostlist index out of range');
        return name;
      }),
    );
  }

  *[Symbol.iterator](): Generator<string> {
    for (const run of this.#runs) for (let i = 0; i < hostCount(run); i++) yield nameIn(run, i);
  }

  expand(): string[] {
    return [...this];
  }

  /** This list with `other` behind it. */
  append(other: Hostlist): Hostlist {
    const runs = [...this.#runs];
    for (const run of other.#runs) appendRun(runs, run);
    return new Hostlist(runs);
  }

  /** This list without the first host of each name in `hosts`; a name given twice goes twice, others are passed over. */
  delete(hosts: Hostlist): Hostlist {
    const doomed = new Map<string, number>();
    for (const name of hosts) doomed.set(name, (doomed.get(name) ?? 0) + 1);
    return new Hostlist(this.#runs.flatMap((run) => runWithout(run, doomed)));
  }

  /** Ordered by prefix, then number; unlike `uniq` repeats are kept, and written one by one: `foo[1,1-3]`. */
  sort(): Hostlist {
    if (this.#runs.length <= 1) return this;
    const runs: Run[] = [];
    for (const overlapping of overlaps(this.#runs.toSorted(compareRuns))) {
      for (const run of interleave(overlapping)) appendRun(runs, run);
    }
    return new Hostlist(runs);
  }

  /** Sorted, each host once. */
  uniq(): Hostlist {
    if (this.#runs.length <= 1) return this;
    const runs: Run[] = [];
    for (const run of this.#runs.toSorted(compareRuns)) {
      const before = runs.at(-1);
      const width = before && commonWidth(before, run);
      if (width === undefined || before!.last < run.first - 1) runs.push(run);
      else runs[runs.length - 1] = { ...before!, last: Math.max(before!.last, run.last), width };
    }
    return new Hostlist(runs);
  }

  /** The list as text: consecutive hosts of one prefix share their brackets, `foo[1-3,7],login`. */
  encode(): string {
    const parts: string[] = [];
    for (let i = 0; i < this.#runs.length; ) {
      const { prefix, width } = this.#runs[i]!;
      const numbers: string[] = [];
      do numbers.push(numbersOf(this.#runs[i++]!));
      while (width && this.#runs[i]?.width && this.#runs[i]!.prefix === prefix);
      const list = numbers.join(',');
      parts.push(/[,-]/.test(list) ? `${prefix}[${list}]` : prefix + list);
    }
    return parts.join(',');
  }

  toString(): string {
    return this.encode();
  }
}

function indexNames(hosts: Hostlist): Map<string, number> {
  const positions = new Map<string, number>();
  let position = 0;
  for (const name of hosts) {
    if (!positions.has(name)) positions.set(name, position);
    position++;
  }
  return positions;
}

/** The parts of a text between separators that are outside brackets. */
function* expressionsOf(text: string): Generator<string> {
  let start = 0;
  let depth = 0;
  for (let i = 0; i <= text.length; i++) {
    const char = text[i];
    if (char === '[') depth++;
    else if (char === ']') depth--;
    else if (char === undefined || (depth === 0 && ', \t'.includes(char))) {
      if (i > start) yield text.slice(start, i);
      start = i + 1;
    }
  }
}

/** Adds the hosts of an expression and returns how many came of its ranges, of which there may be `room`. */
function appendExpression(runs: Run[], expression: string, room: number): number {
  const open = expression.indexOf('[');
  const close = expression.indexOf(']');
  if (open < 0 && close < 0) {
    appendRun(runs, runOfName(expression));
    return 0;
  }
  if (open < 0 || close < open) throw new FluxError('EINVAL', `unbalanced brackets in '${expression}'`);
  const prefix = expression.slice(0, open);
  const suffix = expression.slice(close + 1);
  let count = 0;
  for (const ids of expression.slice(open + 1, close).split(',')) {
    const { first, last, width } = parseIds(ids, expression);
    count += Number(last - first) + 1;
    if (count > room) throw new FluxError('EINVAL', `range '${ids}' in '${expression}' is too large`);
    if (suffix || last > Number.MAX_SAFE_INTEGER) {
      // Only a number at a name's very end is counted with, so these hosts are names of their own.
      for (let id = first; id <= last; id++) {
        appendRun(runs, { prefix: prefix + padded(id, width) + suffix, first: 0, last: 0, width: 0 });
      }
    } else appendRun(runs, { prefix, first: Number(first), last: Number(last), width });
  }
  return count;
}

/**
 * Reads what stands between two commas in brackets: `7` or `7-12`. Flux tolerates blanks before a number and around the
 * hyphen, counting the ones before the hyphen into the width, and takes a number beyond 64 bits for the largest.
 */
function parseIds(ids: string, expression: string): { first: bigint; last: bigint; width: number } {
  const match = /^([ \t]*([0-9]+))(?:([ \t]*)-[ \t]*([0-9]+))?$/.exec(ids);
  if (!match) throw new FluxError('EINVAL', `bad range '${ids}' in '${expression}'`);
  const first = saturated(match[2]!);
  const last = saturated(match[4] ?? match[2]!);
  if (last < first) throw new FluxError('EINVAL', `range '${ids}' in '${expression}' is backwards`);
  return { first, last, width: match[1]!.length + (match[3] ?? '').length };
}

function saturated(digits: string): bigint {
  const largest = 2n ** 64n - 1n;
  const number = /^0*[0-9]{1,20}$/.test(digits) ? BigInt(digits) : largest;
  return number < largest ? number : largest;
}

/** Splits sorted runs where the next has no host within the ones before it. */
function* overlaps(runs: readonly Run[]): Generator<Run[]> {
  let group: Run[] = [];
  let last = -1;
  for (const run of runs) {
    const joins = group.length && run.width && commonWidth(group[0]!, run) !== undefined && run.first < last;
    if (!joins) {
      if (group.length) yield group;
      group = [];
      last = -1;
    }
    group.push(run);
    last = Math.max(last, run.last);
  }
  if (group.length) yield group;
}

/** Overlapping runs as one-host runs in order, so that appending them writes each repeat beside its twin. */
function interleave(group: readonly Run[]): readonly Run[] {
  if (group.length === 1) return group;
  const { prefix, width } = group[0]!;
  return group
    .flatMap((run) => Array.from({ length: hostCount(run) }, (_, offset) => run.first + offset))
    .sort((a, b) => a - b)
    .map((number) => ({ prefix, first: number, last: number, width }));
}
