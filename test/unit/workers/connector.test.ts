// The connector of a rank: who may connect, what the connection answers itself, what a guest can pretend, and the end.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { accessPolicy } from '../../../core/broker/access-policy.ts';
import type { JsonObject } from '../../../core/json.ts';
import { Role, USERID_UNKNOWN } from '../../../core/message/credentials.ts';
import { Flag, Message, MessageType } from '../../../core/message/message.ts';
import { refused, throwsCode } from '../../errors.ts';
import { guest, owner, type SimulatedClient } from '../../sim/client.ts';
import { echo } from '../../sim/echo.ts';
import { Simulation, type SimulationOptions } from '../../sim/simulation.ts';

async function start(options: SimulationOptions = {}): Promise<Simulation> {
  const sim = await new Simulation({ modules: { echo }, ...options }).start();
  await sim.settle();
  return sim;
}

/** Answers each request with who sent it. */
async function serveCredentials(server: SimulatedClient, name = 'who'): Promise<void> {
  await server.serve(name, (request) => {
    if (request.wantsResponse) server.respond(request, { userid: request.userid, rolemask: request.rolemask });
  });
}

// ---- who may connect

for (const [access, allowGuestUser, allowRootOwner, users, groups] of [
  [undefined, false, false, [], []],
  [{}, false, false, [], []],
  [{ 'allow-guest-user': true }, true, false, [], []],
  [{ 'allow-root-owner': true, 'private-mode': true }, false, true, [], []],
  [{ 'allow-guest-user': false, 'allow-root-owner': false, roles: {} }, false, false, [], []],
  [{ roles: { admin: { users: ['a', 'b'] } } }, false, false, ['a', 'b'], []],
  [{ roles: { admin: { groups: ['g'] } } }, false, false, [], ['g']],
] as [JsonObject | undefined, boolean, boolean, string[], string[]][]) {
  test(`[access] ${JSON.stringify(access)} is told to those who accept connections`, async () => {
    const config: JsonObject = access === undefined ? {} : { access };
    const expected = { allowGuestUser, allowRootOwner, admins: { users, groups } };
    assert.deepEqual(accessPolicy(config), expected);
    const sim = await start({ config });
    assert.deepEqual(sim.node.access, expected);
    const stats = await sim.connect().rpc('connector-local.stats-get');
    assert.deepEqual([stats.allow_guest_user, stats.allow_root_owner], [allowGuestUser, allowRootOwner]);
  });
}

