/** Events: how many can be published, and how long one takes to reach many. */

import { fileURLToPath } from 'node:url';
import { Handle } from '../core/handle/handle.ts';
import { type Figure, figure } from './figure.ts';
import type { LastEvent } from './subscriber.ts';
import { requestFrame, WireClient } from './wire-client.ts';

const subscribe = requestFrame('event.subscribe', { topic: 'bench' });
const publish = requestFrame('event.publish', { topic: 'bench.event', flags: 0 });

/** One publisher with 64 events under way, one subscriber. */
export async function eventThroughput(uri: string, count: number): Promise<Figure[]> {
  const subscriber = await WireClient.connect(uri);
  const subscribed = subscriber.next();
  subscriber.send(subscribe);
  await subscribed;
  const publisher = await WireClient.connect(uri);
  const rates: number[] = [];
  for (let round = 0; round < 6; round++) {
    const start = performance.now();
    let received = 0;
    const all = new Promise<void>((resolve) => {
      subscriber.onMessages = (messages) => {
        received += messages;
        if (received === count) resolve();
      };
    });
    let sent = 64;
    publisher.onMessages = (messages) => {
      const now = Math.min(messages, count - sent);
      sent += now;
      if (now) publisher.send(publish, now);
    };
    publisher.send(publish, 64);
    await all;
    if (round) rates.push(count / ((performance.now() - start) / 1000));
  }
  subscriber.close();
  publisher.close();
  return [figure('event.throughput', 'events/s', 'more', rates)];
}

/** From the publisher's request until a module on every rank has the event. */
export async function eventToRanks(uri: string, rounds: number): Promise<Figure[]> {
  const handle = await Handle.open(uri);
  const size = Number(await handle.attribute('size'));
  const ranks = Array.from({ length: size }, (_, rank) => rank);
  const path = fileURLToPath(new URL('./subscriber.js', import.meta.url));
  const load = (nodeid: number) => handle.rpc('module.load', { path, args: [] }, { nodeid });
  await Promise.all(ranks.map(load));
  const times: number[] = [];
  for (let round = 1; round <= rounds; round++) {
    const start = process.hrtime.bigint();
    await handle.publish('bench.event');
    // Asking earlier would slow down what is measured.
    await new Promise((resolve) => setTimeout(resolve, 20));
    let last: LastEvent[];
    do last = await Promise.all(ranks.map((nodeid) => handle.rpc<LastEvent>('subscriber.last', null, { nodeid })));
    while (last.some(({ count }) => count < round));
    const latest = last.reduce((max, { time }) => (BigInt(time) > max ? BigInt(time) : max), 0n);
    times.push(Number(latest - start) / 1e6);
  }
  await handle.close();
  return [figure(`event.to-${size}-ranks`, 'ms', 'less', times)];
}

/** A client on each of these ranks that is subscribed to the event; all of them are in this process. */
export async function subscribers(handle: Handle, ranks: readonly number[]): Promise<WireClient[]> {
  const clients: WireClient[] = [];
  for (const nodeid of ranks) {
    const client = await WireClient.connect(await handle.attribute('local-uri', { nodeid }));
    const subscribed = client.next();
    client.send(subscribe);
    await subscribed;
    clients.push(client);
  }
  return clients;
}

/** Milliseconds from each of so many requests to publish the event until all subscribers have it. */
export async function eventTimes(uri: string, clients: readonly WireClient[], rounds: number): Promise<number[]> {
  const publisher = await WireClient.connect(uri);
  const times: number[] = [];
  for (let round = 0; round < rounds; round++) {
    let missing = clients.length;
    const all = new Promise<void>((resolve) => {
      for (const client of clients)
        client.onMessages = () => {
          if (--missing === 0) resolve();
        };
    });
    const start = performance.now();
    publisher.send(publish);
    await all;
    times.push(performance.now() - start);
  }
  publisher.close();
  return times;
}

/** From the publisher's request until one client on every rank has the event. */
export async function eventToClients(uri: string, rounds: number): Promise<Figure[]> {
  const handle = await Handle.open(uri);
  const size = Number(await handle.attribute('size'));
  const clients = await subscribers(
    handle,
    Array.from({ length: size }, (_, rank) => rank),
  );
  await handle.close();
  const times = await eventTimes(uri, clients, rounds);
  for (const client of clients) client.close();
  return [figure(`event.to-${size}-clients`, 'ms', 'less', times)];
}
