/** What a shell logs of the layout of its job. */

import type { IdSet } from '../../core/formats/idset.ts';
import type { JobLayout } from './job-layout.ts';
import { LogLevel, type Shell } from './plugin.ts';

/** Says so when the tasks of this rank are not to use all that the job has there. */
export function warnOfTrimmed(shell: Shell, layout: JobLayout): void {
  const { cores, gpus } = layout.nodes[shell.rank]!;
  const warn = (what: string, before: IdSet, after: IdSet) => {
    if (before.count !== after.count)
      shell.log(LogLevel.warn, `${shell.hostname}: adjusted ${what} from ${before} to ${after}`);
  };
  warn('cores', cores, shell.node.cores);
  warn('gpus', gpus, shell.node.gpus);
}

/** Says for the curious what the job consists of, and what of it is on this rank. */
export function logLayout(shell: Shell, { taskCount, slotCount, coresPerSlot, slotsPerNode }: JobLayout): void {
  if (shell.verbosity === 0) return;
  if (shell.isLeader)
    shell.log(
      LogLevel.debug,
      `0: task_count=${taskCount} slot_count=${slotCount} cores_per_slot=${coresPerSlot} slots_per_node=${slotsPerNode}`,
    );
  const { taskids, cores } = shell.node;
  shell.log(
    LogLevel.debug,
    `${shell.rank}: task${taskids.count > 1 ? 's' : ''} ${taskids.encode({ brackets: true })} on cores ${cores}`,
  );
}
