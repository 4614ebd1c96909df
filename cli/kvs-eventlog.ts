/** `flux kvs eventlog`: event logs (RFC 18) that are values of keys. */

import type { Command } from 'commander';
import { asFluxError, errno, FluxError } from '../core/errno.ts';
import { decodeEventlog, type EventlogEntry } from '../core/formats/eventlog.ts';
import { LookupFlag } from '../core/formats/kvs-flags.ts';
import { valBytes } from '../core/formats/treeobj.ts';
import type { Handle } from '../core/handle/handle.ts';
import { Kvs } from '../core/handle/kvs.ts';
import { KvsTransaction } from '../core/handle/kvs-transaction.ts';
import { type JsonObject, parseJson } from '../core/json.ts';
import { isObject } from '../core/message/unpack.ts';
import { count, duration, reader, withHandle } from './command.ts';
import { entryFormatter, humanFormat, secondsFormat } from './eventlog-format.ts';
import { commit } from './kvs-commit.ts';
import { aboutKvs, type NamespaceOption, namespaceOption } from './kvs-options.ts';
import { streamValue } from './kvs-stream.ts';
import { within } from './limits.ts';
import type { NestedCommand } from './nested.ts';
import { print } from './print.ts';
import { type ColorOption, colorOption, painter } from './terminal.ts';

interface FormatOptions {
  unformatted?: boolean;
  human?: boolean;
  color?: ColorOption;
}

interface GetOptions extends NamespaceOption, FormatOptions {
  waitcreate?: boolean;
  watch?: boolean;
  count: number;
  stream?: boolean;
}

interface WaitOptions extends NamespaceOption, FormatOptions {
  waitcreate?: boolean;
  timeout?: number;
  quiet?: boolean;
  verbose?: boolean;
}

const seconds = reader((text) => {
  const number = Number(text);
  if (!/\d/.test(text) || !Number.isFinite(number)) throw new Error(`'${text}' is not a time in seconds.`);
  return number;
});

export const eventlogCommands: Readonly<Record<string, NestedCommand>> = {
  append: {
    summary: 'Put an event behind those of an event log',
    define: (command) =>
      namespaceOption(
        command
          .argument('<key>', 'the event log')
          .argument('<name>', 'the name of the event')
          .argument('[context...]', 'a JSON object; several words are joined by blanks'),
      )
        .option('-t, --timestamp <SECONDS>', 'When it was, since the epoch; by default now.', seconds)
        .action((key: string, name: string, words: string[], options: NamespaceOption & { timestamp?: number }) =>
          withHandle((handle) => append(new Kvs(handle, options.namespace), key, name, words, options.timestamp)),
        ),
  },
  get: {
    summary: 'Show the events of an event log',
    define: (command) =>
      formatOptions(namespaceOption(command.argument('<key>', 'the event log')))
        .option('-W, --waitcreate', 'Wait until there is one.')
        .option('-w, --watch', 'Go on with new events as they come.')
        .option('-c, --count <N>', 'With --watch: end after this many events; 0 is no end.', count, 0)
        .option('-S, --stream', 'Get a large event log piece by piece.')
        .action((key: string, options: GetOptions) => withHandle((handle) => get(handle, key, options))),
  },
  'wait-event': {
    summary: 'Wait for an event',
    define: (command) =>
      formatOptions(
        namespaceOption(command.argument('<key>', 'the event log').argument('<event>', 'the name of the event')),
      )
        .option('-W, --waitcreate', 'Wait until there is an event log.')
        .option('-t, --timeout <DURATION>', 'Fail when it takes longer.', duration)
        .option('-q, --quiet', 'Show nothing.')
        .option('-v, --verbose', 'Show the events before it, too.')
        .action((key: string, name: string, options: WaitOptions) =>
          withHandle((handle) => waitEvent(new Kvs(handle, options.namespace), key, name, options)),
        ),
  },
};

function formatOptions(command: Command): Command {
  return colorOption(command)
    .option('-u, --unformatted', 'Show events as they are stored, in JSON.')
    .option('-H, --human', 'Show times that are easy to read.');
}

/** @param timestamp 0 is now, too */
async function append(kvs: Kvs, key: string, name: string, words: readonly string[], timestamp = 0): Promise<void> {
  const context = words.length ? parseContext(words.join(' ')) : undefined;
  const entry = { timestamp: timestamp || now(), name, ...(context && { context }) };
  await commit(kvs, new KvsTransaction().appendEvent(key, entry));
}

