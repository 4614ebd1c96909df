// Names that clients and modules answer for: who may take which, and what happens to requests when they go.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Flag } from '../../../core/message/message.ts';
import { refused } from '../../errors.ts';
import { guest } from '../../sim/client.ts';
import { echo } from '../../sim/echo.ts';
import { Simulation } from '../../sim/simulation.ts';

const start = (size = 1) => new Simulation({ size, modules: { echo }, remoteModules: { away: echo } }).start();

test('requests for a name go to the client that took it, as the one who asked sent them', async () => {
  const sim = await start(2);
  const server = sim.connect(0);
  await server.serve('mine', (request) =>
    server.respond(request, { ...(request.json as object), userid: request.userid }),
  );
  for (const client of [sim.connect(0), sim.connect(1)])
    assert.deepEqual(await client.rpc('mine.anything', { a: 1 }), { a: 1, userid: 0 });
  assert.deepEqual(await sim.connect(1, guest(7)).rpc('mine', {}), { userid: 7 });
});

for (const [name, code] of [
  ['a.b', 'EINVAL'],
  ['.', 'EINVAL'],
  ['taken', 'EEXIST'],
  ['broker', 'EEXIST'],
  ['log', 'EEXIST'],
  ['groups', 'EEXIST'],
  ['connector-local', 'EEXIST'],
] as const) {
  test(`the name '${name}' is refused with ${code}`, async () => {
    const sim = await start();
    await sim.connect().serve('taken', () => {});
    await refused(sim.connect().rpc('service.add', { service: name }), code);
  });
}

test('a guest takes names that begin with his userid', async () => {
  const sim = await start();
  const client = sim.connect(0, guest(1000));
  await refused(client.rpc('service.add', { service: 'mine' }), 'EPERM');
  await refused(client.rpc('service.add', { service: '1001-shell' }), 'EPERM');
  await refused(client.rpc('service.add', { service: '1000' }), 'EPERM');
  await refused(client.rpc('service.remove', { service: 'mine' }), 'EPERM');
  assert.equal(await client.rpc('service.add', { service: '1000-shell' }), undefined);
  assert.equal(await client.rpc('service.remove', { service: '1000-shell' }), undefined);
  await refused(client.rpc('service.add', {}), 'EPROTO');
});

test('only the client that took a name gives it back', async () => {
  const sim = await start();
  const server = sim.connect();
  await server.serve('mine', (request) => server.respond(request));
  await refused(sim.connect().rpc('service.remove', { service: 'mine' }), 'ENOENT');
  await refused(server.rpc('service.remove', { service: 'other' }), 'ENOENT');
  await server.rpc('service.remove', { service: 'mine' });
  await refused(sim.connect().rpc('mine.x'), 'ENOSYS', /^No service matching mine\.x is registered$/);
  assert.equal(await sim.connect().rpc('service.add', { service: 'mine' }), undefined);
});

test('requests that a client held when it went fail, and so do those that come later', async () => {
  const sim = await start(2);
  const server = sim.connect(0);
  await server.serve('mine', () => {});
  const calls = [sim.connect(0).call('mine.x'), sim.connect(1).call('mine.y'), sim.connect(1).stream('mine.z')];
  await sim.settle();
  assert.ok(calls.every(({ answers }) => answers.length === 0));
  server.disconnect();
  for (const { final } of calls) assert.equal((await sim.until(final, 'an answer')).error().code, 'ENOSYS');
  await refused(sim.connect(1).rpc('mine.x'), 'ENOSYS', /No service matching/);
});

test('a stream that a client has ended does not fail when the client goes', async () => {
  const sim = await start();
  const server = sim.connect();
  await server.serve('mine', (request) => {
    server.respond(request, { n: 1 });
    server.send(request.respondError(61, undefined, server.credentials));
  });
  const call = sim.connect().stream('mine.x');
  await sim.until(call.final, 'the end');
  server.disconnect();
  await sim.settle();
  assert.deepEqual(
    call.answers.map(({ errnum }) => errnum),
    [0, 61],
  );
});

test('a client that goes is reported to every service it asked, once each, as it was addressed', async () => {
  const sim = await start(3);
  const told: [string, number, boolean][] = [];
  const server = sim.connect(2);
  await server.serve('mine', (request) => {
    if (request.topic === 'mine.disconnect') told.push([request.topic, request.userid, request.wantsResponse]);
    else server.respond(request);
  });
  const client = sim.connect(1, guest(9));
  await client.rpc('mine.a', {}, { nodeid: 2 });
  await client.rpc('mine.b', {}, { nodeid: 2 });
  client.disconnect();
  await sim.settle();
  assert.deepEqual(told, [['mine.disconnect', 9, false]]);
});

test('a request without response is never answered, not even with an error', async () => {
  const sim = await start();
  const client = sim.connect();
  for (const topic of ['nosuch.x', 'broker.nosuch', 'attr.get', 'event.unsubscribe'])
    client.call(topic, {}, { flags: Flag.noresponse });
  await sim.settle();
  assert.deepEqual(client.received, []);
});

test('modules answer for names of their own, wherever they run, until they are removed', async () => {
  const double = {
    start: (context: Parameters<typeof echo.start>[0]) => ({ ...echo.start(context, []), services: ['alias'] }),
  };
  for (const options of [{ modules: { double } }, { remoteModules: { double } }]) {
    const sim = await new Simulation(options).start();
    const client = sim.connect();
    await client.rpc('module.load', { path: 'double', args: [] });
    await sim.settle();
    assert.deepEqual(await client.rpc('alias.now', { a: 1 }), { a: 1 });
    assert.deepEqual(await client.rpc('double.now', { a: 2 }), { a: 2 });
    const { mods } = await client.rpc<{ mods: { name: string; services: string[] }[] }>('module.list');
    assert.deepEqual(mods.find(({ name }) => name === 'double')!.services, ['double', 'alias']);
    await client.rpc('module.remove', { name: 'double' });
    await refused(client.rpc('alias.now', {}), 'ENOSYS');
  }
});
