/**
 * Bytes that are no messages: each ends the connection that sent it, with a line in the log, and no other.
 */

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Handle } from '../../core/handle/handle.ts';
import { encodeFrame } from '../../core/message/framing.ts';
import { Flag, Message } from '../../core/message/message.ts';
import { WireClient } from '../wire-client.ts';
import { type Instance, startInstance } from './instance.ts';
import { readLog, residentKilobytes, until, untilLogged } from './support.ts';

let instance: Instance;
/** Another client: it must not notice. */
let other: Handle;
before(async () => {
  instance = await startInstance(2);
  other = await Handle.open(instance.uri);
});
after(async () => {
  await other.close();
  const { exit } = await instance.stop();
  assert.equal(exit, 0);
});

/** How many clients rank 0 has, beside the one that asks. */
async function clientCount(): Promise<number> {
  const { server } = await other.rpc<{ server: { clients: unknown[] } }>('connector-local.stats-get');
  return server.clients.length - 1;
}

const frame = encodeFrame(Message.request({ topic: 'broker.ping', payload: {}, matchtag: 1 }));

/** The valid frame with some bytes replaced, counted from its begin, or from its end when negative. */
function patched(at: number, ...bytes: number[]): Buffer {
  const copy = Buffer.from(frame);
  copy.set(bytes, at < 0 ? copy.length + at : at);
  return copy;
}

/** A frame with this body. */
function framed(body: Uint8Array, length = body.length): Buffer {
  const head = Buffer.from('1200eeff00000000', 'hex');
  head.writeUInt32BE(length, 4);
  return Buffer.concat([head, body]);
}

const header = (flags: number) => Buffer.from([20, 0x8e, 1, 1, flags, ...Buffer.alloc(16, 0xff)]);

/** Bytes, and what the log says of them. */
const rows: [what: string, bytes: Buffer, log: RegExp][] = [
  ['a frame with a wrong magic', patched(0, 0xff), /bad magic in a frame header/],
  ['a frame with the magic in the other byte order', patched(0, 0xff, 0xee, 0, 0x12), /bad magic in a frame header/],
  ['text', Buffer.from('GET / HTTP/1.1\r\n\r\n'), /bad magic in a frame header/],
  ['an empty frame', framed(Buffer.alloc(0)), /frame of 0 bytes is no message/],
  ['a frame of a header without size', framed(Buffer.alloc(20)), /frame of 20 bytes is no message/],
  ['a frame of 4 GB', framed(Buffer.alloc(0), 0xffffffff), /frame of 4294967295 bytes exceeds the limit/],
  ['a frame beyond the limit', framed(Buffer.alloc(0), 2 ** 30 + 2 ** 20 + 1), /exceeds the limit/],
  ['a message with a wrong magic', patched(-20, 0x8f), /bad magic, version or type/],
  ['a message of version 2', patched(-19, 2), /bad magic, version or type/],
  ['a message of type 0', patched(-18, 0), /bad magic, version or type/],
  ['a message of type 3', patched(-18, 3), /bad magic, version or type/],
  ['a message of type 16', patched(-18, 16), /bad magic, version or type/],
  ['a message of type 255', patched(-18, 255), /bad magic, version or type/],
  ['a header of 19 bytes', framed(Buffer.concat([Buffer.from([19]), Buffer.alloc(19), Buffer.alloc(4)])), /bad magic/],
  ['zeros', framed(Buffer.alloc(64)), /bad magic/],
  ['a part that runs past the end', framed(Buffer.concat([Buffer.from([255, 255, 0, 0, 0]), header(0)])), /no message/],
  ['a part that hides the header', framed(Buffer.concat([Buffer.from([22]), header(0)])), /no message/],
  ['a flag for routes, and no delimiter', framed(header(Flag.route)), /no message/],
  ['a flag for a topic, and none', framed(header(Flag.topic)), /no message/],
  ['a flag for a payload, and none', framed(Buffer.concat([Buffer.from([1, 65]), header(3)])), /no message/],
];

for (const [what, bytes, log] of rows) {
  test(`${what} ends the connection`, async () => {
    await other.rpc('log.clear');
    const client = await WireClient.connect(instance.uri);
    client.write(bytes);
    assert.ok(await client.until(() => client.isClosed), 'the connection is still open');
    await untilLogged(other, log);
    assert.equal((await readLog(other)).length, 1);
    await other.rpc('broker.ping', {}, { nodeid: 1 });
  });
}

test('what came before bytes that are no message is done all the same', async () => {
  const payload = { name: 'test.before', value: 'done' };
  const request = encodeFrame(Message.request({ topic: 'attr.set', payload, flags: Flag.noresponse }));
  const client = await WireClient.connect(instance.uri);
  client.write(Buffer.concat([request, patched(0, 0)]));
  assert.ok(await client.until(() => client.isClosed));
  await until(async () => (await clientCount()) === 0, 'the client is gone');
  assert.equal(await other.attribute('test.before'), 'done');
});

test('a frame that comes byte by byte is a frame', async () => {
  const client = await WireClient.connect(instance.uri);
  for (const byte of frame) {
    client.write(Buffer.of(byte));
    await new Promise((resolve) => setImmediate(resolve));
  }
  assert.ok(await client.take((message) => message.topic === 'broker.ping'));
  client.close();
});

test('a length field of 1 GB costs no memory before the bytes come', async () => {
  const before = residentKilobytes(instance.pid);
  const clients = await Promise.all(Array.from({ length: 50 }, () => WireClient.connect(instance.uri)));
  for (const client of clients) client.write(framed(Buffer.alloc(1000), 2 ** 30));
  await until(async () => (await clientCount()) === 50, 'all clients are connected');
  await other.rpc('broker.ping', {});
  assert.ok(residentKilobytes(instance.pid) - before < 50 * 1024, 'the engine has grown by more than 50 MB');
  for (const client of clients) client.close();
  await until(async () => (await clientCount()) === 0, 'all clients are gone');
});

test('a client that is killed in the midst of a frame is gone without a trace', async () => {
  await other.rpc('log.clear');
  for (let length = 1; length < frame.length; length++) {
    const client = await WireClient.connect(instance.uri);
    client.write(frame.subarray(0, length));
    client.close();
  }
  await until(async () => (await clientCount()) === 0, 'all clients are gone');
  assert.deepEqual(await readLog(other), []);
});
