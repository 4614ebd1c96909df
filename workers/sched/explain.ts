/** Why a job does not run yet, or what it has. */

import { encodeFluid } from '../../core/formats/fluid.ts';
import { IdSet } from '../../core/formats/idset.ts';
import type { JsonObject } from '../../core/json.ts';
import { real } from '../../core/json.ts';
import type { PendingJob, RunningJob } from './jobs.ts';
import { anyNode, type ResourceRequest } from './resource-request.ts';
import { SharedResources } from './resource-text.ts';
import type { Scheduler } from './scheduler.ts';

/**
 * What keeps a job waiting:
 *
 * - `unsatisfiable` the resources that there are, or those that pass its constraint, are too few even when all are free
 * - `down` enough of them would do, but too many are down or drained
 * - `busy` others have them
 * - `reserved` there is enough, but the job would delay the one that is first
 * - `behind` there is enough, but others come first
 * - `ready` nothing; it is about to start
 */
export type Reason = 'unsatisfiable' | 'down' | 'busy' | 'reserved' | 'behind' | 'ready';

/** What the answer to `sched.explain` says of a waiting job, but for the estimate of its start. */
export function explainPending(scheduler: Scheduler, job: PendingJob): JsonObject {
  const { free } = scheduler.pool;
  const { request } = job;
  const first = scheduler.pending.first!;
  const { reason, text } = findReason(scheduler, job, first);
  const members = free.countMembers(request.constraint);
  const { count, needed } = free.measure(request);
  return {
    state: 'pending',
    reason,
    text,
    policy: scheduler.policy,
    priority: job.priority,
    jobs_ahead: scheduler.pending.countBefore(job),
    ...(job !== first && { first: first.id, first_priority: first.priority }),
    unit: request.nodes ? 'node' : 'slot',
    needed,
    free: count,
    missing: Math.max(needed - count, 0),
    nodes: { all: free.countMembers(anyNode), eligible: members, up: countUp(scheduler, request) },
  };
}

function findReason(scheduler: Scheduler, job: PendingJob, first: PendingJob): { reason: Reason; text: string } {
  const { free } = scheduler.pool;
  const { request } = job;
  const obstacle = free.obstacle(request);
  if (obstacle !== undefined) return { reason: 'unsatisfiable', text: obstacle };
  const { count, needed } = free.measure(request);
  const unit = request.nodes ? 'node' : 'slot';
  const name = encodeFluid(first.id);
  if (count >= needed) {
    if (job === first) return { reason: 'ready', text: 'the resources are free, and it is the next to start' };
    if (scheduler.policy === 'backfill')
      return {
        reason: 'reserved',
        text: `the resources are free, but starting now would delay ${name}, which is first`,
      };
    const why = first.priority > job.priority ? 'has a higher priority' : 'was submitted before';
    return { reason: 'behind', text: `the resources are free, but ${name} comes first: it ${why}` };
  }
  const possible = measureIdle(scheduler, request);
  const short = `needs ${needed} ${unit}(s) and ${count} ${count === 1 ? 'is' : 'are'} free now`;
  if (possible < needed) {
    const of = request.constraint.key === '' ? 'nodes' : 'nodes that pass its constraint';
    return {
      reason: 'down',
      text: `${short}; too many ${of} are down or drained: there is room for ${possible} on the others`,
    };
  }
  return { reason: 'busy', text: `${short}; other jobs have the rest` };
}

/** How much of a request could be met if nobody had anything of the nodes that are up. */
function measureIdle({ pool, ends }: Scheduler, request: ResourceRequest): number {
  const idle = pool.free.copy();
  for (const { allocation } of ends)
    for (const [node, { coreCount, gpuCount }] of allocation.shares) idle.add(node, coreCount, gpuCount);
  return idle.measure(request).count;
}

function countUp({ pool }: Scheduler, { constraint }: ResourceRequest): number {
  let count = 0;
  for (const node of pool.nodes.keys()) if (pool.free.isUp(node) && pool.free.isMember(constraint, node)) count++;
  return count;
}

/** What the answer to `sched.explain` says of a job that has resources. */
export function explainRunning({ pool }: Scheduler, { allocation, end }: RunningJob): JsonObject {
  const down = Array.from(allocation.shares.keys()).filter((node) => !pool.free.isUp(node));
  return {
    state: 'allocated',
    resources: new SharedResources(pool, allocation.shares).describe(),
    ...(end < Infinity && { expiration: real(end) }),
    down: IdSet.from(down.map((node) => pool.nodes[node]!.rank)).encode(),
  };
}
