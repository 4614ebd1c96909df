/** `flux cron list` and `flux cron dump`: cron entries and all that is known of them. */

import { FluxError } from '../core/errno.ts';
import { formatGeneral } from '../core/formats/printf.ts';
import { type JsonObject, type JsonValue, Real } from '../core/json.ts';
import { isObject } from '../core/message/unpack.ts';
import { withHandle } from './command.ts';
import { collectIds } from './cron-arguments.ts';
import { type CronEntry, formatAge } from './cron-entry.ts';
import type { NestedCommand } from './nested.ts';
import { print } from './print.ts';

export const listCommand: NestedCommand = {
  summary: 'List entries',
  define: (command) => command.action(() => withHandle(async (handle) => list(await handle.rpc('cron.list', {})))),
};

export const dumpCommand: NestedCommand = {
  summary: 'Show all that is known of entries',
  define: (command) =>
    command
      .argument('<id...>', 'numbers of entries', collectIds)
      .option('-k, --key <KEY>', 'Print the value of this key only.')
      .action((ids: number[], { key }: { key?: string }) =>
        withHandle(async (handle) => {
          const { entries } = await handle.rpc<{ entries: JsonObject[] }>('cron.list', {});
          for (const id of ids) dump(entries, id, key);
        }),
      ),
};

// ---- list

function list({ entries }: { entries: readonly CronEntry[] }): void {
  const now = Date.now() / 1000;
  print(listLine('ID', 'CMD/NAME', 'STATE', '#RUNS', 'LASTRUN', 'STATUS'));
  for (const entry of entries) {
    const { id, name, stopped, repeat, stats } = entry;
    const runs = repeat > 0 ? `${stats.count}/${repeat}` : String(stats.count);
    print(listLine(String(id), name, stopped ? 'Stopped' : 'Active', runs, lastRun(entry, now), lastStatus(entry)));
  }
}

function listLine(id: string, name: string, state: string, runs: string, lastRun: string, status: string): string {
  const left = `${id.padStart(6)} ${name.padEnd(15)} ${state.padEnd(8)}`;
  return `${left} ${runs.padStart(9)} ${lastRun.padStart(18)}  ${status.padEnd(18)}`;
}

function lastRun({ tasks: [task, before] }: CronEntry, now: number): string {
  const started = task?.['start-time'] ?? before?.['start-time'];
  return started === undefined ? 'None' : formatAge(Number(started), now);
}

/** What the shell says when there is no such program. */
const NOT_FOUND = 127;

function lastStatus({ tasks: [task] }: CronEntry): string {
  if (!task) return 'None';
  if (task.state === 'Exited') return 'Success';
  if (task.state !== 'Failed') return task.state;
  return task.code === NOT_FOUND ? 'Exec-Error' : `Failed:rc=${task.code}`;
}

// ---- dump

function dump(entries: readonly JsonObject[], id: number, key: string | undefined): void {
  const entry = entries.find((each) => each.id === id);
  if (!entry) throw new FluxError('ENOENT', `cron-${id}: there is no such entry`);
  const rows = rowsOf(entry);
  if (key === undefined) for (const [name, value] of rows) print(`${name} = ${quoted(value)}`);
  else for (const [name, value] of rows) if (name === key) print(plain(value));
}

/** Keys and values of an entry, as one list: `stats.count`, `task.1.state`. */
function rowsOf(entry: JsonObject): [string, JsonValue][] {
  const rows: [string, JsonValue][] = [];
  const add = (name: string, value: JsonValue | undefined): void => {
    if (isObject(value)) for (const [key, each] of Object.entries(value)) add(`${name}.${key}`, each);
    else if (value !== undefined) rows.push([name, value]);
  };
  for (const [key, value] of Object.entries(entry)) {
    if (key === 'tasks' && Array.isArray(value))
      value.forEach((task: JsonValue, index) => {
        add(`task.${index + 1}`, task);
      });
    else add(key, value);
  }
  return rows;
}

function quoted(value: JsonValue): string {
  return typeof value === 'string' ? `"${value}"` : plain(value);
}

/** Digits of a real number that are shown. */
const PRECISION = 14;

function plain(value: JsonValue): string {
  if (!(value instanceof Real) && (typeof value !== 'number' || Number.isInteger(value))) return String(value);
  const text = formatGeneral(Number(value), PRECISION);
  return /^-?\d+$/.test(text) ? `${text}.0` : text;
}
