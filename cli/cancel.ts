/** `flux cancel`: cancels jobs, those that are named or all of a user. */

import { Option } from 'commander';
import { asFluxError, FluxError } from '../core/errno.ts';
import { parseFluid } from '../core/formats/fluid.ts';
import { JobState } from '../core/formats/job-state.ts';
import { collect, Exit, PYTHON_USAGE_ERROR, reader, runCommand, subcommand, withHandle } from './command.ts';
import { raiseException } from './job-raise.ts';
import { parseStates, parseUser } from './job-states.ts';

interface Options {
  all?: boolean;
  dryRun?: boolean;
  dry?: boolean;
  quiet?: boolean;
  user?: string;
  states: string[];
  state: string[];
  message?: string;
}

interface Target {
  readonly word: string;
  readonly id: bigint;
}

const jobId = reader((word): Target => ({ word, id: parseFluid(word) }));

/** `flux cancel [OPTIONS] [JOBID...]` */
export function run(args: readonly string[]): Promise<number> {
  const command = subcommand('cancel', 'Cancel jobs that wait or run.')
    .argument('[jobid...]', 'jobs to cancel', (word, previous: Target[] = []) => [...previous, jobId(word)])
    .option('--all', 'Cancel all your jobs.')
    .option('-n, --dry-run', 'Only tell how many jobs would be canceled.')
    .addOption(new Option('--dry').hideHelp())
    .option('-q, --quiet', 'Say nothing when there are no jobs to cancel.')
    .option('-u, --user <USER>', "Cancel the jobs of this user; 'all' is everybody's (instance owner only).")
    .option('-S, --states <STATE,...>', 'Cancel jobs in these states.', collect, [])
    .addOption(new Option('--state <STATE,...>').argParser(collect).default([]).hideHelp())
    .option('-m, --message <NOTE>', 'Tell why.')
    .action((targets: Target[] | undefined, options: Options) => cancel(targets ?? [], options));
  return runCommand(command, args, PYTHON_USAGE_ERROR);
}

async function cancel(targets: readonly Target[], options: Options): Promise<void> {
  const dryRun = Boolean(options.dryRun || options.dry);
  const states = [...options.states, ...options.state];
  const isAll = options.all || options.user || states.length > 0;
  if (isAll && targets.length)
    throw new FluxError('EINVAL', 'job ids go neither with --all nor with --user and --states');
  if (isAll) return cancelAll(options.user, stateBits(states), dryRun, options);
  if (targets.length === 0) throw new FluxError('EINVAL', 'no jobs were named');
  if (dryRun) console.error(`flux-cancel: Would cancel ${countOf(targets.length, 'job')}`);
  else await cancelEach(targets, options.message);
}

/** States that a job can be canceled in. */
function stateBits(states: readonly string[]): number {
  const bits = states.length ? parseStates(states.join(',')) : JobState.active;
  if (bits & ~JobState.active) throw new FluxError('EINVAL', '--states: only jobs that are active can be canceled');
  return bits;
}

async function cancelEach(targets: readonly Target[], note: string | undefined): Promise<void> {
  const outcomes = await withHandle((handle) =>
    Promise.allSettled(targets.map(({ id }) => raiseException(handle, id, 'cancel', 0, note))),
  );
  for (const [index, outcome] of outcomes.entries())
    if (outcome.status === 'rejected')
      console.error(`flux-cancel: ERROR: ${targets[index]!.word}: ${asFluxError(outcome.reason).message}`);
  if (outcomes.some(({ status }) => status === 'rejected')) throw new Exit(1);
}

async function cancelAll(
  user: string | undefined,
  states: number,
  dryRun: boolean,
  { message, quiet }: Options,
): Promise<void> {
  const request = { dry_run: dryRun, userid: parseUser(user), states, severity: 0, type: 'cancel' };
  const note = message !== undefined && { note: message };
  const { count, errors } = await withHandle((handle) =>
    handle.rpc<{ count: number; errors: number }>('job-manager.raiseall', { ...request, ...note }),
  );
  if (count && dryRun) console.error(`flux-cancel: Would cancel ${countOf(count, 'job')}`);
  else if (count) console.error(`flux-cancel: Canceled ${countOf(count, 'job')} (${countOf(errors, 'error')})`);
  else if (!quiet) console.error('flux-cancel: Matched 0 jobs');
}

function countOf(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}
