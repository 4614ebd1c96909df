// A proxy's socket between clients and a broker that do what a test says: clients who send nonsense, who do not read, and a
// broker that does not.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { errno } from '../../../core/errno.ts';
import { encodeFrame } from '../../../core/message/framing.ts';
import { Message, MessageType } from '../../../core/message/message.ts';
import { type ProxyOptions, ProxyServer } from '../../../core/node/proxy-server.ts';
import { until } from '../../e2e/support.ts';
import { WireClient } from '../../wire-client.ts';
import { Server } from '../handle/server.ts';

interface Rig {
  readonly broker: Server;
  readonly proxy: ProxyServer;
  readonly warnings: string[];
  /** How often the connection was lost. */
  losses(): number;
  connect(): Promise<WireClient>;
}

async function withProxy(use: (rig: Rig) => Promise<void>, options: Partial<ProxyOptions> = {}): Promise<void> {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'flux-proxy-'));
  const broker = await Server.listen();
  const warnings: string[] = [];
  const clients: WireClient[] = [];
  let losses = 0;
  const proxy = new ProxyServer({
    userid: os.userInfo().uid,
    lost: () => losses++,
    warn: (text) => warnings.push(text),
    ...options,
  });
  try {
    await proxy.connect(broker.uri);
    const socket = path.join(folder, 'local');
    await proxy.listen(socket);
    const connect = async () => {
      const client = await WireClient.connect(`local://${socket}`);
      clients.push(client);
      return client;
    };
    await use({ broker, proxy, warnings, losses: () => losses, connect });
  } finally {
    for (const client of clients) client.close();
    await proxy.close();
    await broker.close();
    fs.rmSync(folder, { recursive: true });
  }
}

const ask = (topic: string, payload: object = {}, matchtag = 1) =>
  encodeFrame(Message.request({ topic, matchtag, payload: payload as Record<string, never> }));

const isResponse = ({ type }: Message) => type === MessageType.response;

/** Checks that a client gets answers. */
async function checkAnswered(broker: Server, client: WireClient): Promise<void> {
  const before = broker.onRequest;
  broker.onRequest = (request) => (request.topic === 'probe.x' ? broker.respond(request, { n: 1 }) : before(request));
  client.write(ask('probe.x'));
  assert.deepEqual((await client.take(({ topic }) => topic === 'probe.x'))?.json, { n: 1 });
  broker.onRequest = before;
}

test('a user who is not that of the proxy is refused', () =>
  withProxy(
    async ({ connect }) => {
      const client = await connect();
      assert.equal(client.auth, errno.EPERM);
      assert.ok(await client.until(() => client.isClosed));
    },
    { userid: os.userInfo().uid + 1 },
  ));

const good = ask('x.y');
const cutOff = Buffer.from(good);
// The topic's size: it runs past the end.
cutOff[9] = 200;
for (const [what, bytes] of [
  ['text', Buffer.from('GET / HTTP/1.1\r\n\r\n')],
  ['a frame without magic', Buffer.alloc(64)],
  ['a frame that is longer than any message', Buffer.from([0x12, 0, 0xee, 0xff, 0xff, 0xff, 0xff, 0xff])],
  ['a message without header', Buffer.concat([good.subarray(0, 8), Buffer.alloc(good.length - 8)])],
  ['a message whose parts run past its end', cutOff],
] as const)
  test(`a client that sends ${what} is dropped, and the others go on`, () =>
    withProxy(async ({ broker, connect }) => {
      const [bad, fine] = [await connect(), await connect()];
      await checkAnswered(broker, fine);
      bad.write(Buffer.concat([good, bytes]));
      assert.ok(await bad.until(() => bad.isClosed));
      await broker.request('x.y');
      await broker.request('x.disconnect');
      await checkAnswered(broker, fine);
    }));

test('what a client sent before it left is forwarded', () =>
  withProxy(async ({ broker, connect }) => {
    const client = await connect();
    client.socket.end(Buffer.concat(Array.from({ length: 1000 }, (_, i) => ask('x.y', { i }))));
    await broker.request('x.disconnect');
    assert.equal(broker.received.filter(({ topic }) => topic === 'x.y').length, 1000);
  }));

