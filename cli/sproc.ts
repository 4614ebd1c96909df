/** `flux sproc`: the programs that subprocess servers run (RFC 42). */

import type { Command } from 'commander';
import type { FluxError } from '../core/errno.ts';
import { about } from '../core/errno.ts';
import { IdSet } from '../core/formats/idset.ts';
import { parseSignal } from '../core/formats/signal.ts';
import { exitCodeOf } from '../core/formats/wait-status.ts';
import type { Handle } from '../core/handle/handle.ts';
import type { JsonValue } from '../core/json.ts';
import { attach } from './attach.ts';
import { Exit, PYTHON_USAGE_ERROR, rank, withHandle } from './command.ts';
import { runNested } from './nested.ts';
import { type Fields, OutputFormat } from './output-format.ts';
import { print } from './print.ts';
import { parseProcessName, writeRetained } from './remote-process.ts';

interface ServerOptions {
  rank?: number;
  service: string;
}

interface ListOptions extends ServerOptions {
  format: string;
  header: boolean;
  json?: boolean;
}

interface KillOptions extends ServerOptions {
  wait?: boolean;
}

interface WaitOptions extends ServerOptions {
  output?: boolean;
}

/** A program as `rexec.list` tells of it. */
interface ListedProcess {
  readonly rank: number;
  readonly pid: number;
  readonly cmd: string;
  readonly label: string;
  readonly state: string;
}

const fields: Fields<ListedProcess> = {
  pid: { heading: 'PID', value: ({ pid }) => pid },
  state: { heading: 'ST', value: ({ state }) => state },
  label: { heading: 'LABEL', value: ({ label }) => label || '-' },
  rank: { heading: 'RANK', value: ({ rank }) => rank },
  cmd: { heading: 'COMMAND', value: ({ cmd }) => cmd },
};

const DEFAULT_FORMAT = '{pid:>9} {state:<2} {label:<12} {cmd}';

/** `flux sproc ps|kill|wait` */
export function run(args: readonly string[]): Promise<number> {
  return runNested(
    'sproc',
    'List, signal and wait for programs that run on ranks.',
    commands,
    args,
    PYTHON_USAGE_ERROR,
  );
}

function serverOptions(command: Command): Command {
  return command
    .option('-r, --rank <RANK>', 'Ask this rank and not the own one.', rank)
    .option('-s, --service <NAME>', 'Ask this service.', 'rexec');
}

const commands = {
  ps: {
    summary: 'List programs: running ones (R), and ended ones that are to be waited for (Z)',
    define: (command) =>
      serverOptions(command)
        .option('-o, --format <FORMAT>', `Show these fields: ${Object.keys(fields).join(', ')}.`, DEFAULT_FORMAT)
        .option('-n, --no-header', 'Leave the headings out.')
        .option('--json', 'Print them as JSON.')
        .action((options: ListOptions) => withHandle((handle) => ps(handle, options))),
  },
  kill: {
    summary: 'Send a signal to a program',
    define: (command) =>
      serverOptions(command)
        .argument('<signal>', 'number or name of the signal')
        .argument('<process>', 'process id or label')
        .option('-w, --wait', 'Wait until it has ended, and end with its exit code.')
        .action((signal: string, name: string, options: KillOptions) =>
          withHandle((handle) => kill(handle, parseSignal(signal), name, options)),
        ),
  },
  wait: {
    summary: 'Wait for a waitable program, and end with its exit code',
    define: (command) =>
      serverOptions(command)
        .argument('<process>', 'process id or label')
        .option('-o, --output', 'Print what the server has kept of its output.')
        .action((name: string, options: WaitOptions) => withHandle((handle) => wait(handle, name, options))),
  },
  attach: {
    summary: 'Print what a program in the background writes, and end with its exit code',
    define: (command) =>
      serverOptions(command)
        .argument('<process>', 'process id or label')
        .action((target: string, options: ServerOptions) =>
          withHandle(async (handle) => {
            const rank = options.rank ?? Number(await handle.attribute('rank'));
            throw new Exit(
              await attach(handle, options.service, IdSet.from([rank]), target, { command: 'flux-sproc' }),
            );
          }),
        ),
  },
} satisfies Parameters<typeof runNested>[2];

/** An error, and the rank that was asked, when the user named one. */
function atRank(rank: number | undefined, error: unknown): unknown {
  return rank === undefined ? error : about(`rank ${rank}`, error);
}

async function ps(handle: Handle, options: ListOptions): Promise<void> {
  const format = new OutputFormat(options.format, fields);
  const processes = await list(handle, options);
  if (options.json) print(JSON.stringify(processes));
  else for (const line of format.lines(processes, { header: options.header })) print(line);
}

async function list(handle: Handle, options: ServerOptions): Promise<ListedProcess[]> {
  const { service, rank: nodeid } = options;
  const { rank, procs } = await handle
    .rpc<{ rank: number; procs: Omit<ListedProcess, 'rank'>[] }>(`${service}.list`, {}, { nodeid })
    .catch((error: unknown) => {
      throw atRank(nodeid, error);
    });
  return procs.map((each) => ({ rank, ...each }));
}

interface WaitResult {
  readonly status: number;
  readonly output?: JsonValue;
}

/** Asks for the end of a waitable program. */
function awaitEnd(handle: Handle, name: string, options: ServerOptions): Promise<WaitResult> {
  const { service, rank } = options;
  return handle
    .rpc<WaitResult>(`${service}.wait`, { ...parseProcessName(name) }, { nodeid: rank })
    .catch((error: unknown) => {
      throw atRank(rank, error);
    });
}

async function kill(handle: Handle, signum: number, name: string, options: KillOptions): Promise<void> {
  // Asked before it is signalled: afterwards it may be gone.
  const end = options.wait ? awaitEnd(handle, name, options) : undefined;
  end?.catch(() => {});
  const request = { ...parseProcessName(name), signum };
  await handle.rpc(`${options.service}.kill`, request, { nodeid: options.rank }).catch((error: FluxError) => {
    if (!end || error.code !== 'ESRCH') throw about('kill', atRank(options.rank, error));
    console.error(`flux-sproc: kill: ${error.message}`);
  });
  if (end) throw new Exit(exitCodeOf((await end).status));
}

async function wait(handle: Handle, name: string, options: WaitOptions): Promise<void> {
  const { status, output } = await awaitEnd(handle, name, options);
  if (options.output) writeRetained(output);
  throw new Exit(exitCodeOf(status));
}
