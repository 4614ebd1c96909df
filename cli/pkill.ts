/** `flux pkill`: cancels jobs by their names. */

import type { Handle } from '../core/handle/handle.ts';
import { describe, Exit, PYTHON_USAGE_ERROR, runCommand, subcommand, withHandle } from './command.ts';
import { watchEventlog } from './eventlog.ts';
import type { JobInfo } from './listed-job.ts';
import { findJobs, readExpressions, type SearchOptions, searchOptions } from './pgrep.ts';

interface PkillOptions extends SearchOptions {
  wait?: boolean;
}

/** `flux pkill [OPTIONS] EXPRESSION...` */
export function run(args: readonly string[]): Promise<number> {
  const command = searchOptions(subcommand('pkill', 'Cancel jobs by their names.'))
    .option('--wait', 'Wait until the jobs are over.')
    .action((expressions: string[], options: PkillOptions) => pkill(expressions, options));
  return runCommand(command, args, PYTHON_USAGE_ERROR);
}

async function pkill(expressions: readonly string[], options: PkillOptions): Promise<void> {
  const match = readExpressions('flux-pkill', expressions);
  await withHandle(async (handle) => {
    const found = await findJobs(handle, match, options, []);
    const isCancelled = await Promise.all(found.map((job) => cancel(handle, job, options.wait ?? false)));
    const count = isCancelled.filter(Boolean).length;
    console.error(`flux-pkill: cancelled ${count} job${count === 1 ? '' : 's'}`);
    if (count < found.length) throw new Exit(1);
  });
}

/** Cancels a job; says what it failed with. */
async function cancel(handle: Handle, { id }: JobInfo, wait: boolean): Promise<boolean> {
  try {
    await handle.rpc('job-manager.raise', { id: id.value, type: 'cancel', severity: 0 });
    if (wait) await waitForEnd(handle, id.value);
    return true;
  } catch (error) {
    console.error(`flux-pkill: ${id}: ${describe(error)}`);
    return false;
  }
}

/** The eventlog of a job ends when the job is over. */
async function waitForEnd(handle: Handle, id: bigint): Promise<void> {
  for await (const { name } of watchEventlog(handle, id, 'eventlog')) if (name === 'clean') return;
}
