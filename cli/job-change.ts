/** `flux job urgency`, `memo` and `purge`: what is changed of jobs. */

import { text } from 'node:stream/consumers';
import { about, FluxError } from '../core/errno.ts';
import { parseDuration } from '../core/formats/duration.ts';
import type { Handle } from '../core/handle/handle.ts';
import { type JsonObject, type JsonValue, parseJson, real } from '../core/json.ts';
import { isObject } from '../core/message/unpack.ts';
import { integer, reader, withHandle } from './command.ts';
import { parseJobId } from './job-id.ts';
import type { NestedCommand } from './nested.ts';
import { print } from './print.ts';

const URGENCY_HOLD = 0;
const URGENCY_EXPEDITE = 31;

const urgencies: Readonly<Record<string, number>> = { hold: URGENCY_HOLD, expedite: URGENCY_EXPEDITE, default: 16 };

/**
 * Reads an urgency: a number, or a name for one.
 *
 * @throws FluxError EINVAL
 */
export function parseUrgency(text: string): number {
  const named = urgencies[text.toLowerCase()];
  if (named !== undefined) return named;
  if (!/^\d+$/.test(text)) throw new FluxError('EINVAL', `'${text}' is neither an urgency nor a name for one`);
  return Number(text);
}

interface PurgeOptions {
  ageLimit?: number;
  numLimit: number;
  batch: number;
  force?: boolean;
}

export const changeCommands: Readonly<Record<string, NestedCommand>> = {
  urgency: {
    summary: 'Change how urgent a job is',
    define: (command) =>
      command
        .argument('<id>', 'job id')
        .argument('<urgency>', `0 to 31, or one of ${Object.keys(urgencies).join(', ')}`)
        .option('-v, --verbose', 'Say how urgent it was before.')
        .action((word: string, urgency: string, options: { verbose?: boolean }) =>
          withHandle((handle) => changeUrgency(handle, word, urgency, options)),
        ),
  },
  memo: {
    summary: 'Add a memo to a job',
    define: (command) =>
      command
        .argument('<id>', 'job id')
        .argument('<key=value...>', 'the value JSON, or else a text; - reads it from standard input')
        .option('--volatile', 'Leave no event of it, so that it does not outlive the job manager.')
        .passThroughOptions()
        .action(async (word: string, settings: string[], options: { volatile?: boolean }) => {
          const memo = await readMemo(settings, () => text(process.stdin));
          const request = { id: parseJobId(word), volatile: Boolean(options.volatile), memo };
          await withHandle((handle) => handle.rpc('job-manager.memo', request));
        }),
  },
  purge: {
    summary: 'Remove jobs that are over, the oldest first',
    define: (command) =>
      command
        .argument('[id...]', 'remove these jobs')
        .option('--age-limit <DURATION>', 'Remove jobs that were over so long ago.', reader(parseDuration))
        .option('--num-limit <COUNT>', 'Keep this many jobs that are over.', integer, -1)
        .option('-f, --force', 'Do it; without, only tell how many would be removed.')
        .option('--batch <COUNT>', 'Remove so many at a time.', integer, 50)
        .action((words: string[], options: PurgeOptions) => withHandle((handle) => purge(handle, words, options))),
  },
};

async function changeUrgency(
  handle: Handle,
  word: string,
  wanted: string,
  { verbose }: { verbose?: boolean },
): Promise<void> {
  const request = { id: parseJobId(word), urgency: parseUrgency(wanted) };
  const { old_urgency } = await handle
    .rpc<{ old_urgency: number }>('job-manager.urgency', request)
    .catch((error: unknown) => {
      throw about(word, error);
    });
  if (!verbose) return;
  const names = new Map([
    [URGENCY_HOLD, 'job held'],
    [URGENCY_EXPEDITE, 'job expedited'],
  ]);
  console.error(`old urgency: ${names.get(old_urgency) ?? old_urgency}`);
}

/**
 * The object that settings `KEY=VALUE` make; dots in a key lead into objects.
 *
 * @param readInput what stands for the value `-`
 * @throws FluxError EINVAL: no `=`, or a key with an empty part
 */
export async function readMemo(settings: readonly string[], readInput: () => Promise<string>): Promise<JsonObject> {
  const memo: Record<string, JsonValue> = {};
  for (const setting of settings) {
    const equals = setting.indexOf('=');
    if (equals < 0) throw new FluxError('EINVAL', `'${setting}' is not of the form KEY=VALUE`);
    const value = setting.slice(equals + 1);
    setMember(memo, setting.slice(0, equals), readValue(value === '-' ? await readInput() : value));
  }
  return memo;
}

function readValue(value: string): JsonValue {
  try {
    return parseJson(value);
  } catch {
    return value;
  }
}

function setMember(object: Record<string, JsonValue>, key: string, value: JsonValue): void {
  const names = key.split('.');
  const last = names.pop()!;
  let target = object;
  for (const name of [...names, last])
    if (name === '') throw new FluxError('EINVAL', `'${key}' is not a key of a memo`);
  for (const name of names) {
    target[name] ??= {};
    const next = target[name];
    if (!isObject(next)) throw new FluxError('EINVAL', `'${key}': ${name} is no object`);
    target = next as Record<string, JsonValue>;
  }
  target[last] = value;
}

async function purge(handle: Handle, words: readonly string[], options: PurgeOptions): Promise<void> {
  const force = Boolean(options.force);
  const count = await (words.length ? purgeIds(handle, words, force) : purgeOldest(handle, options, force));
  const { inactive_jobs } = await handle.rpc<{ inactive_jobs: number }>('job-manager.stats-get', undefined, {
    nodeid: 0,
  });
  if (force) print(`purged ${count} inactive jobs, ${inactive_jobs} remaining`);
  else print(`use --force to purge ${count} of ${inactive_jobs} inactive jobs`);
}

async function purgeIds(handle: Handle, words: readonly string[], force: boolean): Promise<number> {
  const ids = words.map(parseJobId);
  const answers = await Promise.all(
    ids.map((id, index) =>
      handle
        .rpc<{ count: number }>('job-manager.purge-id', { id, force: Number(force) }, { nodeid: 0 })
        .catch((error: unknown) => {
          throw about(words[index]!, error);
        }),
    ),
  );
  return answers.reduce((total, { count }) => total + count, 0);
}

async function purgeOldest(handle: Handle, { ageLimit = -1, numLimit, batch }: PurgeOptions, force: boolean) {
  const request = { age_limit: real(ageLimit), num_limit: numLimit, batch, force };
  let total = 0;
  for (;;) {
    const { count } = await handle.rpc<{ count: number }>('job-manager.purge', request, { nodeid: 0 });
    total += count;
    if (!force || count !== batch) return total;
  }
}
