/**
 * Clients that send more than is taken, and clients that take less than they are sent: memory stays bounded, who does not
 * read is cut off with a line in the log, and the others do not notice.
 */

import assert from 'node:assert/strict';
import fs from 'node:fs';
import { after, before, test } from 'node:test';
import { errno } from '../../core/errno.ts';
import { Handle } from '../../core/handle/handle.ts';
import { LATER } from '../../core/handle/methods.ts';
import { encodeFrame } from '../../core/message/framing.ts';
import { Flag, Message, MessageType } from '../../core/message/message.ts';
import { WireClient } from '../wire-client.ts';
import { type Instance, startInstance } from './instance.ts';
import { residentKilobytes, until, untilLogged } from './support.ts';

/** Low, so that it is soon exceeded, but more than is on the way when a program is told to wait. */
const BACKLOG_BYTES = 16_000_000;

let instance: Instance;
let other: Handle;
before(async () => {
  instance = await startInstance(2, [`--conf=engine.client-backlog=${BACKLOG_BYTES}`]);
  other = await Handle.open(instance.uri);
});
after(async () => {
  await other.close();
  const { exit, stderr } = await instance.stop();
  assert.equal(exit, 0, stderr);
});

/** Checks that the engine grows by less than this while something happens. */
async function checkGrowth<T>(megabytes: number, action: () => Promise<T>): Promise<T> {
  const before = residentKilobytes(instance.pid);
  const result = await action();
  const grown = (residentKilobytes(instance.pid) - before) / 1024;
  assert.ok(grown < megabytes, `the engine has grown by ${grown.toFixed(0)} MB`);
  return result;
}

function request(topic: string, payload: object, matchtag: number, flags = 0): Buffer {
  const bytes = Buffer.from(`${JSON.stringify(payload)}\0`);
  return encodeFrame(Message.request({ topic, payload: bytes, matchtag, flags }));
}

const cutOff = /client of uid \d+ \(pid \d+\) does not read: cut off with \d+ bytes unread/;

test('a subscriber that does not read is cut off, and the others get every event', async () => {
  await other.rpc('log.clear');
  const count = 2000;
  const events = await other.subscribe('flood.');
  const lazy = await WireClient.connect(instance.uri);
  lazy.write(request('event.subscribe', { topic: 'flood.' }, 1));
  assert.ok(await lazy.take((message) => message.type === MessageType.response));
  lazy.socket.pause();
  await checkGrowth(100, async () => {
    const payload = { pad: 'x'.repeat(10_000) };
    for (let i = 0; i < count; i++) {
      const published = other.publish(`flood.${i}`, payload);
      if (i % 100 === 99) await published;
    }
    let next = 0;
    for await (const event of events) {
      assert.equal(event.topic, `flood.${next}`);
      if (++next === count) break;
    }
  });
  await untilLogged(other, cutOff);
  lazy.close();
});

test('a client that does not read its answers is cut off', async () => {
  await other.rpc('log.clear');
  const lazy = await WireClient.connect(instance.uri);
  lazy.socket.pause();
  const flood = Buffer.concat(
    Array.from({ length: 1000 }, (_, i) => request('broker.ping', { pad: 'x'.repeat(1000) }, i + 1)),
  );
  await checkGrowth(100, async () => {
    for (let i = 0; i < 50 && !lazy.isClosed; i++) {
      const written = new Promise((resolve) => lazy.socket.write(flood, resolve));
      await Promise.race([written, lazy.until(() => lazy.isClosed)]);
    }
    await untilLogged(other, cutOff);
  });
  await other.rpc('broker.ping', {}, { nodeid: 1 });
  lazy.close();
});

test('a flood of requests to a service that is not there is answered, each with ENOSYS', async () => {
  const answers = await Promise.all(
    Array.from({ length: 20_000 }, () =>
      other
        .request('nosuch.method', {})
        .next()
        .then(({ errnum }) => errnum),
    ),
  );
  assert.ok(answers.every((errnum) => errnum === errno.ENOSYS));
});

test('requests to a client that goes without answering fail with ENOSYS, and its name is free again', async () => {
  const server = await Handle.open(instance.uri);
  let taken = 0;
  const take = (): typeof LATER => {
    taken++;
    return LATER;
  };
  await server.serve('mute', { ask: { handler: take } });
  const count = 5000;
  const answers = Array.from({ length: count }, () => other.request('mute.ask', {}).next());
  const remote = await Handle.open(instance.uri);
  const upstream = remote.request('mute.ask', {}, { nodeid: 0 }).next();
  await until(() => taken === count + 1, 'the service has taken all requests');
  await server.close();
  for (const { errnum } of await Promise.all([...answers, upstream])) assert.equal(errnum, errno.ENOSYS);
  await remote.serve('mute', { ask: { handler: () => ({ answer: 42 }) } });
  assert.deepEqual(await other.rpc('mute.ask', {}), { answer: 42 });
  await remote.close();
});

