/** Events: how many can be published, and how long one takes to reach many. */

import { Handle } from '../core/handle/handle.ts';
import { type Figure, figure } from './figure.ts';
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

/** From the publisher's request to the last of one subscriber on each rank. */
export async function eventFanout(uri: string, rounds: number): Promise<Figure[]> {
  const handle = await Handle.open(uri);
  const size = Number(await handle.attribute('size'));
  const subscribers: WireClient[] = [];
  for (let rank = 0; rank < size; rank++) {
    const subscriber = await WireClient.connect(await handle.attribute('local-uri', { nodeid: rank }));
    const subscribed = subscriber.next();
    subscriber.send(subscribe);
    await subscribed;
    subscribers.push(subscriber);
  }
  await handle.close();
  const publisher = await WireClient.connect(uri);
  const times: number[] = [];
  for (let round = 0; round < rounds; round++) {
    let missing = size;
    const all = new Promise<void>((resolve) => {
      for (const subscriber of subscribers)
        subscriber.onMessages = () => {
          if (--missing === 0) resolve();
        };
    });
    const start = performance.now();
    publisher.send(publish);
    await all;
    times.push(performance.now() - start);
  }
  for (const client of [...subscribers, publisher]) client.close();
  return [figure(`event.fanout-${size}`, 'ms', 'less', times)];
}