/** Seconds since the epoch, finer than Date has them. */
function now(): number {
  return (performance.timeOrigin + performance.now()) / 1000;
}

function parseContext(text: string): JsonObject {
  let context: unknown;
  try {
    context = parseJson(text);
  } catch {
    context = undefined;
  }
  if (!isObject(context)) throw new FluxError('EINVAL', `the context is not a JSON object: ${text}`);
  return context;
}

/** How events are shown. */
function lineFormatter({ unformatted, human, color }: FormatOptions): (line: Line) => string {
  if (unformatted) {
    if (human || color === 'always')
      throw new FluxError('EINVAL', '--unformatted does not go together with --human or --color=always');
    return ({ text }) => text;
  }
  const paint = painter(color);
  const format = entryFormatter(human ? humanFormat(paint) : secondsFormat(paint), paint);
  return ({ entry }) => format(entry);
}

async function get(handle: Handle, key: string, options: GetOptions): Promise<void> {
  const format = lineFormatter(options);
  const kvs = new Kvs(handle, options.namespace);
  let left = (options.watch && options.count) || Infinity;
  try {
    for await (const lines of linesOf(piecesOf(handle, kvs, key, options))) {
      printAll(lines.slice(0, left), format);
      left -= lines.length;
      if (left <= 0) return;
    }
  } catch (error) {
    throw aboutKvs(key, kvs.namespace, error);
  }
}

function printAll(lines: readonly Line[], format: (line: Line) => string): void {
  if (lines.length) print(lines.map(format).join('\n'));
}

async function waitEvent(kvs: Kvs, key: string, name: string, options: WaitOptions): Promise<void> {
  try {
    await within(options.timeout ?? Infinity, showUntil(kvs, key, name, options));
  } catch (error) {
    if (asFluxError(error).errno === errno.ETIMEDOUT)
      throw new FluxError('ETIMEDOUT', `wait-event timeout on event '${name}'`);
    throw aboutKvs(key, kvs.namespace, error);
  }
}

async function showUntil(kvs: Kvs, key: string, name: string, options: WaitOptions): Promise<void> {
  const format = lineFormatter(options);
  for await (const lines of linesOf(watchedPieces(kvs, key, flagsOf(options)))) {
    const index = lines.findIndex(({ entry }) => entry.name === name);
    if (options.verbose) printAll(index < 0 ? lines : lines.slice(0, index), format);
    if (index < 0) continue;
    if (!options.quiet) printAll(lines.slice(index, index + 1), format);
    return;
  }
  throw new FluxError('ENODATA', `event '${name}' never received`);
}

/** An entry, and the text that it comes from. */
interface Line {
  readonly text: string;
  readonly entry: EventlogEntry;
}

/**
 * The lines of an event log, those of each piece together. An entry may come in several pieces; an incomplete one at the
 * end is left out.
 */
async function* linesOf(pieces: AsyncIterable<Uint8Array>): AsyncGenerator<readonly Line[], void, undefined> {
  const decoder = new TextDecoder();
  let rest = '';
  let isFirst = true;
  for await (const piece of pieces) {
    const text = rest + decoder.decode(piece, { stream: true });
    const end = text.lastIndexOf('\n') + 1;
    rest = text.slice(end);
    if (end === 0) continue;
    isFirst = false;
    const texts = text.slice(0, end).split('\n');
    yield decodeEventlog(text.slice(0, end)).map((entry, index) => ({ text: texts[index]!, entry }));
  }
  if (isFirst && rest) throw new FluxError('EINVAL', 'the value is not an event log');
}

async function* piecesOf(
  handle: Handle,
  kvs: Kvs,
  key: string,
  options: GetOptions,
): AsyncGenerator<Uint8Array, void, undefined> {
  const flags = flagsOf(options);
  if (options.watch && options.stream) throw new FluxError('EINVAL', '--stream does not go together with --watch');
  if (options.watch) yield* watchedPieces(kvs, key, flags);
  else if (options.stream) yield* streamValue(handle, kvs, key, flags);
  else yield valBytes(await kvs.lookup(key, { flags }));
}

async function* watchedPieces(kvs: Kvs, key: string, flags: number): AsyncGenerator<Uint8Array, void, undefined> {
  for await (const value of kvs.watch(key, flags | LookupFlag.watchAppend)) yield valBytes(value);
}

function flagsOf({ waitcreate }: { readonly waitcreate?: boolean }): number {
  return waitcreate ? LookupFlag.waitcreate : 0;
}
