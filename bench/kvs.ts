/** Commits and lookups, as many clients and few send them. */

import { CommitFlag } from '../core/formats/kvs-flags.ts';
import { Handle } from '../core/handle/handle.ts';
import { Kvs } from '../core/handle/kvs.ts';
import { type Figure, figure } from './figure.ts';
import { commit, fillDirectory, lookup, unlink } from './kvs-requests.ts';
import { rates, round } from './rate.ts';
import { type Scale, scaled } from './scale.ts';
import { SLOT } from './template.ts';
import { requestFrame, WireClient } from './wire-client.ts';

const ping = requestFrame('broker.ping', { seq: 1, pad: 'x'.repeat(80) });

/**
 * Clients that each change a key of their own, one commit after the other; and the same clients pinging, to know what is
 * their own doing.
 */
export async function commitRates(uri: string, scale: Scale): Promise<Figure[]> {
  const figures: Figure[] = [];
  const clients = await Promise.all(Array.from({ length: 64 }, () => WireClient.connect(uri)));
  const measure = async (name: string, count: number, next: (client: number) => Buffer, unit = 'commits/s') => {
    const samples = await rates(clients.slice(0, count), 1, next, round(scale));
    figures.push(figure(name, unit, 'more', samples));
  };
  let value = 0;
  const commits = (flags: number) => {
    const templates = clients.map((_, index) => commit(`bench.client-${index}`, { flags }));
    return (client: number) => templates[client]!.with(++value);
  };
  for (const count of [1, 8, 64]) await measure(`kvs.commit-${count}`, count, commits(0));
  await measure('kvs.commit-8.no-merge', 8, commits(CommitFlag.noMerge));
  for (const count of [1, 64]) await measure(`kvs.commit-${count}.ping`, count, () => ping, 'pings/s');
  for (const client of clients) client.close();
  return figures;
}

/** Many keys in one commit, then looked up one by one. */
export async function manyKeys(uri: string, scale: Scale): Promise<Figure[]> {
  const count = scaled(scale, 10_000, 10_000, 100);
  const rounds = scaled(scale, 5, 1, 1);
  const handle = await Handle.open(uri);
  const kvs = new Kvs(handle);
  const client = await WireClient.connect(uri);
  const key = lookup(`bench.many.k${SLOT}`);
  const puts: number[] = [];
  const gets: number[] = [];
  for (let round = 0; round < rounds; round++) {
    const start = performance.now();
    await fillDirectory(kvs, 'bench.many', { to: count });
    const middle = performance.now();
    let index = 0;
    await client.exchange(
      1,
      () => key.with(index++),
      () => index < count,
    );
    puts.push((middle - start) / 1000);
    gets.push((performance.now() - middle) / 1000);
    await unlink(kvs, 'bench.many');
  }
  client.close();
  await handle.close();
  return [figure(`kvs.put-${count}`, 's', 'less', puts), figure(`kvs.get-${count}`, 's', 'less', gets)];
}
