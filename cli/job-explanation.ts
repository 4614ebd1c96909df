/** What there is to say about a job: why it does not run yet, what takes it so long, why it failed. */

import { formatDuration } from '../core/formats/duration.ts';
import { encodeFluid } from '../core/formats/fluid.ts';
import { JobState } from '../core/formats/job-state.ts';
import type { JsonObject, JsonValue } from '../core/json.ts';
import { Real } from '../core/json.ts';
import type { JobEvent } from './eventlog.ts';
import type { JobInfo } from './listed-job.ts';
import type { QueueStatus } from './queue-status.ts';
import { formatLocal } from './timestamps.ts';

/** What services have told of a job. */
export interface JobFacts {
  readonly job: JobInfo;
  /** Its eventlog, and that of its execution; empty when nobody tells. */
  readonly events: readonly JobEvent[];
  readonly execution: readonly JobEvent[];
  /** Of its queue, while it waits for resources. */
  readonly queue?: QueueStatus | undefined;
  /** What the scheduler says (`sched.explain`); a text says why it says nothing. */
  readonly scheduler?: JsonObject | string | undefined;
}

/** A line of the explanation. */
export interface Finding {
  readonly about: 'state' | 'why' | 'place' | 'resources' | 'start' | 'exception' | 'task' | 'time';
  readonly text: string;
}

/** All that can be said, the most important first. */
export function explainJob(facts: JobFacts): Finding[] {
  const { job } = facts;
  const explain = explanations.find(({ states }) => states & job.state.bit)?.explain;
  const state: Finding = { about: 'state', text: `${job.status.name}${howLong(facts)}` };
  return [state, ...(explain?.(facts) ?? []), ...exceptions(facts), ...times(facts)];
}

const explanations: readonly { readonly states: number; readonly explain: (facts: JobFacts) => Finding[] }[] = [
  { states: JobState.new | JobState.depend, explain: explainDependencies },
  { states: JobState.priority, explain: () => [why('it waits for a priority')] },
  { states: JobState.sched, explain: explainWaiting },
  { states: JobState.run, explain: explainRunning },
  { states: JobState.cleanup, explain: explainCleanup },
  { states: JobState.inactive, explain: explainEnd },
];

function why(text: string): Finding {
  return { about: 'why', text };
}

/** `, for 2m`: since the last event that led there. */
function howLong({ job, events }: JobFacts): string {
  if (job.state.bit === JobState.inactive) return job.runtime > 0 ? `, after it ran for ${brief(job.runtime)}` : '';
  const last = events.findLast(({ name }) => Object.hasOwn(phases, name)) ?? events[0];
  return last ? `, for ${brief(job.now - last.timestamp)}` : '';
}

function brief(seconds: number): string {
  return formatDuration(Math.max(seconds, 0), 3);
}

function numberOf(value: JsonValue | undefined): number | undefined {
  if (value instanceof Real) return value.value;
  return typeof value === 'number' || typeof value === 'bigint' ? Number(value) : undefined;
}

// ---- pending

function explainDependencies({ job }: JobFacts): Finding[] {
  const { dependencies } = job;
  if (dependencies.length === 0) return [why('it is being checked')];
  return dependencies.map((each) => why(`it depends on ${each}`));
}

function explainWaiting({ job, queue, scheduler }: JobFacts): Finding[] {
  const { urgency, priority } = job.raw;
  if (urgency === 0) return [why('it is held: its urgency is 0 (see flux job urgency)')];
  if (priority === 0) return [why('its priority is 0, so the job manager holds it')];
  if (queue && !queue.start) {
    const name = typeof job.raw.queue === 'string' ? `the queue ${job.raw.queue}` : 'the queue';
    return [why(`${name} is stopped${queue.stop_reason === undefined ? '' : `: ${queue.stop_reason}`}`)];
  }
  if (typeof scheduler !== 'object') return [why(`it waits for resources${scheduler ? `; ${scheduler}` : ''}`)];
  return [why(String(scheduler.text)), ...placeOf(scheduler), ...resourcesOf(scheduler), ...startOf(job, scheduler)];
}

function placeOf({ jobs_ahead, first, first_priority, priority }: JsonObject): Finding[] {
  const ahead = numberOf(jobs_ahead) ?? 0;
  if (ahead === 0 || first === undefined) return [{ about: 'place', text: 'first of the queue' }];
  const name = encodeFluid(BigInt(first as number | bigint));
  const jobs = ahead === 1 ? '1 job is' : `${ahead} jobs are`;
  const text = `${jobs} before it; the first is ${name} with priority ${first_priority}, its own is ${priority}`;
  return [{ about: 'place', text }];
}

function resourcesOf({ unit, needed, free, missing, nodes }: JsonObject): Finding[] {
  const { all, eligible, up } = nodes as JsonObject;
  const text = `${needed} ${unit}(s) needed, ${free} free, ${missing} missing; of ${all} nodes ${eligible} would do, ${up} of them up`;
  return [{ about: 'resources', text }];
}