test('a service that does not read is cut off, and who asked it learns that', async () => {
  await other.rpc('log.clear');
  const lazy = await WireClient.connect(instance.uri);
  lazy.write(request('service.add', { service: 'lazy' }, 1));
  assert.ok(await lazy.take((message) => message.type === MessageType.response));
  lazy.socket.pause();
  await checkGrowth(150, async () => {
    const payload = { pad: 'x'.repeat(10_000) };
    const answers = Array.from({ length: 3000 }, () => other.request('lazy.ask', payload).next());
    for (const { errnum } of await Promise.all(answers)) assert.equal(errnum, errno.ENOSYS);
  });
  await untilLogged(other, cutOff);
  lazy.close();
});

/** A request to run a shell script. */
const script = (text: string) => ({
  cmd: { cmdline: ['sh', '-c', text], env: { PATH: process.env.PATH ?? '' }, opts: {}, channels: [] },
  flags: 3,
});

interface Output {
  readonly type: string;
  readonly pid?: number;
  readonly status?: number;
  readonly io?: { readonly stream: string; readonly data?: string };
}

test('a program whose reader is slow waits for him, and loses nothing', async () => {
  const lines = 3_000_000;
  const slow = await WireClient.connect(instance.uri);
  slow.write(request('rexec.exec', script(`exec seq ${lines}`), 1, Flag.streaming));
  const next = async () => (await slow.take((message) => message.matchtag === 1, 20_000))!;
  const { pid } = (await next()).unpack({ pid: 'i' });
  slow.socket.pause();
  await checkGrowth(60, async () => {
    // Nothing more comes out of the program: it is as far as it gets.
    let before = -1;
    await until(async () => {
      const written = bytesWritten(pid);
      const isStill = written === before && written > 0;
      before = written;
      await new Promise((resolve) => setTimeout(resolve, 100));
      return isStill;
    }, 'the program waits');
    assert.ok(before < 20_000_000, `it has written ${before} bytes`);
  });
  await other.rpc('broker.ping', {});
  slow.socket.resume();
  let received = '';
  for (;;) {
    const message = await next();
    if (message.errnum) {
      assert.equal(message.errnum, errno.ENODATA);
      break;
    }
    const { type, io } = message.json as unknown as Output;
    if (type === 'output' && io?.stream === 'stdout') received += io.data ?? '';
  }
  assert.equal(received.length, Array.from({ length: lines }, (_, i) => `${i + 1}\n`).join('').length);
  assert.ok(received.startsWith('1\n2\n3\n') && received.endsWith(`\n${lines}\n`));
  slow.close();
});

/** Bytes that a process has written so far. */
function bytesWritten(pid: number): number {
  return Number(/^wchar: (\d+)/m.exec(fs.readFileSync(`/proc/${pid}/io`, 'utf8'))?.[1]);
}

test('a program that floods its client ends when the client goes', async () => {
  const client = await Handle.open(instance.uri);
  const responses = client.request('rexec.exec', script('exec yes flood'), { flags: Flag.streaming });
  assert.equal((await responses.next()).unpack({ type: 's' }).type, 'started');
  await responses.next();
  await client.close();
  await until(async () => {
    const { procs } = await other.rpc<{ procs: { label: string }[] }>('rexec.list');
    return procs.every(({ label }) => label === 'rc2');
  }, 'the program has ended');
});

test('a program that somebody else kills is reported as killed, and others run on', async () => {
  const bystander = other.request('rexec.exec', script('read line; exit 3'), { flags: Flag.streaming });
  await bystander.next();
  const types: string[] = [];
  let status = -1;
  for await (const message of other.stream<Output>('rexec.exec', script('exec sleep 60'))) {
    types.push(message.type);
    if (message.type === 'started') process.kill(message.pid!, 'SIGKILL');
    if (message.type === 'finished') status = message.status!;
  }
  assert.equal(status, 9);
  assert.equal(types[0], 'started');
  other.notify('rexec.write', { matchtag: bystander.matchtag, io: { stream: 'stdin', rank: '0', eof: true } });
  for (;;) {
    const { type, status: code } = (await bystander.next()).json as unknown as Output;
    if (type !== 'finished') continue;
    assert.equal(code, 3 << 8);
    break;
  }
});
