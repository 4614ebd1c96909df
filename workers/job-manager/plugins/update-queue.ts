/** Lets a job that does not run yet be moved to another queue, with the constraint of its nodes. */

import { isDeepStrictEqual } from 'node:util';
import { FluxError } from '../../../core/errno.ts';
import { JobState } from '../../../core/formats/job-state.ts';
import type { JsonValue } from '../../../core/json.ts';
import { isObject } from '../../../core/message/unpack.ts';
import { type ActiveJob, systemAttribute } from '../job.ts';
import type { JobtapPlugin } from '../plugin.ts';
import type { Queue, QueueTable } from '../queue-table.ts';

export function updateQueue(queues: QueueTable): JobtapPlugin {
  return {
    name: '.update-queue',
    start: () => ({
      updates: {
        'attributes.system.queue'(job, { value }) {
          if (typeof value !== 'string') throw new FluxError('EINVAL', 'the name of a queue is a string');
          if (job.state & JobState.running)
            throw new FluxError('EINVAL', 'update of queue for running job not supported');
          if (job.queue === value) throw new FluxError('EINVAL', `job queue is already set to ${value}`);
          const queue = queues.get(value);
          if (!queue.isEnabled) throw new FluxError('EINVAL', `queue ${value} is currently disabled`);
          checkConstraint(job, queues.get(job.queue), value);
          return {
            needsFeasibility: true,
            updates: { 'attributes.system.constraints': constraintOf(queue) },
          };
        },
      },
    }),
  };
}

function constraintOf({ requires }: Queue): { readonly [key: string]: JsonValue } {
  return requires ? { properties: requires } : {};
}

/** A constraint of the job's own would be lost, and would hardly make sense in another queue. */
function checkConstraint(job: ActiveJob, from: Queue, to: string): void {
  const constraint = systemAttribute(job.jobspec, 'constraints') ?? {};
  const expected = constraintOf(from);
  const isNone = isObject(constraint) && Object.keys(constraint).length === 0 && !from.requires;
  if (isNone || isDeepStrictEqual(constraint, expected)) return;
  throw new FluxError('EINVAL', `job appears to have non-queue constraints, unable to update queue to ${to}`);
}
