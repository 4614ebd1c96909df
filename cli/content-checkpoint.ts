/** `flux content checkpoint`: the roots of the KVS that outlive a restart. */

import { FluxError } from '../core/errno.ts';
import { isBlobref } from '../core/formats/blobref.ts';
import { Content } from '../core/handle/content.ts';
import { type JsonObject, type JsonValue, stringifyJson } from '../core/json.ts';
import { unpack } from '../core/message/unpack.ts';
import { withHandle } from './command.ts';
import { isKvsRunning } from './kvs-running.ts';
import type { NestedCommand } from './nested.ts';
import { print } from './print.ts';

interface ListOptions {
  header: boolean;
  json?: boolean;
}

export const checkpointCommands: Readonly<Record<string, NestedCommand>> = {
  list: {
    summary: 'List the checkpoints, newest first',
    define: (command) =>
      command
        .option('-n, --no-header', 'Do not print a line with the names of the columns.')
        .option('-j, --json', 'Print them as the store has them, as JSON.')
        .action(list),
  },
  update: {
    summary: 'Make a blob the root with which the KVS starts next',
    define: (command) => command.argument('<blobref>', 'the root').action(update),
  },
};

function list({ header, json = false }: ListOptions): Promise<void> {
  return withHandle(async (handle) => {
    const { value } = await handle.rpc<{ value: JsonObject[] }>('content.checkpoint-get', undefined, { nodeid: 0 });
    if (header && !json) print(row('Index', 'Sequence', 'Time', 'Rootref'));
    for (const [index, checkpoint] of value.entries())
      print(json ? stringifyJson(checkpoint) : describe(index, checkpoint));
  });
}

function row(index: string | number, sequence: string | number, time: string, rootref: string): string {
  return `${String(index).padEnd(10)} ${String(sequence).padEnd(10)} ${time.padEnd(20)} ${rootref}`;
}

function describe(index: number, checkpoint: JsonValue): string {
  const {
    rootref,
    sequence = 0,
    timestamp = 0,
  } = unpack(checkpoint, { rootref: 's', sequence: 'i?', timestamp: 'n?' });
  const time = new Date(1000 * timestamp).toISOString().replace(/\.\d+Z$/, 'Z');
  return row(index, sequence, time, rootref);
}

function update(blobref: string): Promise<void> {
  return withHandle(async (handle) => {
    if (await isKvsRunning(handle)) throw new FluxError('EBUSY', 'please unload kvs module before updating checkpoint');
    if (!isBlobref(blobref)) throw new FluxError('EINVAL', `'${blobref}' is no blobref`);
    const checkpoint = { rootref: blobref, sequence: 0, timestamp: Date.now() / 1000 };
    await new Content(handle, { bypassCache: true }).putCheckpoint(checkpoint);
  });
}
