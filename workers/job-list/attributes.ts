/**
 * The attributes of jobs that requests may ask for (RFC 43), as JSON texts: a job listed costs a few strings put together,
 * no object and no encoder.
 */

import { FluxError } from '../../core/errno.ts';
import { JobState } from '../../core/formats/job-state.ts';
import { type JsonValue, realText, stringifyJson } from '../../core/json.ts';
import type { Job } from './job.ts';

/** The JSON text of an attribute; undefined: the job has it not, or not yet. */
type Write = (job: Job) => string | undefined;

const { depend, sched, run, cleanup, inactive } = JobState;

function text(value: string | undefined): string | undefined {
  return value === undefined ? undefined : JSON.stringify(value);
}

/** A number that is negative where it is not known. */
function known(value: number): string | undefined {
  return value < 0 ? undefined : `${value}`;
}

function knownReal(value: number): string | undefined {
  return value < 0 ? undefined : realText(value);
}

/** What a job has once it was in a state. */
function once(state: number, write: Write): Write {
  return (job) => (job.states & state ? write(job) : undefined);
}

function ofException(write: Write): Write {
  return once(inactive, (job) => (job.hasException ? write(job) : undefined));
}

/** What is asked for by `all`, in the order in which it is told. */
const attributes: Readonly<Record<string, Write>> = {
  userid: ({ userid }) => `${userid}`,
  urgency: ({ urgency }) => `${urgency}`,
  priority: once(sched, ({ priority }) => `${priority}`),
  t_submit: ({ submitted }) => realText(submitted),
  t_depend: (job) => {
    // Before there was a state DEPEND of its own, jobs were in it from the start.
    if (job.submitVersion < 1) return realText(job.submitted);
    return job.states & depend ? realText(job.depended) : undefined;
  },
  t_priority: ({ prioritized }) => (prioritized ? realText(prioritized) : undefined),
  t_sched: ({ scheduled }) => (scheduled ? realText(scheduled) : undefined),
  t_run: once(run, ({ ran }) => realText(ran)),
  t_cleanup: once(cleanup, ({ cleaned }) => realText(cleaned)),
  t_inactive: once(inactive, ({ ended }) => realText(ended)),
  state: ({ state }) => `${state}`,
  name: ({ name }) => text(name),
  cwd: ({ cwd }) => text(cwd),
  queue: ({ queue }) => text(queue),
  project: ({ project }) => text(project),
  bank: ({ bank }) => text(bank),
  ntasks: ({ ntasks }) => known(ntasks),
  ncores: ({ ncores }) => known(ncores),
  duration: ({ duration }) => knownReal(duration),
  nnodes: ({ nnodes }) => known(nnodes),
  ranks: once(run, ({ ranks }) => text(ranks)),
  nodelist: once(run, ({ nodelist }) => text(nodelist)),
  success: once(inactive, ({ success }) => `${success}`),
  exception_occurred: once(inactive, ({ hasException }) => `${hasException}`),
  exception_type: ofException(({ exceptionType }) => text(exceptionType)),
  exception_severity: ofException(({ exceptionSeverity }) => `${exceptionSeverity}`),
  exception_note: ofException(({ exceptionNote }) => text(exceptionNote)),
  result: once(inactive, ({ result }) => `${result}`),
  expiration: once(run, ({ expiration }) => knownReal(expiration)),
  annotations: ({ annotations }) => annotations,
  waitstatus: ({ waitStatus }) => known(waitStatus),
  dependencies: ({ dependencies }) => dependencies && stringifyJson(dependencies),
};

/** What is told to those only who ask for it by name. */
const moreAttributes: Readonly<Record<string, Write>> = {
  rusage: ({ usage }) =>
    usage && `{"utime":${realText(usage.utime)},"stime":${realText(usage.stime)},"maxrss":${usage.maxrss}}`,
};

/** Names that requests may have. */
export const attributeNames: readonly string[] = [...Object.keys(attributes), 'all'];

/** Writes some attributes of a job as a JSON object, its id first. */
export type JobWriter = (job: Job) => string;

/**
 * What writes the attributes that a request names.
 *
 * @throws FluxError EINVAL: one of them is none
 */
export function jobWriter(names: readonly JsonValue[]): JobWriter {
  const wanted = new Map<string, Write>();
  for (const name of names) {
    if (typeof name !== 'string') throw new FluxError('EINVAL', 'attr has no string value');
    if (name === 'all') for (const [each, write] of Object.entries(attributes)) wanted.set(each, write);
    else wanted.set(name, writeOf(name));
  }
  const members = [...wanted].map(([name, write]) => ({ prefix: `,"${name}":`, write }));
  return (job) => {
    let object = `{"id":${job.id}`;
    for (const { prefix, write } of members) {
      const value = write(job);
      if (value !== undefined) object += prefix + value;
    }
    return `${object}}`;
  };
}

function writeOf(name: string): Write {
  for (const table of [attributes, moreAttributes]) if (Object.hasOwn(table, name)) return table[name]!;
  throw new FluxError('EINVAL', `${name} is not a valid attribute`);
}