test('a client that does not read is cut off once too much waits for it, and the others go on', () =>
  withProxy(
    async ({ broker, connect, warnings }) => {
      const [slow, fine] = [await connect(), await connect()];
      slow.write(ask('flood.x'));
      const request = await broker.request('flood.x');
      slow.socket.pause();
      const answer = { text: 'x'.repeat(64 * 1024) };
      // Twice what may wait, and what the sockets hold.
      for (let i = 0; i < 64; i++) broker.respond(request, answer);
      await broker.request('flood.disconnect');
      assert.match(warnings.join('\n'), /^a client does not read: cut off with \d+ bytes unread$/);
      await checkAnswered(broker, fine);
    },
    { holdBytes: 256 * 1024, cutBytes: 1024 * 1024, patienceMs: 100 },
  ));

test('a client that reads slowly gets everything, while the broker waits', () =>
  withProxy(
    async ({ broker, connect, warnings }) => {
      const client = await connect();
      client.write(ask('flood.x'));
      const request = await broker.request('flood.x');
      const count = 128;
      for (let i = 0; i < count; i++) broker.respond(request, { i, text: 'x'.repeat(64 * 1024) });
      const pausing = setInterval(() => {
        client.socket.pause();
        setTimeout(() => client.socket.resume(), 5);
      }, 10);
      for (let i = 0; i < count; i++)
        assert.equal(((await client.take(isResponse))?.json as { i?: number } | undefined)?.i, i);
      clearInterval(pausing);
      assert.deepEqual(warnings, []);
    },
    { holdBytes: 128 * 1024, cutBytes: 512 * 1024, patienceMs: 2000 },
  ));

test('while the broker does not read, nothing is read from the clients', () =>
  withProxy(async ({ broker, connect }) => {
    const client = await connect();
    client.write(ask('x.first'));
    await broker.request('x.first');
    broker.pause(true);
    const chunk = ask('x.y', { text: 'x'.repeat(1024 * 1024) });
    for (let i = 0; i < 16; i++) client.write(chunk);
    // What Node is writing counts as unwritten until all of it is written; libuv knows better.
    const { _handle: handle } = client.socket as unknown as { _handle: { writeQueueSize: number } };
    const late = await connect();
    late.write(ask('x.late'));
    let before = 0;
    let turns = 0;
    await until(() => {
      turns = handle.writeQueueSize === before ? turns + 1 : 0;
      before = handle.writeQueueSize;
      return turns === 20;
    }, 'the proxy reads no more');
    assert.ok(before > 8 * chunk.length, `only ${before} bytes are left with the client`);
    assert.ok(before < 16 * chunk.length);
    broker.pause(false);
    await broker.until(() => broker.received.filter(({ topic }) => topic === 'x.y').length === 16);
    await broker.request('x.late');
  }));

test('clients wait while there is no connection, and go on with the next', () =>
  withProxy(
    async ({ broker, proxy, connect, losses }) => {
      const client = await connect();
      broker.onRequest = (request) => {
        if (/^(event|state-machine)\./.test(request.topic!)) broker.respond(request);
      };
      client.write(ask('event.subscribe', { topic: 't' }));
      await client.take(isResponse);
      client.write(ask('x.lost', {}, 2));
      await broker.request('x.lost');
      broker.hangUp();
      const lost = await client.take(isResponse);
      assert.deepEqual([lost?.topic, lost?.errnum], ['x.lost', errno.ECONNRESET]);
      assert.equal(losses(), 1);
      client.write(ask('x.waits', {}, 3));
      await assert.rejects(proxy.reconnect('local:///nowhere/local'), { code: 'ENOENT' });
      await proxy.reconnect(broker.uri);
      broker.respond(await broker.request('x.waits'), { late: true });
      assert.deepEqual((await client.take(isResponse))?.json, { late: true });
      assert.deepEqual(
        broker.received.map(({ topic }) => topic),
        ['event.subscribe', 'x.lost', 'state-machine.wait', 'event.subscribe', 'x.waits'],
      );
      broker.send(Message.event('t.x', undefined));
      assert.equal((await client.take(({ type }) => type === MessageType.event))?.topic, 't.x');
    },
    { tracks: true },
  ));

test('a broker that goes again before all is set up counts as one that never came', () =>
  withProxy(
    async ({ broker, proxy, losses }) => {
      broker.hangUp();
      await until(() => losses() === 1, 'the connection is lost');
      broker.onRequest = () => broker.hangUp();
      await assert.rejects(proxy.reconnect(broker.uri), { code: 'ECONNRESET' });
      broker.onRequest = (request) => broker.respond(request);
      await proxy.reconnect(broker.uri);
      assert.equal(losses(), 1);
      broker.hangUp();
      await until(() => losses() === 2, 'the connection is lost again');
    },
    { tracks: true },
  ));