function startOf(job: JobInfo, scheduler: JsonObject): Finding[] {
  const estimate = numberOf(scheduler.t_estimate);
  if (estimate === undefined)
    return [{ about: 'start', text: 'nobody knows: something before it has no time limit, or nothing is up' }];
  const latest = scheduler.policy === 'backfill' ? ', or sooner if there is a gap' : '';
  const wait = estimate - job.now;
  if (wait <= 0) return [{ about: 'start', text: `now${latest}` }];
  return [{ about: 'start', text: `in ${brief(wait)}, at ${formatLocal(estimate, 0)}${latest}` }];
}

// ---- running

function explainRunning({ job, events, execution, scheduler }: JobFacts): Finding[] {
  const findings: Finding[] = [];
  const prologs = open(events, 'prolog');
  if (prologs.length) findings.push(why(`it waits for its prolog: ${prologs.join(', ')}`));
  else if (!events.some(({ name }) => name === 'start'))
    findings.push(why(`its shells are being started${lastStep(execution)}`));
  else {
    const expiration = job.number('expiration');
    const left = expiration > 0 ? `, and may do so for ${brief(expiration - job.now)} more` : ', without a time limit';
    findings.push(why(`its tasks run${left}`));
  }
  if (typeof scheduler === 'object' && typeof scheduler.down === 'string' && scheduler.down !== '')
    findings.push({ about: 'resources', text: `of its nodes these are down or drained: rank ${scheduler.down}` });
  return findings;
}

function explainCleanup({ events }: JobFacts): Finding[] {
  const epilogs = open(events, 'epilog');
  if (epilogs.length) return [why(`it waits for its epilog: ${epilogs.join(', ')}`)];
  if (events.some(({ name }) => name === 'start') && !events.some(({ name }) => name === 'finish'))
    return [why('its shells have not ended yet')];
  const released = events.filter(({ name }) => name === 'release').map(({ context }) => String(context.ranks));
  if (released.length) return [why(`its resources are given back; rank ${released.join(', ')} so far`)];
  return [why('its resources are given back')];
}

/** What has begun and not finished: the descriptions of prologs, or epilogs. */
function open(events: readonly JobEvent[], kind: 'prolog' | 'epilog'): string[] {
  const begun: string[] = [];
  for (const { name, context } of events) {
    const description = String(context.description ?? kind);
    if (name === `${kind}-start`) begun.push(description);
    else if (name === `${kind}-finish` && begun.includes(description)) begun.splice(begun.indexOf(description), 1);
  }
  return begun;
}

function lastStep(execution: readonly JobEvent[]): string {
  const last = execution.findLast(({ name }) => name !== 'log');
  return last ? `; the last step was ${last.name}` : '';
}

// ---- over

function explainEnd({ job, events, execution }: JobFacts): Finding[] {
  const findings = [why(job.inactiveReason)];
  if (!events.some(({ name }) => name === 'start')) findings.push(why('its tasks never started'));
  const failed = execution.find(({ name, context }) => name === 'shell.task-exit' && context.wait_status !== 0);
  if (failed) {
    const { rank, localid, exitcode, state } = failed.context;
    const which = rank ?? localid;
    const how = exitcode === undefined ? String(state ?? 'failed') : `exit code ${exitcode}`;
    findings.push({ about: 'task', text: `the first to fail was task ${which}: ${how}` });
  }
  return findings;
}

function exceptions({ events }: JobFacts): Finding[] {
  return events
    .filter(({ name }) => name === 'exception')
    .map(({ context: { type, severity, note } }) => ({
      about: 'exception',
      text: `${type}, severity ${severity}${note ? `: ${note}` : ''}`,
    }));
}

// ---- where the time went

/** What an event of a job ends. */
const phases: Readonly<Record<string, string>> = {
  validate: 'check',
  depend: 'dependencies',
  priority: 'priority',
  alloc: 'resources',
  'prolog-finish': 'prolog',
  start: 'start of the shells',
  finish: 'run',
  'epilog-finish': 'epilog',
  free: 'giving back',
};

/** Less than this part of the whole is not worth a word. */
const WORTH_A_WORD = 0.01;

function times({ job, events }: JobFacts): Finding[] {
  const spent = new Map<string, number>();
  let last = events[0]?.timestamp ?? 0;
  for (const { name, timestamp } of events) {
    const phase = Object.hasOwn(phases, name) ? phases[name]! : undefined;
    if (phase === undefined) continue;
    spent.set(phase, (spent.get(phase) ?? 0) + timestamp - last);
    last = timestamp;
  }
  if (events.length && job.state.bit !== JobState.inactive) spent.set('since then', job.now - last);
  const total = [...spent.values()].reduce((sum, seconds) => sum + seconds, 0);
  const shown = [...spent].filter(([, seconds]) => seconds > total * WORTH_A_WORD);
  if (shown.length === 0) return [];
  return [{ about: 'time', text: shown.map(([phase, seconds]) => `${phase} ${brief(seconds)}`).join(', ') }];
}
