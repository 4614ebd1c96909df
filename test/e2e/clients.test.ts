/**
 * Many clients and large messages: sockets are made when they are needed, thousands of clients are served and forgotten,
 * and payloads of all sizes go through unchanged.
 */

import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { Handle } from '../../core/handle/handle.ts';
import { LATER } from '../../core/handle/methods.ts';
import { Real } from '../../core/json.ts';
import { encodeFrame } from '../../core/message/framing.ts';
import { Message } from '../../core/message/message.ts';
import { WireClient } from '../wire-client.ts';
import { type Instance, startInstance } from './instance.ts';
import { readLog, residentKilobytes, until } from './support.ts';

describe('256 ranks', () => {
  let instance: Instance;
  let leader: Handle;
  before(async () => {
    instance = await startInstance(256, ['-Stbon.topo=kary:4', '--conf=engine.routers=2']);
    leader = await Handle.open(instance.uri);
  });
  after(async () => {
    await leader.close();
    const { exit, stderr } = await instance.stop();
    assert.equal(exit, 0, stderr);
  });

  const sockets = () => fs.readdirSync(path.dirname(instance.uri.slice('local://'.length)));

  test('make a socket when somebody asks for it', async () => {
    assert.deepEqual(sockets(), ['local-0']);
    const ranks = Array.from({ length: 50 }, (_, i) => 5 * i + 5);
    const handles = await Promise.all(
      ranks.map(async (nodeid) => Handle.open(await leader.attribute('local-uri', { nodeid }))),
    );
    assert.deepEqual(sockets().sort(), ['local-0', ...ranks.map((rank) => `local-${rank}`)].sort());
    const found = await Promise.all(handles.map((handle) => handle.attribute('rank')));
    assert.deepEqual(found.map(Number), ranks);
    await Promise.all(handles.map((handle) => handle.close()));
  });

  test('are all there', async () => {
    const answers = Array.from({ length: 256 }, (_, nodeid) =>
      leader.rpc<{ rank: number }>('broker.ping', {}, { nodeid }).then(({ rank }) => rank === nodeid),
    );
    assert.ok((await Promise.all(answers)).every(Boolean));
    assert.equal((await leader.rpc<{ members: string }>('groups.get', { name: 'broker.online' })).members, '0-255');
  });

  test('do not mind some that are cut off; who waits for those learns it', async () => {
    const cut = await Handle.open(await leader.attribute('local-uri', { nodeid: 5 }));
    await cut.serve('mute', { ask: { handler: () => LATER } });
    const answer = assert.rejects(leader.rpc('mute.ask', {}, { nodeid: 5 }), { code: 'EHOSTUNREACH' });
    // Rank 5 is below rank 1.
    await leader.rpc('overlay.disconnect-subtree', { rank: 1 });
    await answer;
    await assert.rejects(leader.rpc('broker.ping', {}, { nodeid: 5 }), { code: 'EHOSTUNREACH' });
    await leader.rpc('broker.ping', {}, { nodeid: 255 });
    await cut.close();
  });
});

