/** `flux queue`: what queues there are, and whether they take and schedule jobs. */

import { type Command, Option } from 'commander';
import { about, FluxError } from '../core/errno.ts';
import { parseDurationArgument } from '../core/formats/duration.ts';
import type { Handle } from '../core/handle/handle.ts';
import { PYTHON_USAGE_ERROR, withHandle } from './command.ts';
import { within } from './limits.ts';
import { type NestedCommand, runNested } from './nested.ts';
import { print } from './print.ts';
import { listCommand } from './queue-list.ts';
import { fetchQueueNames, printRequests, printStatus, schedulingText, submissionText } from './queue-status.ts';

interface QueueOptions {
  queue?: string | undefined;
  all?: boolean;
  quiet?: boolean;
  verbose?: boolean;
  nocheckpoint?: boolean;
  message?: string;
}

const DEFAULT_DISABLE_REASON = 'disabled by administrator';

const commands: Readonly<Record<string, NestedCommand>> = {
  list: listCommand,
  status: {
    summary: 'Tell whether queues take jobs, and whether these are scheduled',
    define: (command) => queueCommand(command, showStatus),
  },
  enable: {
    summary: 'Take jobs',
    define: (command) => queueCommand(changeOptions(command), (handle, options) => enable(handle, true, options)),
  },
  disable: {
    summary: 'Take no more jobs',
    define: (command) =>
      queueCommand(reasonOptions(changeOptions(command), 'disabled'), (handle, options) =>
        enable(handle, false, options),
      ),
  },
  start: {
    summary: 'Schedule jobs',
    define: (command) => queueCommand(changeOptions(command), (handle, options) => start(handle, true, options)),
  },
  stop: {
    summary: 'Schedule no more jobs',
    define: (command) =>
      queueCommand(reasonOptions(changeOptions(command), 'stopped'), (handle, options) =>
        start(handle, false, options),
      ),
  },
  drain: {
    summary: 'Wait until there are no jobs',
    define: (command) =>
      timeoutOption(command).action(({ timeout }: TimeoutOptions) =>
        withHandle(async (handle) => {
          await inTime(timeout, () => handle.rpc('job-manager.drain'));
        }),
      ),
  },
  idle: {
    summary: 'Wait until no jobs run',
    define: (command) =>
      timeoutOption(command)
        .option('--quiet', 'Print the number of pending jobs only when there are some.')
        .action(({ timeout, quiet }: TimeoutOptions) =>
          withHandle(async (handle) => {
            const { pending } = await inTime(timeout, () => handle.rpc<{ pending: number }>('job-manager.idle'));
            if (!quiet || pending > 0) print(`${pending} jobs`);
          }),
        ),
  },
};

/** `flux queue COMMAND …` */
export function run(args: readonly string[]): Promise<number> {
  return runNested('queue', 'List queues, and control what becomes of their jobs.', commands, args, PYTHON_USAGE_ERROR);
}

// ---- options

/** Gives a command its queue, as an argument or, as it was once, an option. */
function queueCommand(command: Command, action: (handle: Handle, options: QueueOptions) => Promise<void>): Command {
  return command
    .argument('[queue]', 'the queue; all of them, or the only one, when it is left out')
    .addOption(new Option('-q, --queue <NAME>').hideHelp())
    .option('-v, --verbose', 'Tell also what the scheduler was asked for.')
    .action((name: string | undefined, options: QueueOptions) => {
      if (name !== undefined && options.queue !== undefined)
        throw new FluxError('EINVAL', `two queues are named, '${name}' and --queue=${options.queue}`);
      return withHandle((handle) => action(handle, { ...options, queue: name || options.queue || undefined }));
    });
}

function changeOptions(command: Command): Command {
  return command
    .option('-a, --all', 'All queues: needed where they have names and none is given.')
    .option('--quiet', 'Print nothing but errors.');
}

function reasonOptions(command: Command, done: string): Command {
  return command
    .option('--nocheckpoint', `Forget at the next start of the instance that the queue was ${done}.`)
    .option('-m, --message <REASON>', `Why the queue is ${done}.`);
}

interface TimeoutOptions {
  timeout?: string;
  quiet?: boolean;
}

function timeoutOption(command: Command): Command {
  return command.option('-t, --timeout <DURATION>', 'Fail when it takes longer than this.');
}

/** @throws FluxError EINVAL: no duration, ETIMEDOUT: it is over */
async function inTime<T>(timeout: string | undefined, ask: () => Promise<T>): Promise<T> {
  if (timeout === undefined) return ask();
  // To `within`, 0 is no bound; here it is the shortest.
  return within(readTimeout(timeout) || Number.MIN_VALUE, ask());
}

/** A wrong duration is no wrong command line here, as far as exit codes go. */
function readTimeout(text: string): number {
  try {
    return parseDurationArgument(text);
  } catch (error) {
    throw about(`--timeout: '${text}'`, error);
  }
}

// ---- actions

async function showStatus(handle: Handle, { queue, verbose = false }: QueueOptions): Promise<void> {
  await printStatus(handle, queue, verbose, [submissionText, schedulingText]);
  if (verbose) await printRequests(handle);
}

async function enable(handle: Handle, isOn: boolean, options: QueueOptions): Promise<void> {
  const { queue: name, all = false, quiet, verbose = false, nocheckpoint, message } = options;
  const reason = isOn ? undefined : message || DEFAULT_DISABLE_REASON;
  const request = { enable: isOn, all, name, reason, nocheckpoint };
  await handle.rpc('job-manager.queue-enable', request, { nodeid: 0 });
  if (!quiet) await printStatus(handle, name, verbose, [submissionText]);
}

async function start(handle: Handle, isOn: boolean, options: QueueOptions): Promise<void> {
  const { queue: name, all = false, quiet, verbose = false, nocheckpoint = false, message } = options;
  if (name === undefined && !all && (await fetchQueueNames(handle)).length)
    throw new FluxError('EINVAL', 'the queues have names: name one, or say --all');
  const request = { start: isOn, all, nocheckpoint, name, reason: message || undefined };
  await handle.rpc('job-manager.queue-start', request, { nodeid: 0 });
  if (quiet) return;
  await printStatus(handle, name, verbose, [schedulingText]);
  if (verbose) await printRequests(handle);
}
