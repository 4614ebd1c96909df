/** `flux content`: the content store of an instance (RFC 10), blobs by the hash of their bytes. */

import { once } from 'node:events';
import path from 'node:path';
import { buffer, text } from 'node:stream/consumers';
import { about, FluxError } from '../core/errno.ts';
import { CommitFlag } from '../core/formats/kvs-flags.ts';
import { Content } from '../core/handle/content.ts';
import type { Handle } from '../core/handle/handle.ts';
import { count, withHandle } from './command.ts';
import { checkpointCommands } from './content-checkpoint.ts';
import { type NestedCommand, runNested } from './nested.ts';
import { print } from './print.ts';

interface BypassOption {
  bypassCache?: boolean;
}

const BYPASS_CACHE = '-b, --bypass-cache';

const commands: Readonly<Record<string, NestedCommand>> = {
  load: {
    summary: 'Write blobs to standard output, one behind another',
    define: (command) =>
      command
        .argument('[blobref...]', 'which blobs; without any they are read from standard input, one a line')
        .option(BYPASS_CACHE, 'Ask the backing store, not the cache.')
        .action(load),
  },
  store: {
    summary: 'Store standard input as a blob, and print its blobref',
    define: (command) =>
      command
        .option(BYPASS_CACHE, 'Ask the backing store, not the cache.')
        .option('--chunksize <N>', 'Make blobs of N bytes, the last one shorter; 0: make one.', count, 0)
        .action(store),
  },
  dropcache: {
    summary: 'Make the cache drop all that the backing store has',
    define: (command) => command.action(() => withHandle((handle) => new Content(handle).dropCache())),
  },
  backup: {
    summary: 'Copy the database of the backing store while the instance runs',
    define: (command) =>
      command
        .argument('<file>', 'where to; a file on the host of rank 0 that is not there')
        .action((file: string) => withHandle((handle) => backup(handle, path.resolve(file)))),
  },
  flush: {
    summary: 'Wait until all that is in the cache is in the backing store, too',
    define: (command) => command.action(() => withHandle((handle) => new Content(handle).flush())),
  },
};

/** `flux content COMMAND …` */
export function run(args: readonly string[]): Promise<number> {
  const [word, ...rest] = args;
  if (word === 'checkpoint')
    return runNested('content checkpoint', 'The roots of the KVS that the store remembers.', checkpointCommands, rest);
  const all: Record<string, NestedCommand> = { ...commands };
  for (const [second, command] of Object.entries(checkpointCommands)) all[`checkpoint ${second}`] = command;
  return runNested('content', 'The content store of the instance: blobs by their blobrefs.', all, args);
}

/** What the KVS holds now is in a checkpoint first, so the copy begins with it. */
async function backup(handle: Handle, file: string): Promise<void> {
  const sync = { namespace: 'primary', flags: CommitFlag.sync, ops: [] };
  await handle.rpc('kvs.commit', sync).catch((error: FluxError) => {
    if (error.code !== 'ENOSYS') throw error;
  });
  await new Content(handle).flush();
  await handle.rpc('content-backing.backup', { path: file });
}

async function load(given: readonly string[], { bypassCache = false }: BypassOption): Promise<void> {
  const blobrefs = given.length ? given : (await text(process.stdin)).split('\n').filter(Boolean);
  if (!blobrefs.length) throw new FluxError('EINVAL', 'no blobrefs were specified');
  await withHandle(async (handle) => {
    const content = new Content(handle, { bypassCache });
    for (const blobref of blobrefs) {
      const bytes = await failingAs('error loading blob', async () => content.load(blobref));
      if (!process.stdout.write(bytes)) await once(process.stdout, 'drain');
    }
  });
}

async function store({ bypassCache = false, chunksize }: BypassOption & { chunksize: number }): Promise<void> {
  const bytes = await buffer(process.stdin);
  await withHandle(async (handle) => {
    const content = new Content(handle, { bypassCache });
    const step = chunksize || bytes.length;
    let offset = 0;
    do {
      const chunk = bytes.subarray(offset, offset + step);
      print(await failingAs('error storing blob', () => content.store(chunk)));
      offset += step;
    } while (offset < bytes.length);
  });
}

async function failingAs<T>(what: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw about(what, error);
  }
}
