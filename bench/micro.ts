/** Small things that happen often. */

import { Bench } from 'tinybench';
import { Hostlist } from '../core/formats/hostlist.ts';
import { IdSet } from '../core/formats/idset.ts';
import { Subscriptions } from '../core/handle/subscriptions.ts';
import { parseJson, real, stringifyJson } from '../core/json.ts';
import { decodeMessage, encodeMessage } from '../core/message/codec.ts';
import { FrameReader } from '../core/message/framing.ts';
import { Message } from '../core/message/message.ts';
import type { Figure } from './figure.ts';

const request = Message.request({ topic: 'kvs.lookup-plus', payload: { key: 'a.b.c', flags: 0 }, matchtag: 7 });
for (let hop = 0; hop < 3; hop++) request.routes.push(`2f7ab0c${hop}-d4f1-4e5b-8a3b-0b1c2d3e4f50`);
const encoded = encodeMessage(request);
const framed = Buffer.concat(Array.from({ length: 100 }, () => frameOf(encoded)));
const ids = IdSet.parse('0-127,130,140-159,1000-1999');
const hosts = Hostlist.parse('node[0001-0512],login[1-4]');
const subscriptions = new Subscriptions<number>();
for (let i = 0; i < 1000; i++) subscriptions.add(`topic.${i % 50}.`, i);
const reals = { now: real(1), id: 12345678901234567890n, plain: [1, 2, 3] };
const realText = stringifyJson(reals);

function frameOf(message: Buffer): Buffer {
  const header = Buffer.from([0x12, 0x00, 0xee, 0xff, 0, 0, 0, 0]);
  header.writeUInt32BE(message.length, 4);
  return Buffer.concat([header, message]);
}

const tasks: Readonly<Record<string, () => unknown>> = {
  'message.encode': () => encodeMessage(request),
  'message.decode': () => decodeMessage(encoded, 0, encoded.length).topic,
  'message.decode-payload': () => decodeMessage(encoded, 0, encoded.length).json,
  'message.route-push-pop': () => {
    request.routes.push('0b1c2d3e-d4f1-4e5b-8a3b-0b1c2d3e4f50');
    return request.routes.pop();
  },
  'framing.100-frames': () => new FrameReader().push(framed, () => {}),
  'json.parse-with-reals': () => parseJson(realText),
  'json.stringify-with-reals': () => stringifyJson(reals),
  'idset.parse': () => IdSet.parse('0-127,130,140-159,1000-1999'),
  'idset.encode': () => ids.encode(),
  'hostlist.parse': () => Hostlist.parse('node[0001-0512],login[1-4]'),
  'hostlist.encode': () => hosts.encode(),
  'subscriptions.of-1000': () => subscriptions.of('topic.7.x'),
};

/** Each small thing for `milliseconds`. */
export async function microFigures(milliseconds: number): Promise<Figure[]> {
  const bench = new Bench({ time: milliseconds, warmupTime: milliseconds / 4 });
  for (const [name, task] of Object.entries(tasks)) bench.add(name, task);
  await bench.run();
  return bench.tasks.map(({ name, result }) => {
    if (!('latency' in result)) throw new Error(`${name} did not run`);
    const { latency } = result;
    // Milliseconds become microseconds.
    return {
      name,
      unit: 'µs',
      better: 'less',
      median: latency.p50 * 1000,
      p99: latency.p99 * 1000,
      samples: latency.samplesCount ?? 0,
    };
  });
}
