/** `flux job raise`, `raiseall`, `kill` and `killall`: exceptions and signals for jobs. */

import type { Command } from 'commander';
import { asFluxError, FluxError } from '../core/errno.ts';
import { JobState } from '../core/formats/job-state.ts';
import { parseSignal, signalText } from '../core/formats/signal.ts';
import type { Handle } from '../core/handle/handle.ts';
import { Exit, integer, reader, withHandle } from './command.ts';
import { splitIds } from './job-id.ts';
import { parseStates, parseUser } from './job-states.ts';
import type { NestedCommand } from './nested.ts';

interface RaiseOptions {
  severity: number;
  type: string;
  message?: string;
}

interface AllOptions {
  user?: string;
  force?: boolean;
}

const signal = reader(parseSignal);
const states = reader(parseStates);

function signalOption(command: Command): Command {
  return command.option('-s, --signal <SIG>', 'The signal, by number or name.', signal, parseSignal('TERM'));
}

function allOptions(command: Command): Command {
  return command
    .option('-u, --user <USER>', "Jobs of this user and not yours; 'all' is everybody's (instance owner only).")
    .option('-f, --force', 'Do it; without, only tell how many jobs are meant.');
}

export const raiseCommands: Readonly<Record<string, NestedCommand>> = {
  raise: {
    summary: 'Raise an exception on jobs',
    define: (command) =>
      command
        .argument('<id...>', 'job ids; words behind them, or behind --, are the message')
        .option('-s, --severity <N>', 'How severe it is: from 0, which ends the job, to 7.', integer, 0)
        .option('-t, --type <TYPE>', 'What kind of exception it is.', 'cancel')
        .option('-m, --message <NOTE>', 'The message.')
        .passThroughOptions()
        .action(raise),
  },
  raiseall: {
    summary: 'Raise an exception on all jobs of a user',
    define: (command) =>
      allOptions(command.argument('<type>', 'what kind of exception').argument('[message...]', 'why'))
        .option('-s, --severity <N>', 'How severe it is: from 0, which ends jobs, to 7.', integer, 7)
        .option('-S, --states <STATE,...>', 'Only jobs in these states.', states, JobState.active)
        .passThroughOptions()
        .action(raiseAll),
  },
  kill: {
    summary: 'Send a signal to jobs that run',
    define: (command) => signalOption(command.argument('<id...>', 'job ids')).action(kill),
  },
  killall: {
    summary: 'Send a signal to all running jobs of a user',
    define: (command) => allOptions(signalOption(command)).action(killAll),
  },
};

async function raise(words: readonly string[], { severity, type, message }: RaiseOptions): Promise<void> {
  const { ids, rest } = splitIds(words);
  const note = rest[0] === '--' ? rest.slice(1).join(' ') : rest.join(' ');
  if (message !== undefined && rest.length)
    throw new FluxError('EINVAL', 'the message is given twice: by --message and behind the job ids');
  const why = message ?? (rest.length ? note : undefined);
  await withHandle((handle) => forEachJob('raise', ids, (id) => raiseException(handle, id, type, severity, why)));
}

/** Raises an exception on a job (RFC 21); `cancel` with severity 0 cancels it. */
export async function raiseException(
  handle: Handle,
  id: bigint,
  type: string,
  severity: number,
  note?: string,
): Promise<void> {
  await handle.rpc('job-manager.raise', { id, type, severity, ...(note !== undefined && { note }) });
}

async function kill(words: readonly string[], { signal: signum }: { signal: number }): Promise<void> {
  const { ids, rest } = splitIds(words);
  if (rest.length) throw new FluxError('EINVAL', `'${rest[0]}' is not a job id`);
  await withHandle((handle) => forEachJob('kill', ids, (id) => killJob(handle, id, signum)));
}

/** Sends a signal to the tasks of a job that runs. */
export async function killJob(handle: Handle, id: bigint, signum: number): Promise<void> {
  await handle.rpc('job-manager.kill', { id, signum });
}

/** Does something to several jobs at once; says of each where it failed, and then fails itself. */
export async function forEachJob(
  verb: string,
  ids: readonly (readonly [word: string, id: bigint])[],
  work: (id: bigint) => Promise<void>,
): Promise<void> {
  const outcomes = await Promise.allSettled(ids.map(([, id]) => work(id)));
  let failed = false;
  for (const [index, outcome] of outcomes.entries()) {
    if (outcome.status === 'fulfilled') continue;
    failed = true;
    console.error(`flux-job: ${verb} ${ids[index]![0]}: ${asFluxError(outcome.reason).message}`);
  }
  if (failed) throw new Exit(1);
}

interface Counts {
  readonly count: number;
  readonly errors: number;
}

async function raiseAll(
  type: string,
  words: string[],
  options: AllOptions & { severity: number; states: number },
): Promise<void> {
  const { severity, states, force = false } = options;
  if (states & JobState.inactive) throw new FluxError('EINVAL', '--states: jobs that are inactive have no exceptions');
  const note = (words[0] === '--' ? words.slice(1) : words).join(' ');
  const request = { dry_run: !force, userid: parseUser(options.user), states, severity, type, note };
  const counts = await withHandle((handle) => handle.rpc<Counts>('job-manager.raiseall', { ...request }));
  report(counts, force, 'Raised exception on');
}

async function killAll({ signal: signum, user, force = false }: AllOptions & { signal: number }): Promise<void> {
  const request = { dry_run: !force, userid: parseUser(user), signum };
  const counts = await withHandle((handle) => handle.rpc<Counts>('job-manager.killall', request));
  report(counts, force, signalText(signum));
}

function report({ count, errors }: Counts, force: boolean, done: string): void {
  if (count === 0) console.error('flux-job: Command matched 0 jobs');
  else if (force) console.error(`flux-job: ${done} ${count} jobs (${errors} errors)`);
  else console.error(`flux-job: Command matched ${count} jobs (-f to confirm)`);
}
