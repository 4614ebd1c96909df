/** `flux job explain`: why a job is pending, slow, or has failed, and when it would start. */

import { FluxError } from '../core/errno.ts';
import { encodeFluid } from '../core/formats/fluid.ts';
import { JobState } from '../core/formats/job-state.ts';
import type { Handle } from '../core/handle/handle.ts';
import { type JsonObject, stringifyJson } from '../core/json.ts';
import { withHandle } from './command.ts';
import { type JobEvent, readEvents } from './eventlog.ts';
import { explainJob, type Finding, type JobFacts } from './job-explanation.ts';
import { fetchJob } from './job-fetch.ts';
import { lookupJob } from './job-info.ts';
import { JobInfo } from './listed-job.ts';
import type { NestedCommand } from './nested.ts';
import { print } from './print.ts';
import { fetchQueueStatus } from './queue-status.ts';

export const explainCommand: NestedCommand = {
  summary: 'Explain why a job is pending, slow, or has failed, and when it would start',
  define: (command) =>
    command
      .argument('<id>', 'job id')
      .option('-j, --json', 'Print a line of JSON, with all that the scheduler says.')
      .action((word: string, { json }: { json?: boolean }) =>
        withHandle(async (handle) => {
          const facts = await gatherFacts(handle, word, Date.now() / 1000);
          const findings = explainJob(facts);
          if (json) print(stringifyJson(explanationJson(facts, findings)));
          else for (const line of explanationLines(facts, findings)) print(line);
        }),
      ),
};

/** `ƒabc sleep: SCHED, for 2m`, and a line for all else there is to say. */
export function explanationLines({ job }: JobFacts, findings: readonly Finding[]): string[] {
  const { name } = job.raw;
  return findings.map(({ about, text }) =>
    about === 'state' ? `${job.id}${name ? ` ${name}` : ''}: ${text}` : `  ${`${about}:`.padEnd(11)}${text}`,
  );
}

function explanationJson({ job, scheduler }: JobFacts, findings: readonly Finding[]): JsonObject {
  return {
    id: job.id.value,
    state: job.state.name,
    findings: findings.map(({ about, text }) => ({ about, text })),
    ...(typeof scheduler === 'object' && { scheduler }),
  };
}

/**
 * Asks all who know something of a job.
 *
 * @param now seconds since 1970
 * @throws FluxError ENOENT: there is no such job
 */
export async function gatherFacts(handle: Pick<Handle, 'rpc'>, word: string, now: number): Promise<JobFacts> {
  const job = new JobInfo(await fetchJob(handle, word, ['all']), now);
  const { bit } = job.state;
  const id = job.id.value;
  const [events, execution, queue, scheduler] = await Promise.all([
    fetchEvents(handle, id, 'eventlog'),
    bit & JobState.pending ? [] : fetchEvents(handle, id, 'guest.exec.eventlog'),
    bit & JobState.sched ? fetchQueue(handle, job) : undefined,
    bit & (JobState.sched | JobState.run) ? askScheduler(handle, id) : undefined,
  ]);
  return { job, events, execution, queue, scheduler };
}

/** Without an event log, which may be gone or not yet there, less can be said. */
function fetchEvents(handle: Pick<Handle, 'rpc'>, id: bigint, key: string): Promise<JobEvent[]> {
  return lookupJob(handle, id, key).then(
    readEvents,
    unless('ENOENT', 'ENOSYS', () => []),
  );
}

function fetchQueue(handle: Pick<Handle, 'rpc'>, { raw: { queue } }: JobInfo) {
  const name = typeof queue === 'string' ? queue : undefined;
  return fetchQueueStatus(handle, name).catch(unless('ENOENT', 'ENOSYS', () => undefined));
}

function askScheduler(handle: Pick<Handle, 'rpc'>, id: bigint): Promise<JsonObject | string> {
  return handle
    .rpc<JsonObject | string>('sched.explain', { id }, { nodeid: 0 })
    .catch(
      unless('ENOENT', 'ENOSYS', ({ code }) =>
        code === 'ENOENT'
          ? `the scheduler has not been asked yet: it sees the first jobs of the queue only, and ${encodeFluid(id)} is not among them`
          : 'no scheduler is loaded that can say more',
      ),
    );
}

/** Makes something of two errors; others are thrown on. */
function unless<T>(first: string, second: string, make: (error: FluxError) => T): (error: unknown) => T {
  return (error) => {
    if (error instanceof FluxError && (error.code === first || error.code === second)) return make(error);
    throw error;
  };
}
