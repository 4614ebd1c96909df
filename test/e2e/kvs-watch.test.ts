// Watches of a real instance: by clients of several ranks, of values that grow large, through the end of clients and
// modules.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { Handle } from '../../core/handle/handle.ts';
import { library, openAll, type RunningInstance } from './library.ts';
import { temporaryFolder, until } from './support.ts';

const { start, Kvs, KvsTransaction, LookupFlag, valBytes } = library;

let instance: RunningInstance;
let handles: Handle[];

/** Where the KVS may be: on the thread of the watchers, or on threads of its own. */
const places = [
  ['their own thread', {}],
  ['other threads', { engine: { 'kvs-workers': 2 } }],
] as const;

/** Services that watch the KVS themselves, and what depends on them. */
const watchful = 'job-manager,job-list,job-info,job-ingest,job-exec,sched';

const kvsOf = (rank: number) => new Kvs(handles[rank]!);
const put = (rank: number, key: string, value: string) => kvsOf(rank).commit(new KvsTransaction().put(key, value));

async function watcherCount(): Promise<number> {
  return (await handles[0]!.rpc<{ watchers: number }>('kvs-watch.stats-get')).watchers;
}

/** Waits until a watch is there; what is committed then, it is told. */
const untilWatched = (count: number) =>
  until(async () => (await watcherCount()) === count, `there are ${count} watchers`);

/** The texts of a watch up to one, and in which order they came. */
async function textsUntil(rank: number, key: string, last: string, flags = 0): Promise<string[]> {
  const texts: string[] = [];
  for await (const value of kvsOf(rank).watch(key, flags)) {
    texts.push(valBytes(value).toString());
    if (texts.at(-1) === last) break;
  }
  return texts;
}

for (const [place, config] of places) {
  describe(`watches of a KVS on ${place}`, { concurrency: 1 }, () => {
    before(async () => {
      const environment = { ...process.env, TMPDIR: temporaryFolder(), FLUX_MODPROBE_DISABLE: watchful };
      instance = await start({ size: 4, config, environment });
      handles = (await openAll(instance)) as unknown as Handle[];
    });

    after(async () => {
      for (const handle of handles) await handle.close();
      await instance.stop();
    });

    test('clients of all ranks are told of each commit of all ranks', async () => {
      await put(0, 'turns', 'first');
      const watches = handles.map((_, rank) => textsUntil(rank, 'turns', 'last'));
      await untilWatched(4);
      const values: string[] = [];
      for (let i = 0; i < 20; i++) {
        values.push(`${i}`);
        await put(i % 4, 'turns', `${i}`);
      }
      await put(2, 'turns', 'last');
      for (const texts of await Promise.all(watches)) assert.deepEqual(texts, ['first', ...values, 'last']);
      await untilWatched(0);
    });

    test('who waits for a key is answered when it is there', async () => {
      const waits = handles.map((_, rank) => kvsOf(rank).lookup('late.key', { flags: LookupFlag.waitcreate }));
      await untilWatched(4);
      await put(3, 'late.key', 'here');
      for (const wait of waits) assert.equal(valBytes(await wait).toString(), 'here');
      await untilWatched(0);
    });

    test('a log that many append to is told once, however the KVS keeps it', async () => {
      const count = 300;
      const followed = handles.map(async (_, rank) => {
        let log = '';
        for await (const piece of kvsOf(rank).watch('log', LookupFlag.watchAppend | LookupFlag.waitcreate)) {
          log += valBytes(piece).toString();
          if (log.split('\n').length > count) break;
        }
        return log;
      });
      await untilWatched(4);
      const appends = Array.from({ length: count }, (_, i) =>
        kvsOf(i % 4).commit(new KvsTransaction().append('log', `${i}\n`)),
      );
      await Promise.all(appends);
      const stored = await kvsOf(0).getText('log');
      const lines = stored.trimEnd().split('\n').map(Number);
      assert.deepEqual(
        lines.toSorted((a, b) => a - b),
        [...appends.keys()],
      );
      for (const log of await Promise.all(followed)) assert.equal(log, stored);
      await untilWatched(0);
    });

    test('a large value comes in pieces', async () => {
      const piece = Buffer.alloc(1 << 20);
      for (let i = 0; i < 24; i++) await kvsOf(1).commit(new KvsTransaction().append('large', piece.fill(i)));
      let size = 0;
      let pieces = 0;
      for await (const bytes of kvsOf(2).stream('large')) {
        for (let start = 0; start < bytes.length; start += piece.length)
          assert.equal(bytes[start], (size + start) / piece.length);
        size += bytes.length;
        pieces++;
      }
      assert.equal(size, 24 * piece.length);
      assert.ok(pieces > 1);
      await untilWatched(0);
    });

    test('a client that is gone takes its watches along', async () => {
      await put(0, 'stays', '1');
      const client = await library.Handle.open(await handles[0]!.attribute('local-uri', { nodeid: 3 }));
      const ended = [0, LookupFlag.watchFull, LookupFlag.watchAppend].map(async (flags) => {
        for await (const value of new Kvs(client).watch('stays', flags)) assert.ok(value);
      });
      const checks = ended.map((each) => assert.rejects(each, { code: 'ECONNABORTED' }));
      await untilWatched(3);
      await client.close();
      await Promise.all(checks);
      await untilWatched(0);
    });

    test('watches end with their namespace', async () => {
      await library.createNamespace(handles[1]!, 'short');
      const kvs = new Kvs(handles[2]!, 'short');
      await kvs.commit(new KvsTransaction().put('a', '1'));
      const seen: string[] = [];
      const watch = (async () => {
        for await (const value of kvs.watch('a')) seen.push(valBytes(value).toString());
      })();
      const check = assert.rejects(watch, { code: 'EOPNOTSUPP' });
      await until(() => seen.length === 1, 'the value is told');
      await library.removeNamespace(handles[1]!, 'short');
      await check;
      await untilWatched(0);
    });

    test('watches end with the module, and begin anew with it', async () => {
      const [leader] = handles as [Handle];
      await put(0, 'module', '1');
      // A KVS on other threads is not heard to stop.
      const names = place === 'other threads' ? ['kvs-watch'] : ['kvs-watch', 'kvs'];
      for (const name of names) {
        const seen: string[] = [];
        const watch = (async () => {
          for await (const value of kvsOf(3).watch('module')) seen.push(valBytes(value).toString());
        })();
        const check = assert.rejects(watch, { code: name === 'kvs' ? 'EOPNOTSUPP' : 'ENOSYS' });
        await until(() => seen.length === 1, 'the value is told');
        await leader.rpc('module.remove', { name });
        await check;
        await leader.rpc('module.load', { path: name, args: [] });
        assert.deepEqual(await textsUntil(1, 'module', '1'), ['1']);
        await untilWatched(0);
      }
    });
  });
}