describe('one rank', () => {
  let instance: Instance;
  let other: Handle;
  before(async () => {
    instance = await startInstance(2);
    other = await Handle.open(instance.uri);
  });
  after(async () => {
    await other.close();
    const { exit, stderr } = await instance.stop();
    assert.equal(exit, 0, stderr);
  });

  const clientCount = async () => {
    const { server } = await other.rpc<{ server: { clients: unknown[] } }>('connector-local.stats-get');
    return server.clients.length;
  };

  test('serves 2,000 clients at once', async () => {
    const before = residentKilobytes(instance.pid);
    const handles = await Promise.all(Array.from({ length: 2000 }, () => Handle.open(instance.uri)));
    const events = await Promise.all(handles.slice(0, 500).map((handle) => handle.subscribe('storm')));
    assert.equal(await clientCount(), 2001);
    const answers = await Promise.all(
      handles.map((handle, i) => handle.rpc<{ seq: number }>('broker.ping', { seq: i }, { nodeid: i % 2 })),
    );
    assert.deepEqual(
      answers.map(({ seq }) => seq),
      handles.map((_, i) => i),
    );
    await other.publish('storm');
    for (const queue of events) assert.equal((await queue[Symbol.asyncIterator]().next()).value?.topic, 'storm');
    assert.ok(residentKilobytes(instance.pid) - before < 100 * 1024, 'it has grown by more than 100 MB');
    await Promise.all(handles.map((handle) => handle.close()));
    await until(async () => (await clientCount()) === 1, 'all clients are gone');
  });

  test('hears to the end clients that go without waiting for answers', async () => {
    await other.rpc('log.clear', {});
    const frame = encodeFrame(
      Message.request({ topic: 'log.append', payload: Buffer.from('<13>1 - 0 leaving - - - bye') }),
    );
    for (let i = 0; i < 50; i++) {
      const client = await WireClient.connect(instance.uri);
      // One by one, so that the first is answered while the others are on their way.
      for (let n = 0; n < 4; n++) {
        client.socket.write(frame);
        await new Promise((resolve) => setImmediate(resolve));
      }
      client.socket.destroy();
    }
    const said = async () => (await readLog(other)).filter((line) => line.includes('bye')).length;
    await until(async () => (await said()) === 200, 'all has been heard');
  });

  test('forgets clients that come and go, whatever they were about to do', async () => {
    const acts: ((handle: Handle, i: number) => unknown)[] = [
      () => undefined,
      (handle) => handle.notify('broker.ping', {}),
      (handle) => handle.rpc('broker.ping', {}, { nodeid: 1 }).catch(() => {}),
      (handle, i) => handle.serve(`storm${i}`, {}).catch(() => {}),
      (handle) => handle.subscribe('').catch(() => {}),
      (handle) => handle.request('log.dmesg', { follow: true }, { flags: 64 }),
      (handle) => handle.rpc('groups.join', { name: 'storm' }, { nodeid: 1 }).catch(() => {}),
      (handle, i) => handle.publish(`storm.${i}`).catch(() => {}),
    ];
    for (let round = 0; round < 10; round++)
      await Promise.all(
        Array.from({ length: 100 }, async (_, i) => {
          const handle = await Handle.open(instance.uri);
          acts[i % acts.length]!(handle, i);
          await handle.close();
        }),
      );
    await until(async () => (await clientCount()) === 1, 'all clients are gone');
    for (let i = 0; i < 100; i++)
      await assert.rejects(other.rpc(`storm${i}.x`, {}), { code: 'ENOSYS', message: /No service matching/ });
    const { members } = await other.rpc<{ members: string }>('groups.get', { name: 'storm' });
    assert.equal(members, '');
  });
});

describe('a payload', () => {
  const MiB = 2 ** 20;
  const sizes = [1, 2, 254, 255, 256, 1000, 65_535, 65_536, MiB - 64, MiB, MiB + 1, 8 * MiB, 64 * MiB];
  const digest = (bytes: Uint8Array) => createHash('sha1').update(bytes).digest('hex');
  let instance: Instance;
  let leader: Handle;
  let follower: Handle;
  before(async () => {
    instance = await startInstance(2, ['--conf=engine.routers=2']);
    leader = await Handle.open(instance.uri);
    follower = await Handle.open(await leader.attribute('local-uri', { nodeid: 1 }));
    for (const [name, handle] of [
      ['near', leader],
      ['far', follower],
    ] as const)
      await handle.serve(name, {
        echo: { raw: true, handler: ({ message }) => message.bytes },
        digest: { raw: true, handler: ({ message }) => ({ sha1: digest(message.bytes ?? new Uint8Array()) }) },
      });
  });
  after(async () => {
    await leader.close();
    await follower.close();
    const { exit, stderr } = await instance.stop();
    assert.equal(exit, 0, stderr);
  });

  for (const size of sizes)
    test(`of ${size} bytes comes through unchanged, both ways`, async () => {
      const bytes = randomBytes(size);
      const sha1 = digest(bytes);
      for (const [service, nodeid] of [
        ['near', 0],
        ['far', 1],
      ] as const) {
        assert.deepEqual(await leader.rpc(`${service}.digest`, bytes, { nodeid }), { sha1 });
        assert.equal(digest(await leader.rpcBytes(`${service}.echo`, bytes, { nodeid })), sha1);
      }
    });

  test('of JSON comes through unchanged, whatever is in it', async () => {
    const texts = ['', 'ƒ', '\u0000', '"\\', '\u2028', '😀'.repeat(1000), 'x'.repeat(3 * MiB)];
    const payload = { texts, numbers: [0, -1, 1.5, new Real(1e300), 2n ** 53n], nested: [[{}, []], null, true] };
    await follower.serve('json', { echo: { handler: ({ payload: value }) => value } });
    assert.deepEqual(await leader.rpc('json.echo', payload, { nodeid: 1 }), payload);
  });

  test('does not hold up the small ones behind it for others', async () => {
    const bytes = randomBytes(64 * MiB);
    const other = await Handle.open(instance.uri);
    let isDone = false;
    const large = leader.rpcBytes('far.echo', bytes, { nodeid: 1 }).then(() => {
      isDone = true;
    });
    let answered = 0;
    while (!isDone) {
      await other.rpc('broker.ping', {}, { nodeid: 1 });
      if (!isDone) answered++;
    }
    assert.ok(answered > 0, 'no ping was answered meanwhile');
    await large;
    await other.close();
  });
});
