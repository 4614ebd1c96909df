/** The options of the commands that submit many jobs at once: `flux submit` and `flux bulksubmit`. */

import type { Command } from 'commander';
import { FluxError } from '../core/errno.ts';
import { IdSet } from '../core/formats/idset.ts';
import { type TaskOptions, taskOptions } from './task-jobspec.ts';

export interface BulkOptions extends TaskOptions {
  cc?: string;
  bcc?: string;
  /** The event of --wait or --wait-event. */
  waitFor?: string;
  watch?: boolean;
  log?: string;
  logStderr?: string;
  progress?: boolean;
  jps?: boolean;
}

export function bulkOptions(command: Command): Command {
  return taskOptions(command)
    .option('--cc <IDSET>', 'Submit a copy for each id, with FLUX_JOB_CC=ID in its environment.')
    .option('--bcc <IDSET>', 'Submit a copy for each id.')
    .option('--wait-event <NAME>', 'Wait for this event of all jobs.')
    .option('--wait', 'Wait until all jobs have ended.')
    .option('--watch', 'Show the output of all jobs, and wait for them.')
    .option('--log <FILE>', 'Write job ids and messages to a file.')
    .option('--log-stderr <FILE>', 'Write messages for stderr to another file.')
    .option('--progress', 'Show how far the jobs have come.')
    .option('--jps', 'With --progress: show how many jobs there are per second.')
    .on('option:wait', () => command.setOptionValue('waitFor', 'clean'))
    .on('option:wait-event', (name: string) => command.setOptionValue('waitFor', name));
}

/**
 * The ids that copies of a job are submitted for; undefined: one job, and no copies.
 *
 * @throws FluxError EINVAL: both kinds of copies, or no ids
 */
export function copies({ cc, bcc }: BulkOptions): readonly number[] | undefined {
  if (cc && bcc) throw new FluxError('EINVAL', '--cc and --bcc do not go together');
  const text = cc || bcc;
  return text ? [...IdSet.parse(text)] : undefined;
}
