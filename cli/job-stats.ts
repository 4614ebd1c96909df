/** Counts of jobs, as the service job-list keeps them for the instance and for each queue. */

import { FluxError } from '../core/errno.ts';
import type { Handle } from '../core/handle/handle.ts';
import type { JsonObject } from '../core/json.ts';

const stateNames = ['depend', 'priority', 'sched', 'run', 'cleanup', 'inactive', 'total'] as const;
const resultNames = ['successful', 'failed', 'timeout', 'canceled', 'inactive_purged'] as const;

type Counted = (typeof stateNames)[number] | (typeof resultNames)[number];

/** Here `failed` is all that were not successful. */
export type JobStats = Readonly<Record<Counted | 'pending' | 'running' | 'active', number>>;

interface QueueAnswer extends Readonly<Record<(typeof resultNames)[number], number>> {
  readonly name?: string;
  readonly job_states: Readonly<Record<(typeof stateNames)[number], number>>;
}

/**
 * Counts the jobs of an instance, or of some of its queues.
 *
 * @throws FluxError EINVAL: there is no such queue
 */
export async function fetchJobStats(handle: Handle, queues: readonly string[] = []): Promise<JobStats> {
  return readJobStats(await handle.rpc<JsonObject>('job-list.job-stats', {}), queues);
}

/** Reads an answer of `job-list.job-stats`. */
export function readJobStats(answer: JsonObject, queues: readonly string[] = []): JobStats {
  const all = answer as unknown as QueueAnswer & { readonly queues: readonly QueueAnswer[] };
  const parts = queues.length ? queues.map((name) => queueNamed(all.queues, name)) : [all];
  const sum = (count: (part: QueueAnswer) => number) => parts.reduce((total, part) => total + count(part), 0);
  const counts = Object.fromEntries([
    ...stateNames.map((name) => [name, sum((part) => part.job_states[name])]),
    ...resultNames.map((name) => [name, sum((part) => part[name])]),
  ]) as Record<Counted, number>;
  return {
    ...counts,
    failed: counts.failed + counts.timeout + counts.canceled,
    pending: counts.depend + counts.priority + counts.sched,
    running: counts.run + counts.cleanup,
    active: counts.total - counts.inactive,
  };
}

function queueNamed(queues: readonly QueueAnswer[], name: string): QueueAnswer {
  const queue = queues.find((each) => each.name === name);
  if (!queue) throw new FluxError('EINVAL', `no stats available for queue ${name}`);
  return queue;
}

/** `2 running, 4 completed, 1 failed, 0 pending` */
export function describeStats({ running, successful, failed, pending }: JobStats): string {
  return `${running} running, ${successful} completed, ${failed} failed, ${pending} pending`;
}
