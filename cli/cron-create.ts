/** `flux cron interval`, `event`, `tab` and `at`: how cron entries are made. */

import fs from 'node:fs';
import path from 'node:path';
import type { Command } from 'commander';
import { about, FluxError } from '../core/errno.ts';
import { nextMatch, parseCrontabLine, readTimePattern } from '../core/formats/crontab.ts';
import { strftime } from '../core/formats/strftime.ts';
import type { Handle } from '../core/handle/handle.ts';
import type { JsonObject } from '../core/json.ts';
import { integer, reader, withHandle } from './command.ts';
import { seconds } from './cron-arguments.ts';
import type { CronEntry } from './cron-entry.ts';
import type { NestedCommand } from './nested.ts';
import { print } from './print.ts';
import { readTime } from './read-time.ts';

interface EntryOptions {
  name?: string;
  count?: number;
  options?: JsonObject;
  preserveEnv?: boolean;
  workingDir?: string;
}

const extraOptions = ['timeout', 'rank', 'task-history-count', 'stop-on-failure'];

const parseExtraOptions = reader((text): JsonObject => {
  const pairs = text.split(',').map((part): [string, number] => {
    const [, name = part, value] = /^([^=]*)=(.*)$/.exec(part) ?? [];
    if (!extraOptions.includes(name)) throw new Error(`'${name}' is none of ${extraOptions.join(', ')}.`);
    const number = /^\d+$|^\d*\.\d+$/.test(value ?? '') ? Number(value) : NaN;
    if (Number.isNaN(number)) throw new Error(`${name} needs a number behind '='.`);
    return [name, number];
  });
  return Object.fromEntries(pairs);
});

function commonOptions(command: Command): Command {
  return command
    .passThroughOptions()
    .option('-o, --options <OPTS>', `Further options, with commas: ${extraOptions.join(', ')}.`, parseExtraOptions)
    .option('-E, --preserve-env', 'Run the command with the environment of this one.')
    .option('-d, --working-dir <DIR>', 'Run the command in this folder.');
}

function namedOptions(command: Command): Command {
  return commonOptions(command)
    .option('-c, --count <N>', 'Run the command so many times.', integer)
    .option('-N, --name <NAME>', 'Name the entry; its command is its name by default.');
}

export const intervalCommand: NestedCommand = {
  summary: 'Run a command again and again',
  define: (command) =>
    namedOptions(command)
      .argument('<interval>', 'time between two runs: a number with s, m, h or d', seconds)
      .argument('<command...>', 'what the shell runs')
      .option('-a, --after <TIME>', 'Run it first after this time.', seconds)
      .action((interval: number, words: string[], { after, ...options }: EntryOptions & { after?: number }) =>
        createOne('interval', { interval, ...(after !== undefined && { after }) }, words, options),
      ),
};

interface EventOptions extends EntryOptions {
  nth?: number;
  after?: number;
  minInterval?: number;
}

export const eventCommand: NestedCommand = {
  summary: 'Run a command at events',
  define: (command) =>
    namedOptions(command)
      .argument('<topic>', 'topic of the events')
      .argument('<command...>', 'what the shell runs')
      .option('-n, --nth <N>', 'Run it at each Nth event only.', integer)
      .option('-a, --after <N>', 'Run it first at the Nth event.', integer)
      .option('-i, --min-interval <T>', 'Time between two runs at least.', seconds)
      .action((topic: string, words: string[], { nth, after, minInterval, ...options }: EventOptions) => {
        const args = {
          topic,
          ...(nth !== undefined && { nth }),
          ...(after !== undefined && { after }),
          ...(minInterval !== undefined && { min_interval: minInterval }),
        };
        return createOne('event', args, words, options);
      }),
};

export const tabCommand: NestedCommand = {
  summary: 'Run commands at the times of a crontab',
  define: (command) =>
    commonOptions(command)
      .argument('[file]', 'the crontab; standard input by default', '-')
      .action((file: string, options: EntryOptions) => {
        const lines = readCrontab(file);
        return withHandle(async (handle) => {
          for (const { where, fields, command } of lines) {
            const create = createDated(handle, { second: 0, ...fields }, command, options);
            const entry = await create.catch((error: unknown) => {
              throw about(where, error);
            });
            printDated('tab', entry);
          }
        });
      }),
};