for (const access of [
  5,
  { 'allow-guest-user': 1 },
  { 'allow-root-owner': 'yes' },
  { 'allow-other': true },
  { roles: 5 },
  { roles: { king: {} } },
  { roles: { admin: [] } },
  { roles: { admin: { users: 'a' } } },
  { roles: { admin: { groups: [5] } } },
  { roles: { admin: { others: [] } } },
])
  test(`refused: [access] ${JSON.stringify(access)}`, () =>
    throwsCode(() => accessPolicy({ access } as JsonObject), 'EINVAL', /\[access/));

test('a change of the configuration counts for those who connect from then on', async () => {
  const sim = await start();
  await sim.connect().rpc('config.load', { access: { 'allow-guest-user': true } });
  assert.equal(sim.node.access?.allowGuestUser, true);
  await refused(sim.connect().rpc('config.load', { access: { 'allow-guest-user': 5 } }), 'EINVAL');
  assert.equal(sim.node.access?.allowGuestUser, true);
});

// ---- who a message is from (RFC 12)

for (const [who, peer, named, expected] of [
  ['the owner', owner, undefined, { userid: 0, rolemask: Role.owner | Role.local }],
  ['the owner who names a user', owner, { userid: 7, rolemask: Role.none }, { userid: 7, rolemask: 5 }],
  ['the owner who names a role', owner, { userid: USERID_UNKNOWN, rolemask: Role.user }, { userid: 0, rolemask: 2 }],
  ['the owner who names both', owner, { userid: 7, rolemask: Role.user }, { userid: 7, rolemask: 2 }],
  ['a guest', guest(9), undefined, { userid: 9, rolemask: 6 }],
  ['a guest who names the owner', guest(9), { userid: 0, rolemask: Role.owner }, { userid: 9, rolemask: 6 }],
] as const) {
  test(`a request of ${who} is from ${JSON.stringify(expected)}`, async () => {
    const sim = await start({ size: 2 });
    await serveCredentials(sim.connect(0));
    const ask = (rank: number) =>
      sim.connect(rank, peer).rpc('who.am.I', undefined, { nodeid: 0, ...(named && { credentials: named }) });
    assert.deepEqual(await ask(0), expected);
    assert.deepEqual(await ask(1), { ...expected, rolemask: expected.rolemask & ~Role.local }, 'from another rank');
  });
}

// ---- what the connection answers itself

test('what the connection answers itself it answers wherever that is addressed to, as nobody', async () => {
  const sim = await start({ size: 2 });
  const client = sim.connect(1);
  for (const nodeid of [0, 1, 77])
    for (const [topic, payload] of [
      ['event.subscribe', { topic: 'x' }],
      ['event.unsubscribe', { topic: 'x' }],
      ['service.add', { service: 'x' }],
      ['service.remove', { service: 'x' }],
    ] as const)
      assert.equal(await client.rpc(topic, payload, { nodeid }), undefined);
  const [answer] = client.received;
  assert.deepEqual([answer!.userid, answer!.rolemask], [USERID_UNKNOWN, Role.owner]);
});

test('messages without topic, and of kinds that clients do not send, go nowhere', async () => {
  const sim = await start();
  const client = sim.connect();
  const request = Message.request({ topic: 'broker.ping', payload: {}, matchtag: 1 });
  client.send(new Message(MessageType.request, Flag.route, request, 0, 9, undefined, request.routes));
  client.send(Message.control(0, 0));
  client.send(new Message(MessageType.event, 0, request, 0, 0, undefined, request.routes));
  await client.rpc('broker.ping', {});
  assert.equal(client.received.length, 1);
});

test('what clients sent before the connector was there is answered then', async () => {
  const sim = new Simulation();
  const client = sim.connect();
  const call = client.call('broker.ping', {});
  await sim.settle();
  assert.equal(call.answers.length, 0);
  await sim.start();
  assert.equal((await sim.until(call.final, 'an answer')).errnum, 0);
});

test('clients are listed, with what they sent and got', async () => {
  const sim = await start();
  const [client, other] = [sim.connect(), sim.connect(0, guest(9))];
  await other.rpc('broker.ping', {});
  await other.rpc('event.subscribe', { topic: 'x' });
  const { server } = await client.rpc<{ server: { connects: number; clients: JsonObject[] } }>(
    'connector-local.stats-get',
  );
  assert.equal(server.connects, 2);
  assert.deepEqual(
    server.clients.map(({ uuid: _, ...rest }) => rest),
    [
      { userid: 0, pid: 1, txcount: 0, rxcount: 1, rxbacklog: 0 },
      { userid: 9, pid: 2, txcount: 2, rxcount: 2, rxbacklog: 0 },
    ],
  );
  await refused(other.rpc('connector-local.stats-get'), 'EPERM');
});

// ---- answers that nobody asked for

test('a guest answers no requests but those it was sent, and none twice', async () => {
  const sim = await start({ command: ['program'], programs: { program: () => {} } });
  const forger = sim.connect(0, guest());
  const victim = sim.connect();
  await sim.connect().rpc('module.load', { path: 'echo', args: [] });
  const pending = victim.call('echo.never', {});
  await sim.settle();
  const { value: broker } = await forger.rpc<{ value: string }>('attr.get', { name: 'broker.uuid' });
  const { connector, modules } = sim.ranks[0]!;
  const ways = [[], [connector.uuidOf(victim.endpoint)!, modules.get('connector-local')!.uuid]];
  for (const ids of ways) {
    for (let matchtag = 1; matchtag < 100; matchtag++) {
      const request = Message.request({ topic: 'x.y', matchtag });
      for (const id of [...ids, broker]) request.routes.push(id);
      forger.send(request.respondError(61, undefined, owner));
    }
  }
  await sim.settle();
  assert.deepEqual(pending.answers, []);
  assert.equal(sim.stateOf(0), 'run', 'the broker took a forged end of its initial program');
});

test('a guest that answers for a service is heard once for each request', async () => {
  const sim = await start();
  const server = sim.connect(0, guest(9));
  await server.serve('9-x', (request) => {
    for (const n of [1, 2]) server.respond(request, { n });
  });
  const client = sim.connect();
  assert.deepEqual(await client.rpc('9-x.y'), { n: 1 });
  await sim.settle();
  assert.equal(client.received.length, 1);
});

// ---- the end

test('clients are disconnected when the connector is removed, and none is taken on until it is back', async () => {
  const sim = await start();
  const clients = [sim.connect(), sim.connect(0, guest())];
  await clients[0]!.subscribe('x');
  await clients[0]!.serve('mine', () => {});
  const connections = () => clients.map(({ isConnected }) => isConnected);
  await sim.until(sim.ranks[0]!.modules.remove('connector-local'), 'the removal');
  await sim.settle();
  assert.deepEqual(connections(), [false, false]);
  assert.equal(sim.ranks[0]!.broker.hasService('mine'), false);
  clients.push(sim.connect());
  await sim.settle();
  assert.equal(clients.at(-1)!.isConnected, false);
  await sim.until(sim.ranks[0]!.modules.load({ path: 'connector-local', args: [] }), 'the load');
  assert.deepEqual(await sim.connect().rpc('attr.get', { name: 'rank' }), { value: '0', flags: 1 });
});
