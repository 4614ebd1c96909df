/**
 * What events do to a job (RFC 21): to which state each leads from which, and what else it changes. Nothing is asked or
 * told here, so a log that is replayed leads to the job that wrote it.
 */

import { FluxError } from '../../core/errno.ts';
import type { EventlogEntry } from '../../core/formats/eventlog.ts';
import { JobState } from '../../core/formats/job-state.ts';
import { withMerged, withValueAt } from '../../core/formats/json-path.ts';
import type { JsonObject } from '../../core/json.ts';
import { unpack } from '../../core/message/unpack.ts';
import { type Job, JobFlag, type StateName } from './job.ts';

/** From the state on the left an event leads to the one on the right; from other states it leads nowhere. */
const transitions: Readonly<Record<string, Partial<Record<StateName, StateName>>>> = {
  validate: { new: 'depend' },
  depend: { depend: 'priority' },
  priority: { priority: 'sched' },
  'jobspec-update': { sched: 'priority' },
  urgency: { sched: 'priority' },
  'flux-restart': { sched: 'priority' },
  alloc: { sched: 'run' },
  finish: { run: 'cleanup' },
  clean: { cleanup: 'inactive' },
};

/** Where an exception of severity 0 leads. */
const fatalTransitions: Partial<Record<StateName, StateName>> = {
  depend: 'cleanup',
  priority: 'cleanup',
  sched: 'cleanup',
  run: 'cleanup',
};

const stateNames = new Map<number, StateName>(
  (['new', 'depend', 'priority', 'sched', 'run', 'cleanup', 'inactive'] as const).map((name) => [JobState[name], name]),
);

/** The name of a job's state. */
export function stateName(state: number): StateName {
  return stateNames.get(state)!;
}

type Effect = (job: Job, context: JsonObject | undefined, entry: EventlogEntry) => void;

const effects: Readonly<Record<string, Effect>> = {
  submit(job, context, { timestamp }) {
    if (job.state !== JobState.new) throw new FluxError('EINVAL', 'submit is not the first event of its job');
    const { urgency, userid, flags } = unpack(context, { urgency: 'i', userid: 'i', flags: 'i' });
    job.urgency = urgency;
    job.userid = userid;
    job.flags = flags;
    job.tSubmit = timestamp;
  },
  invalidate(job) {
    job.isReadOnly = true;
  },
  'jobspec-update'(job, context = {}) {
    let { jobspec } = job;
    for (const [path, value] of Object.entries(context)) jobspec = withValueAt(jobspec, path, value!);
    job.jobspec = jobspec;
  },
  'resource-update'(job, context = {}) {
    if (!job.R) throw new FluxError('EAGAIN', 'resource-update of a job without resources');
    const { expiration } = unpack(context, { expiration: 'n' });
    if (expiration < 0 || Object.keys(context).length !== 1)
      throw new FluxError('EINVAL', 'resource-update changes the expiration alone, to a time that is not negative');
    job.R = withValueAt(job.R, 'execution.expiration', context.expiration!);
  },
  'dependency-add'(job, context) {
    if (!(job.state & (JobState.new | JobState.depend))) return;
    const { description } = unpack(context, { description: 's' });
    if (job.usedDependencies.has(description)) return;
    job.usedDependencies.add(description);
    job.dependencies.add(description);
  },
  'dependency-remove'(job, context) {
    if (!(job.state & (JobState.new | JobState.depend))) return;
    const { description } = unpack(context, { description: 's' });
    if (!job.dependencies.delete(description))
      throw new FluxError('ENOENT', `the job does not depend on ${description}`);
  },
  'set-flags'(job, context) {
    const setters = unpack(context, { flags: 'a' }).flags.map((flag) => flagSetter(String(flag)));
    for (const set of setters) set(job);
  },
  memo(job, context) {
    annotate(job, { user: context ?? {} });
  },
  priority(job, context) {
    if (job.state & (JobState.priority | JobState.sched)) job.priority = unpack(context, { priority: 'i' }).priority;
  },
  urgency(job, context) {
    job.urgency = unpack(context, { urgency: 'i' }).urgency;
  },
  exception(job, context, entry) {
    if (job.state & (JobState.new | JobState.inactive)) return;
    const { severity, type } = unpack(context, { severity: 'i', type: 's' });
    if (severity !== 0) return;
    // The resources that a job had before a restart could not be had again.
    if (type === 'scheduler-restart') job.hasResources = false;
    job.endEvent ??= entry;
  },
  alloc(job) {
    job.hasResources = true;
  },
  start(job) {
    job.isStarted = true;
  },
  finish(job, _context, entry) {
    if (job.state === JobState.run) job.endEvent ??= entry;
  },
  release(_job, context) {
    unpack(context, { final: 'b' });
  },
  free(job) {
    job.hasResources = false;
  },
  clean(job, _context, { timestamp }) {
    if (job.state === JobState.cleanup) job.tClean = timestamp;
  },
  'prolog-start'(job) {
    if (!job.isStartPending) job.perilogs++;
  },
  'prolog-finish'(job) {
    if (!job.isStartPending) job.perilogs = Math.max(job.perilogs - 1, 0);
  },
  'epilog-start'(job) {
    if (job.state === JobState.cleanup) job.perilogs++;
  },
  'epilog-finish'(job) {
    if (job.state === JobState.cleanup) job.perilogs = Math.max(job.perilogs - 1, 0);
  },
};

/**
 * Lets an event have its effect on a job. One of a name that is not known has none.
 *
 * @throws FluxError EPROTO, EINVAL, ENOENT, EAGAIN: its context is not what it must be, or it does not fit the job, which
 *   is then as it was
 */
export function applyEvent(job: Job, entry: EventlogEntry): void {
  const { name, context } = entry;
  if (Object.hasOwn(effects, name)) effects[name]!(job, context, entry);
  const next = nextState(job.state, name, context);
  if (next) job.state = JobState[next];
}

function nextState(state: number, name: string, context: JsonObject | undefined): StateName | undefined {
  const from = stateName(state);
  if (name === 'exception') return context?.severity === 0 ? fatalTransitions[from] : undefined;
  return Object.hasOwn(transitions, name) ? transitions[name]![from] : undefined;
}

const flagSetters: Readonly<Record<string, (job: Job) => void>> = {
  'alloc-bypass': (job) => {
    job.bypassesAlloc = true;
  },
  debug: (job) => {
    job.flags |= JobFlag.debug;
  },
  immutable: (job) => {
    job.isImmutable = true;
  },
};

/**
 * What sets one of the flags that an event may set.
 *
 * @throws FluxError EPROTO: there is no such flag
 */
export function flagSetter(flag: string): (job: Job) => void {
  if (!Object.hasOwn(flagSetters, flag)) throw new FluxError('EPROTO', `there is no job flag '${flag}'`);
  return flagSetters[flag]!;
}

/** Merges into a job's annotations; null removes a key. */
export function annotate(job: Job, changes: JsonObject): void {
  const merged = withMerged(job.annotations ?? {}, changes);
  job.annotations = Object.keys(merged).length ? merged : undefined;
}
