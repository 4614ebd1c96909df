/** Round trips to a service of the broker. */

import { type Figure, figure } from './figure.ts';
import { requestFrame, WireClient } from './wire-client.ts';

const frame = requestFrame('broker.ping', { seq: 1, pad: '' });

/** Pings before the first that counts: the engine's code is compiled when it has run often. */
const WARM_UP = 3000;

async function ping(client: WireClient, frame: Buffer): Promise<number> {
  const start = performance.now();
  const answer = client.next();
  client.send(frame);
  await answer;
  return performance.now() - start;
}

/** Milliseconds that each of so many requests takes, one after the other. */
export async function pingTimes(client: WireClient, frame: Buffer, count: number, warmUp = WARM_UP): Promise<number[]> {
  for (let i = 0; i < warmUp; i++) await ping(client, frame);
  const times: number[] = [];
  for (let i = 0; i < count; i++) times.push(await ping(client, frame));
  return times;
}

/** One ping at a time, milliseconds apart as `flux ping` sends them, and one right after the other. */
export async function pingLatency(uri: string, count: number): Promise<Figure[]> {
  const client = await WireClient.connect(uri);
  const busy = await pingTimes(client, frame, count);
  const apart: number[] = [];
  for (let i = 0; i < count / 2; i++) {
    await new Promise((resolve) => setTimeout(resolve, 1));
    apart.push(await ping(client, frame));
  }
  client.close();
  return [figure('ping.latency', 'ms', 'less', busy), figure('ping.latency-1ms-apart', 'ms', 'less', apart)];
}

/** Clients that each keep 64 pings under way. */
export async function pingThroughput(uri: string, perClient: number, clientCount = 8): Promise<Figure[]> {
  const clients = await Promise.all(Array.from({ length: clientCount }, () => WireClient.connect(uri)));
  const run = async (client: WireClient, count: number): Promise<void> => {
    let sent = 0;
    let received = 0;
    const send = (wanted: number) => {
      const now = Math.min(wanted, count - sent);
      sent += now;
      if (now) client.send(frame, now);
    };
    await new Promise<void>((resolve) => {
      client.onMessages = (messages) => {
        received += messages;
        if (received >= count) resolve();
        else send(messages);
      };
      send(64);
    });
  };
  const rates: number[] = [];
  for (let round = 0; round < 6; round++) {
    const start = performance.now();
    await Promise.all(clients.map((client) => run(client, perClient)));
    // The first round warms up.
    if (round) rates.push((clientCount * perClient) / ((performance.now() - start) / 1000));
  }
  for (const client of clients) client.close();
  return [figure('ping.throughput-8x64', 'pings/s', 'more', rates)];
}
