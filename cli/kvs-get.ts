/** `flux kvs get`: the values of keys, once or whenever they change. */

import type { Command } from 'commander';
import { FluxError } from '../core/errno.ts';
import { LookupFlag } from '../core/formats/kvs-flags.ts';
import { encodeTreeobj, type Treeobj, valBytes } from '../core/formats/treeobj.ts';
import type { Handle } from '../core/handle/handle.ts';
import { Kvs } from '../core/handle/kvs.ts';
import { count, withHandle } from './command.ts';
import { ahead } from './kvs-ahead.ts';
import { type AtOption, aboutKvs, atOption, type NamespaceOption, namespaceOption } from './kvs-options.ts';
import { streamValue } from './kvs-stream.ts';
import type { NestedCommand } from './nested.ts';
import { print } from './print.ts';

interface Options extends NamespaceOption, AtOption {
  raw?: boolean;
  treeobj?: boolean;
  label?: boolean;
  waitcreate?: boolean;
  watch?: boolean;
  uniq?: boolean;
  append?: boolean;
  full?: boolean;
  count: number;
  stream?: boolean;
}

export const getCommand: NestedCommand = {
  summary: 'Show the values of keys',
  define: (command: Command) =>
    atOption(namespaceOption(command.argument('<key...>', 'the keys')))
      .option('-r, --raw', 'Show the bytes of the value as they are, without a newline behind them.')
      .option('-t, --treeobj', 'Show the tree object (RFC 11).')
      .option('-l, --label', 'Show KEY= before the value.')
      .option('-W, --waitcreate', 'Wait until there is such a key.')
      .option('-w, --watch', 'Go on with new values as they are written.')
      .option('-u, --uniq', 'With --watch: not when the value is the same as before.')
      .option('-A, --append', 'With --watch: only what is appended.')
      .option('-f, --full', 'With --watch: also when the value changes because a directory above it does.')
      .option('-c, --count <N>', 'With --watch: end after this many values; 0 is no end.', count, 0)
      .option('-S, --stream', 'Get large values piece by piece.')
      .action((keys: string[], options: Options) => withHandle((handle) => get(handle, keys, options))),
};

async function get(handle: Handle, keys: readonly string[], options: Options): Promise<void> {
  const kvs = new Kvs(handle, options.namespace);
  if (options.at !== undefined && (options.watch || options.waitcreate || options.stream))
    throw new FluxError('EINVAL', 'what --at points to never changes: no --watch, --waitcreate or --stream');
  if (options.watch && options.stream) throw new FluxError('EINVAL', '--stream does not go together with --watch');
  if (options.watch) await watch(kvs, keys, options);
  else if (options.stream && !options.treeobj) for (const key of keys) await stream(handle, kvs, key, options);
  else await lookUp(kvs, keys, options);
}

async function lookUp(kvs: Kvs, keys: readonly string[], options: Options): Promise<void> {
  const lookup = (key: string) => kvs.lookup(key, { flags: flagsOf(options), at: options.at }).catch(fail(kvs, key));
  const values = ahead(keys, lookup);
  for (const key of keys) {
    const { value } = await values.next();
    show(key, value as Treeobj, options);
  }
}

/** Ends when so many values have come in all, or with the first error. */
async function watch(kvs: Kvs, keys: readonly string[], options: Options): Promise<void> {
  let left = options.count || Infinity;
  const watchOne = async (key: string) => {
    for await (const value of kvs.watch(key, flagsOf(options))) {
      show(key, value!, options);
      if (--left <= 0) return;
    }
  };
  await Promise.race(keys.map((key) => watchOne(key).catch(fail(kvs, key))));
}

async function stream(handle: Handle, kvs: Kvs, key: string, options: Options): Promise<void> {
  const flags = flagsOf(options);
  if (options.label) process.stdout.write(`${key}=`);
  let isEmpty = true;
  try {
    for await (const bytes of streamValue(handle, kvs, key, flags)) {
      if (bytes.length) isEmpty = false;
      process.stdout.write(options.raw ? bytes : textOf(bytes));
    }
  } catch (error) {
    throw aboutKvs(key, kvs.namespace, error);
  }
  if (!options.raw && !isEmpty) print('');
}

function flagsOf({ treeobj, waitcreate, watch, full, uniq, append }: Options): number {
  return (
    (treeobj ? LookupFlag.treeobj : 0) |
    (waitcreate ? LookupFlag.waitcreate : 0) |
    (watch && full ? LookupFlag.watchFull : 0) |
    (watch && uniq ? LookupFlag.watchUniq : 0) |
    (watch && append ? LookupFlag.watchAppend : 0)
  );
}

/** Writes a value in one go, so that lines of several programs at one pipe stay whole. */
function show(key: string, value: Treeobj, options: Options): void {
  const label = options.label ? `${key}=` : '';
  if (options.treeobj) print(label + encodeTreeobj(value));
  else process.stdout.write(Buffer.concat([Buffer.from(label), ...partsOf(valBytes(value), options)]));
}

/** Nothing is no text, so there is no newline behind it. */
function partsOf(bytes: Buffer, { raw }: Options): Uint8Array[] {
  return raw || !bytes.length ? [bytes] : [textOf(bytes), NEWLINE];
}

const NEWLINE = Buffer.from('\n');

/** What C programs see of bytes as text. */
function textOf(bytes: Uint8Array): Uint8Array {
  const end = bytes.indexOf(0);
  return end < 0 ? bytes : bytes.subarray(0, end);
}

function fail(kvs: Kvs, key: string): (error: unknown) => never {
  return (error) => {
    throw aboutKvs(key, kvs.namespace, error);
  };
}
