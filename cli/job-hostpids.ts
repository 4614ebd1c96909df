/** `flux job hostpids`: the hosts and process ids of a job's tasks. */

import { Option } from 'commander';
import { FluxError } from '../core/errno.ts';
import { parseDuration } from '../core/formats/duration.ts';
import type { IdSet } from '../core/formats/idset.ts';
import { JobState } from '../core/formats/job-state.ts';
import type { Handle } from '../core/handle/handle.ts';
import type { JsonObject, JsonValue } from '../core/json.ts';
import { idset, reader, withHandle } from './command.ts';
import { WAITCREATE, watchEventlog } from './eventlog.ts';
import { fetchJob } from './job-fetch.ts';
import { parseJobId } from './job-id.ts';
import { within } from './limits.ts';
import type { NestedCommand } from './nested.ts';
import { print } from './print.ts';

interface Options {
  delimiter: string;
  ranks: IdSet | 'all';
  timeout?: number;
}

export const hostpidsCommand: NestedCommand = {
  summary: "Show the hosts and process ids of a job's tasks",
  define: (command) =>
    command
      .argument('<id>', 'job id')
      .option('-d, --delimiter <STRING>', 'What stands between two tasks.', ',')
      .addOption(
        new Option('-r, --ranks <IDSET>', 'Only these tasks.')
          .argParser((text) => (text === 'all' ? text : idset(text)))
          .default('all'),
      )
      .option('-t, --timeout <DURATION>', 'Wait no longer for the tasks to start.', reader(parseDuration))
      .action((word: string, options: Options) => withHandle((handle) => showHostpids(handle, word, options))),
};

async function showHostpids(handle: Handle, word: string, options: Options): Promise<void> {
  const id = parseJobId(word);
  const { state } = await fetchJob(handle, word, ['state']);
  if (!(Number(state) & JobState.active)) throw new FluxError('EINVAL', `job ${word} is inactive`);
  const shell = await within(options.timeout ?? Infinity, startedShell(handle, id)).catch((error: FluxError) => {
    throw error.code === 'ETIMEDOUT'
      ? new FluxError('ETIMEDOUT', `the tasks of job ${word} have not started in time`)
      : error;
  });
  if (!shell) throw new FluxError('ENODATA', `job ${word} has no tasks`);
  const tasks = readProctable(await fetchProctable(handle, shell));
  const { ranks, delimiter } = options;
  const shown = tasks.filter((_, rank) => ranks === 'all' || ranks.has(rank));
  print(shown.map(({ host, pid }) => `${host}:${pid}`).join(delimiter === '\\n' ? '\n' : delimiter));
}

/** The service of a job's shells, and the rank of the first of them, which answers. */
export interface ShellService {
  readonly service: string;
  readonly rank: number;
}

/** What `shell.init` tells of the service of the shells. */
export function shellServiceOf(context: JsonObject): ShellService {
  const { service, 'leader-rank': rank } = context;
  if (typeof service !== 'string' || typeof rank !== 'number')
    throw new FluxError('EPROTO', 'shell.init does not tell the service of the shells');
  return { service, rank };
}

async function startedShell(handle: Handle, id: bigint): Promise<ShellService | undefined> {
  let shell: ShellService | undefined;
  for await (const { name, context } of watchEventlog(handle, id, 'guest.exec.eventlog', WAITCREATE)) {
    if (name === 'shell.init') shell = shellServiceOf(context);
    else if (name === 'shell.start') return shell;
  }
  return undefined;
}

/** Asks the shells which processes their tasks are. */
export function fetchProctable(handle: Handle, { service, rank }: ShellService): Promise<JsonObject> {
  return handle.rpc(`${service}.proctable`, {}, { nodeid: rank });
}

export interface Task {
  readonly host: string;
  readonly pid: number;
}

/**
 * The tasks of a process table, by rank.
 *
 * @throws FluxError EPROTO
 */
export function readProctable({ hosts, pids, ids }: JsonObject): Task[] {
  const names = readNames(hosts);
  const numbers = readNumbers(pids);
  const ranks = readNumbers(ids);
  if (names.length !== ranks.length || numbers.length !== ranks.length)
    throw new FluxError('EPROTO', 'the process table has not as many hosts and processes as tasks');
  const order = ranks.map((rank, index) => ({ rank, host: names[index]!, pid: numbers[index]! }));
  return order.sort((a, b) => a.rank - b.rank).map(({ host, pid }) => ({ host, pid }));
}

/**
 * Numbers of a process table, each written as its distance from the one before. `[N, R]` is N and the R numbers behind
 * it, or for a negative R N that often again; a third number repeats the whole that often again.
 */
function readNumbers(list: JsonValue | undefined): number[] {
  if (!Array.isArray(list)) throw new FluxError('EPROTO', 'the process table lacks a list of numbers');
  const numbers: number[] = [];
  let last = 0;
  for (const entry of list as readonly JsonValue[]) {
    const [step, run = 0, again = 0] = (Array.isArray(entry) ? entry : [entry]).map(Number) as [number, ...number[]];
    if (![step, run, again].every(Number.isSafeInteger))
      throw new FluxError('EPROTO', 'the process table has a list of what are no numbers');
    for (let turn = 0; turn <= again; turn++) {
      const first = last + step;
      for (let index = 0; index <= Math.abs(run); index++) numbers.push(run < 0 ? first : first + index);
      last = run < 0 ? first : first + run;
    }
  }
  return numbers;
}

/** Names of a process table: `[PREFIX, SUFFIXES]`, numbers of which a negative one stands for none. */
function readNames(list: JsonValue | undefined): string[] {
  if (!Array.isArray(list)) throw new FluxError('EPROTO', 'the process table lacks a list of names');
  return (list as readonly JsonValue[]).flatMap((entry) => {
    if (typeof entry === 'string') return [entry];
    const [prefix, suffixes] = Array.isArray(entry) ? (entry as readonly JsonValue[]) : [];
    return readNumbers(suffixes).map((suffix) => (suffix < 0 ? String(prefix) : `${prefix}${suffix}`));
  });
}
