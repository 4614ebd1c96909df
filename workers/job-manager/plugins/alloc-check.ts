/** Watches the scheduler: a job that is given what another job has gets an exception. */

import type { EventlogEntry } from '../../../core/formats/eventlog.ts';
import { IdSet } from '../../../core/formats/idset.ts';
import { resourceSetFromJson } from '../../../core/formats/resource-json.ts';
import type { ActiveJob } from '../job.ts';
import type { JobtapPlugin } from '../plugin.ts';

interface Piece {
  /** The rank and the type of resource. */
  readonly key: string;
  readonly ids: IdSet;
}

function piecesOf(job: ActiveJob): Piece[] {
  return resourceSetFromJson(job.R).nodes.flatMap(({ rank, resources }) =>
    Array.from(resources, ([type, ids]) => ({ key: `${rank}/${type}`, ids })),
  );
}

/** The scheduler that came did not know the job's resources (RFC 27, hello). */
function isHelloFailure({ context }: EventlogEntry): boolean {
  return context?.severity === 0 && context.type === 'scheduler-restart';
}

export const allocCheck: JobtapPlugin = {
  start(context) {
    const allocated = new Map<string, IdSet>();
    const byJob = new Map<ActiveJob, readonly Piece[]>();

    function take(job: ActiveJob): boolean {
      const pieces = piecesOf(job);
      if (pieces.some(({ key, ids }) => allocated.get(key)?.intersects(ids))) return false;
      for (const { key, ids } of pieces) allocated.set(key, (allocated.get(key) ?? IdSet.empty).union(ids));
      byJob.set(job, pieces);
      return true;
    }

    function release(job: ActiveJob): void {
      for (const { key, ids } of byJob.get(job) ?? []) {
        const rest = allocated.get(key)!.difference(ids);
        if (rest.first === undefined) allocated.delete(key);
        else allocated.set(key, rest);
      }
      byJob.delete(job);
    }

    return {
      new(job) {
        context.subscribe(job);
        if (job.R && !job.hasEvent('free')) take(job);
        return undefined;
      },
      event: {
        alloc(job) {
          if (!take(job)) context.raise(job, 'alloc-check', 0, 'resources already allocated');
        },
        free: release,
        exception(job, entry) {
          if (isHelloFailure(entry)) release(job);
        },
      },
      destroy: release,
    };
  },
};
