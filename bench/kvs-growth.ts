/** Whether the KVS slows down when there is more of something. */

import fs from 'node:fs';
import path from 'node:path';
import { LookupFlag, OperationFlag } from '../core/formats/kvs-flags.ts';
import { Handle } from '../core/handle/handle.ts';
import { Kvs } from '../core/handle/kvs.ts';
import { Flag } from '../core/message/message.ts';
import { type Figure, figure } from './figure.ts';
import { commit, createNamespaces, fillDirectory, lookup, unlink } from './kvs-requests.ts';
import { growing, rates, round } from './rate.ts';
import { type Scale, scaled } from './scale.ts';
import { SLOT, Template } from './template.ts';
import { WireClient } from './wire-client.ts';

/** A prime by which entries are visited all over, whatever their number. */
const STRIDE = 7919;

interface Clients {
  /** To prepare with. */
  readonly handle: Handle;
  readonly kvs: Kvs;
  /** That is measured. */
  readonly client: WireClient;
}

async function withClients<T>(uri: string, use: (clients: Clients) => Promise<T>): Promise<T> {
  const handle = await Handle.open(uri);
  const client = await WireClient.connect(uri);
  const result = await use({ handle, kvs: new Kvs(handle), client });
  client.close();
  await handle.close();
  return result;
}

/** One client that changes entries of a directory with so many of them. */
export function directorySizes(uri: string, scale: Scale): Promise<Figure[]> {
  const sizes = scaled(scale, [100, 1000, 10_000, 100_000, 1_000_000], [100, 10_000], [10, 300]);
  return withClients(uri, async ({ kvs, client }) => {
    const template = commit(`bench.directory.k${SLOT}`);
    let from = 0;
    let value = 0;
    const figures = await growing(sizes, async (size, isLate) => {
      await fillDirectory(kvs, 'bench.directory', { from, to: size }, isLate);
      if (isLate()) return [];
      from = size;
      const next = () => template.with((++value * STRIDE) % size, value);
      return [figure(`kvs.directory-${size}`, 'commits/s', 'more', await rates([client], 1, next, round(scale)))];
    });
    await unlink(kvs, 'bench.directory');
    return figures;
  });
}

/** One value at a time, put and looked up. */
export function valueSizes(uri: string, scale: Scale): Promise<Figure[]> {
  const sizes = scaled(scale, [8, 1024, 65_536, 2 ** 20, 2 ** 23, 2 ** 26], [8, 65_536, 2 ** 20], [8, 65_536]);
  const budget = scaled(scale, 3000, 300, 20);
  return withClients(uri, async ({ kvs, client }) => {
    const get = lookup('bench.value').frame;
    let value = 0;
    const figures = await growing(sizes, async (size) => {
      const data = SLOT + Buffer.alloc(size).toString('base64').slice(SLOT.length);
      const template = commit('bench.value', { data });
      const puts: number[] = [];
      const gets: number[] = [];
      const once = async (frame: Buffer, samples: number[]) => {
        const start = performance.now();
        await client.ask(frame);
        samples.push(performance.now() - start);
      };
      const start = performance.now();
      do {
        await once(template.with(++value), puts);
        await once(get, gets);
      } while (performance.now() - start < budget);
      return [figure(`kvs.value-${size}.put`, 'ms', 'less', puts), figure(`kvs.value-${size}.get`, 'ms', 'less', gets)];
    });
    await unlink(kvs, 'bench.value');
    return figures;
  });
}

/** Eight commits under way, which go to so many namespaces in turn. */
export function namespaceCounts(uri: string, scale: Scale): Promise<Figure[]> {
  const counts = scaled(scale, [1, 100, 10_000], [1, 100], [1, 3]);
  return withClients(uri, async ({ handle, client }) => {
    const template = commit('key', { namespace: `bench-${SLOT}` });
    let from = 0;
    let value = 0;
    return growing(counts, async (count, isLate) => {
      await createNamespaces(handle, { from, to: count }, isLate);
      if (isLate()) return [];
      from = count;
      const next = () => template.with(++value % count, value);
      return [figure(`kvs.namespaces-${count}`, 'commits/s', 'more', await rates([client], 8, next, round(scale)))];
    });
  });
}

/** One client that commits while watchers of other keys have nothing to hear. */
export function watcherCounts(uri: string, scale: Scale): Promise<Figure[]> {
  const counts = scaled(scale, [0, 100, 10_000], [0, 1000], [0, 5]);
  return withClients(uri, async ({ kvs, client }) => {
    await fillDirectory(kvs, 'bench.watched', { to: counts.at(-1)! });
    const watcher = await WireClient.connect(uri);
    const fields = { key: `bench.watched.k${SLOT}`, namespace: kvs.namespace, flags: LookupFlag.watch };
    const watch = new Template('kvs-watch.lookup', fields, Flag.streaming);
    const template = commit('bench.unwatched');
    let watched = 0;
    let value = 0;
    const figures = await growing(counts, async (count, isLate) => {
      await watcher.exchange(
        64,
        () => watch.with(watched++),
        () => watched < count && !isLate(),
      );
      if (isLate()) return [];
      const next = () => template.with(++value);
      return [figure(`kvs.watchers-${count}`, 'commits/s', 'more', await rates([client], 1, next, round(scale)))];
    });
    watcher.close();
    return figures;
  });
}

/** Appends to one key, eight under way: the rate of the last before there are so many. */
export function appendCounts(uri: string, scale: Scale): Promise<Figure[]> {
  const counts = scaled(scale, [1000, 10_000, 100_000], [1000, 5000], [50, 200]);
  const perSample = scaled(scale, 100, 100, 5);
  return withClients(uri, async ({ kvs, client }) => {
    const template = commit('bench.appended', { opFlags: OperationFlag.append });
    let appended = 0;
    const append = (end: number, isLate: () => boolean) =>
      client.exchange(
        8,
        () => template.with(appended++),
        () => appended < end && !isLate(),
      );
    const figures = await growing(counts, async (count, isLate) => {
      const samples: number[] = [];
      await append(count - 5 * perSample, isLate);
      while (appended < count && !isLate()) {
        const start = performance.now();
        await append(appended + perSample, isLate);
        samples.push(perSample / ((performance.now() - start) / 1000));
      }
      return isLate() ? [] : [figure(`kvs.append-${count}`, 'appends/s', 'more', samples)];
    });
    await unlink(kvs, 'bench.appended');
    return figures;
  });
}

/** Bytes that the backing store's files grow by for each entry that one client changes in a directory with so many. */
export function storedBytes(uri: string, scale: Scale): Promise<Figure[]> {
  const sizes = scaled(scale, [100, 10_000], [10_000], [100]);
  const budget = scaled(scale, 5000, 1000, 50);
  return withClients(uri, async ({ handle, kvs, client }) => {
    const statedir = await handle.attribute('statedir');
    const storedNow = async () => {
      await handle.rpc('content.flush');
      const files = fs.readdirSync(statedir).filter((name) => name.startsWith('content.sqlite'));
      return files.reduce((sum, name) => sum + fs.statSync(path.join(statedir, name)).size, 0);
    };
    const template = commit(`bench.stored.k${SLOT}`);
    let value = 0;
    return growing(sizes, async (size) => {
      await fillDirectory(kvs, 'bench.stored', { to: size });
      const before = await storedNow();
      const end = performance.now() + budget;
      const changes = await client.exchange(
        1,
        () => template.with((++value * STRIDE) % size, value),
        () => performance.now() < end,
      );
      return [figure(`kvs.stored-${size}`, 'bytes', 'less', [((await storedNow()) - before) / changes])];
    });
  });
}