export const atCommand: NestedCommand = {
  summary: 'Run a command once, at a date and time',
  define: (command) =>
    commonOptions(command)
      .argument('<time>', 'when, as date(1) reads it')
      .argument('<command...>', 'what the shell runs')
      .action((text: string, words: string[], options: EntryOptions) => {
        const time = readTime(text);
        return withHandle(async (handle) => {
          const entry = await createDated(handle, fieldsOf(time), words.join(' '), { ...options, count: 1 }, time);
          printDated('at', entry);
        });
      }),
};

// ---- requests

/** Asks the service for an entry; the command is for the shell. */
function create(
  handle: Handle,
  type: string,
  args: JsonObject,
  command: string,
  { name, count, options = {}, preserveEnv = false, workingDir }: EntryOptions,
): Promise<CronEntry> {
  return handle.rpc<CronEntry>('cron.create', {
    type,
    args,
    command,
    name: name ?? command.trim().split(/\s/, 1)[0]!,
    ...(count !== undefined && { repeat: count }),
    ...(workingDir !== undefined && { cwd: path.resolve(workingDir) }),
    ...(preserveEnv && { environ: { ...process.env } }),
    ...options,
  });
}

function createOne(type: string, args: JsonObject, words: readonly string[], options: EntryOptions): Promise<void> {
  return withHandle(async (handle) => {
    const { id } = await create(handle, type, args, words.join(' '), options);
    print(`${type}: cron-${id} created`);
  });
}

/** Seconds since the epoch that no date has: what the service answers with where no time matches. */
const NEVER = 1e18;

function neverComes(): FluxError {
  return new FluxError('EINVAL', 'that time has passed, or is not within the next two years');
}

/**
 * Makes an entry that runs at dates.
 *
 * @throws FluxError EINVAL: it would not run, or to the broker, in another time zone, the date is another than `expected`
 */
async function createDated(
  handle: Handle,
  args: JsonObject,
  command: string,
  options: EntryOptions,
  expected?: number,
): Promise<CronEntry> {
  if (nextMatch(readTimePattern(args), Date.now() / 1000) === undefined) throw neverComes();
  const entry = await create(handle, 'datetime', args, command, options);
  const wakeup = Number(entry.typedata.next_wakeup);
  if (wakeup < NEVER && wakeup === (expected ?? wakeup)) return entry;
  await handle.rpc('cron.delete', { id: entry.id });
  // It passed meanwhile.
  if (wakeup >= NEVER) throw neverComes();
  throw new FluxError('EINVAL', `to the broker that time is ${strftime('%c', new Date(wakeup * 1000))} here`);
}

function printDated(command: string, { id, typedata }: CronEntry): void {
  const wakeup = Number(typedata.next_wakeup);
  const left = (wakeup - Date.now() / 1000).toFixed(3);
  print(`${command}: cron-${id} created: scheduled in ${left}s at ${strftime('%c', new Date(wakeup * 1000))}`);
}

// ---- times

/** The lines of a crontab that are entries. All are read before the first is made: there are none of a bad crontab. */
function readCrontab(file: string) {
  const lines = fs.readFileSync(file === '-' ? 0 : file, 'utf8').split('\n');
  return lines.flatMap((line, index) => {
    const where = `line ${index + 1}`;
    try {
      const parsed = parseCrontabLine(line);
      return parsed ? [{ where, ...parsed }] : [];
    } catch (error) {
      throw about(where, error);
    }
  });
}

function fieldsOf(time: number): JsonObject {
  const date = new Date(time * 1000);
  return {
    second: date.getSeconds(),
    minute: date.getMinutes(),
    hour: date.getHours(),
    mday: date.getDate(),
    month: date.getMonth(),
    year: date.getFullYear() - 1900,
  };
}
