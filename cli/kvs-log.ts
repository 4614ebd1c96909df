/** `flux kvs log`: the roots of a namespace over time, and what changed from each to the next. */

import { asFluxError, errno } from '../core/errno.ts';
import { Content } from '../core/handle/content.ts';
import type { EventQueue, Handle } from '../core/handle/handle.ts';
import { Kvs, PRIMARY_NAMESPACE } from '../core/handle/kvs.ts';
import { type JsonValue, real, stringifyJson } from '../core/json.ts';
import { unpack } from '../core/message/unpack.ts';
import { count, withHandle } from './command.ts';
import { changesBetween, changeToJson, formatChange } from './kvs-changes.ts';
import type { Change } from './kvs-difference.ts';
import { aboutKvs, type NamespaceOption, namespaceOption } from './kvs-options.ts';
import type { NestedCommand } from './nested.ts';
import { print } from './print.ts';
import { type ColorOption, colorOption, type Painter, painter } from './terminal.ts';
import { formatLocal, formatOffset } from './timestamps.ts';

interface Options extends NamespaceOption {
  follow?: boolean;
  count: number;
  brief?: boolean;
  json?: boolean;
  color?: ColorOption;
}

export const logCommand: NestedCommand = {
  summary: 'Show roots over time, and what changed',
  define: (command) =>
    colorOption(namespaceOption(command))
      .option('-f, --follow', 'Go on with new roots as they come.')
      .option('-c, --count <N>', 'With --follow: end after this many new roots; 0 is no end.', count, 0)
      .option('-b, --brief', 'Show no changes.')
      .option('--json', 'Print a JSON object for each root.')
      .action((options: Options) => withHandle((handle) => log(handle, options))),
};

/** A root, and when it was made known; that is not kept of the newest one. */
interface Root {
  readonly rootref: string;
  readonly rootseq: number;
  /** Seconds since the epoch. */
  readonly timestamp?: number;
}

async function log(handle: Handle, options: Options): Promise<void> {
  const kvs = new Kvs(handle, options.namespace);
  const show = options.json ? printJson : textPrinter(painter(options.color));
  let last: Root | undefined;
  try {
    for await (const root of rootsOf(handle, kvs, options)) {
      if (root.rootref === last?.rootref && root.rootseq === last.rootseq) continue;
      show(root, last && !options.brief ? await changes(handle, last, root) : undefined);
      last = root;
    }
  } catch (error) {
    throw aboutKvs(kvs.namespace, kvs.namespace, error);
  }
}

/** The roots of the checkpoints, the newest one, and those that come, oldest first. */
async function* rootsOf(handle: Handle, kvs: Kvs, options: Options): AsyncGenerator<Root, void, undefined> {
  // Before the newest root is asked for, so that none is missed.
  const events = options.follow ? await handle.subscribe(`kvs.namespace-${kvs.namespace}-setroot`) : undefined;
  const newest = await kvs.getroot();
  if (kvs.namespace === PRIMARY_NAMESPACE) yield* await checkpointsOf(handle);
  yield newest;
  if (events) yield* newRoots(events, newest.rootseq, options.count || Infinity);
}

async function checkpointsOf(handle: Handle): Promise<Root[]> {
  const checkpoints = await new Content(handle).checkpoints();
  return checkpoints
    .map(({ rootref, sequence, timestamp }) => ({ rootref, rootseq: sequence, timestamp }))
    .sort((a, b) => a.rootseq - b.rootseq);
}

async function* newRoots(events: EventQueue, after: number, count: number): AsyncGenerator<Root, void, undefined> {
  let left = count;
  for await (const event of events) {
    const { rootref, rootseq } = unpack(event.json, { rootref: 's', rootseq: 'i' });
    if (rootseq <= after) continue;
    yield { rootref, rootseq, timestamp: Date.now() / 1000 };
    if (--left <= 0) return;
  }
}

/** The changes between two roots; null when one of them is no longer there. */
async function changes(handle: Handle, before: Root, after: Root): Promise<readonly Change[] | null> {
  const all: Change[] = [];
  try {
    for await (const change of changesBetween(handle, before.rootref, after.rootref)) all.push(change);
  } catch (error) {
    if (asFluxError(error).errno === errno.ENOENT) return null;
    throw error;
  }
  return all;
}

type Changes = readonly Change[] | null | undefined;

function printJson({ rootref, rootseq, timestamp }: Root, changes: Changes): void {
  const time: JsonValue = timestamp === undefined ? null : real(timestamp);
  const list = changes === null ? null : changes?.map(changeToJson);
  print(stringifyJson({ sequence: rootseq, timestamp: time, rootref, changes: list }));
}

function textPrinter(paint: Painter): (root: Root, changes: Changes) => void {
  return ({ rootref, rootseq, timestamp }, changes) => {
    const time = timestamp === undefined ? 'newest' : formatLocal(timestamp, 3) + formatOffset(timestamp);
    print(`${paint('bold', String(rootseq))} ${paint('green', time)} ${rootref}`);
    if (changes === null) print('  (what changed is not known: the root before it is no longer there)');
    for (const change of changes ?? []) print(`  ${formatChange(change, paint)}`);
  };
}
