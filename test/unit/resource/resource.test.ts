// The module resource: what there is, what of it is up, what happened to it, and what a scheduler is told.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, describe, test } from 'node:test';
import { FluxError } from '../../../core/errno.ts';
import { CommitFlag } from '../../../core/formats/kvs-flags.ts';
import { encodeResourceSet, parseResourceSet } from '../../../core/formats/resource-json.ts';
import { type JsonObject, type JsonValue, stringifyJson } from '../../../core/json.ts';
import { refused } from '../../errors.ts';
import { Fixture, guest, plain, settled } from './fixture.ts';

const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'resource-'));
after(() => fs.rmSync(folder, { recursive: true }));

const configured = { resource: { config: [{ hosts: 'node[0-3]', cores: '0-3' }], verify: false } };

/** `rank[0-3]/core[0-3]` of R. */
function described(R: unknown): string {
  return parseResourceSet(stringifyJson(R as JsonValue)).describe();
}

// ---- what there is

test('without a configuration the ranks have what the machine has', async () => {
  const module = await Fixture.start({ machine: { hostname: 'big', cores: 2, gpus: 1 } });
  const { R, method } = await module.call('get');
  assert.equal(method, 'dynamic-discovery');
  assert.deepEqual(plain(R), {
    version: 1,
    execution: {
      R_lite: [{ rank: '0-3', children: { core: '0-1', gpu: '0' } }],
      starttime: 0,
      expiration: 0,
      nodelist: ['big,big,big,big'],
    },
  });
  assert.deepEqual(JSON.parse(module.kvs.get('resource.R')!), plain(R));
  assert.deepEqual(module.kept, ['resource-define {"method":"dynamic-discovery"}']);
  assert.equal(module.commits.length, 2);
});

test('ranks share the machine when they are to', async () => {
  const config = { resource: { partition: true } };
  const module = await Fixture.start({ config, size: 3, machine: { hostname: 'big', cores: 8, gpus: 2 } });
  const { R } = await module.call('get');
  assert.equal(described(R), 'rank0/core[0-1] rank1/core[2-4],gpu0 rank2/core[5-7],gpu1');
  await refused(Fixture.start({ config, size: 5 }), 'EINVAL', /5 ranks cannot share 4 cores/);
});

test('R of an earlier life is used again, unless something is configured', async () => {
  const kvs = new Map([['resource.R', encodeResourceSet(parseResourceSet(R4))]]);
  const module = await Fixture.start({ kvs });
  assert.equal((await module.call('get')).method, 'kvs');
  const other = await Fixture.start({ kvs, config: configured });
  assert.equal((await other.call('get')).method, 'configuration');
});

const R4 = '{"version":1,"execution":{"R_lite":[{"rank":"0-3","children":{"core":"0-7"}}],"nodelist":["node[0-3]"]}}';

describe('a configuration that cannot be used is refused, at the start and later', () => {
  for (const [resource, text] of [
    [{ config: [] }, /config: no hosts configured/],
    [{ config: [{ hosts: 'a' }] }, /assigned no resources/],
    [{ path: '/no/such/file' }, /path: ENOENT/],
    [{ verify: 5 }, /verify must be a table or boolean/],
    [{ scheduling: '/x' }, /scheduling: it needs resource.path/],
    [{ history: 'x' }, /history/],
    [{ 'journal-max': 'x' }, /not an integer/],
    [{ unknown: 1 }, /unknown key 'unknown'/],
  ] as [JsonObject, RegExp][]) {
    test(JSON.stringify(resource), async () => {
      await refused(Fixture.start({ config: { resource } }), 'EINVAL', text);
      const module = await Fixture.start();
      const { errno, text: said } = await module.ask('config-reload', { resource });
      assert.equal(errno, 'EINVAL');
      assert.match(said!, text);
    });
  }

  for (const exclude of ['9', 'nohost', 'x['])
    test(`exclude ${exclude}`, () =>
      refused(Fixture.start({ config: { resource: { ...configured.resource, exclude } } }), 'EINVAL', /exclude set/));

  test('an argument that is not known', () => refused(Fixture.start({ args: ['x'] }), 'EINVAL', /unknown option: x/));
});

test('ranks that lack what is configured are drained, and say why', async () => {
  const resource = {
    config: [{ hosts: 'node[0-3]', cores: '0-7' }],
    verify: { default: 'strict', hostname: 'ignore' },
  };
  const module = await Fixture.start({ config: { resource } });
  const { drain } = await module.call('status');
  assert.deepEqual(
    Object.entries(drain as Record<string, JsonObject>).map(([ranks, { reason }]) => [ranks, reason]),
    [0, 1, 2, 3].map((rank) => [String(rank), `rank ${rank} (node0) missing resources: core[4-7]`]),
  );
  assert.match(module.kept[0]!, /^drain \{"idset":"0","nodelist":"node0","reason":"rank 0 .*","overwrite":0\}$/);
  assert.deepEqual(
    (await (await Fixture.start({ config: { resource }, args: ['noverify'] })).call('status')).drain,
    {},
  );
});

test('other resources are taken from a file, or from a folder of XML, when no scheduler has them', async () => {
  const module = await Fixture.start();
  const file = path.join(folder, 'R');
  const reload = (where: string, xml = false, force = false) => module.ask('reload', { path: where, xml, force });
  for (const [text, errno, said] of [
    [undefined, 'ENOENT', /R/],
    ['x', 'EPROTO', /R/],
    ['[]', 'EPROTO', /not a JSON object/],
    ['{"version":2}', 'EINVAL', /R/],
    [R4.replace('0-3', '0-8').replace('0-3', '0-8'), 'EINVAL', /override with -f/],
  ] as const) {
    if (text !== undefined) fs.writeFileSync(file, text);
    const answer = await reload(file);
    assert.equal(answer.errno, errno, text);
    assert.match(answer.text!, said);
  }
  assert.equal((await reload(file, false, true)).errno, '');
  assert.equal(described((await module.call('get')).R), 'rank[0-8]/core[0-7]');
  assert.equal((await reload(folder, true)).errno, 'EINVAL');
  for (const rank of [0, 1]) fs.writeFileSync(path.join(folder, `${rank}.xml`), String(rank + 2));
  assert.equal((await reload(folder, true)).errno, '');
  assert.equal(described((await module.call('get')).R), 'rank0/core[0-1] rank1/core[0-2]');
  assert.equal(module.kept.filter((event) => event.includes('"reload"')).length, 2);
  module.stream('acquire');
  assert.equal((await reload(folder, true)).errno, 'EBUSY');
});

// ---- drained

/** What is said to drain and undrain, one after the other, and what is drained then. */
const drainRows: [what: string, payload: JsonObject, errno: string, said: RegExp, drained: string][] = [
  ['drain', {}, 'EPROTO', /targets/, ''],
  ['drain', { targets: 5 }, 'EPROTO', /targets/, ''],
  ['drain', { targets: '' }, 'EINVAL', /idset is empty/, ''],
  ['drain', { targets: '0-9' }, 'EINVAL', /out of range/, ''],
  ['drain', { targets: 'x[' }, 'EINVAL', /invalid targets/, ''],
  ['drain', { targets: 'nohost' }, 'EINVAL', /invalid hosts: nohost/, ''],
  ['drain', { targets: '0', mode: 'x' }, 'EINVAL', /mode 'x'/, ''],
  ['drain', { targets: '3' }, 'EINVAL', /^rank 3 excluded$/, ''],
  ['drain', { targets: '0' }, '', /./, '0:'],
  ['drain', { targets: '0-1', reason: 'one' }, '', /./, '0:one 1:one'],
  ['drain', { targets: '0-2', reason: 'two' }, 'EEXIST', /^ranks 0-1 already drained$/, '0:one 1:one'],
  ['drain', { targets: '1-3', reason: 'two' }, 'EEXIST', /^ranks 1,3 already drained or excluded$/, '0:one 1:one'],
  ['drain', { targets: 'node[1-2]', reason: 'two', mode: 'update' }, '', /./, '0:one 1:one 2:two'],
  ['drain', { targets: '1', reason: 'three', mode: 'overwrite' }, '', /./, '0:one 1:three 2:two'],
  ['undrain', { targets: '1', mode: 'x' }, 'EINVAL', /mode 'x'/, '0:one 1:three 2:two'],
  ['undrain', { targets: '2-3' }, 'EEXIST', /^rank 3 not drained$/, '0:one 1:three 2:two'],
  ['undrain', { targets: '2-3', mode: 'update' }, '', /./, '0:one 1:three'],
  ['undrain', { targets: '0-1', reason: 'well' }, '', /./, ''],
];

test('ranks are drained and undrained', async () => {
  const module = await Fixture.start({ config: { resource: { ...configured.resource, exclude: '3' } } });
  for (const [what, payload, errno, said, drained] of drainRows) {
    const where = `${what} ${JSON.stringify(payload)}`;
    const answer = await module.ask(what, payload);
    assert.equal(answer.errno, errno, where);
    if (errno) assert.match(answer.text!, said, where);
    assert.equal(await drainedIn(module), drained, where);
  }
  assert.deepEqual(module.kept.slice(1, 3), [
    'drain {"idset":"0","nodelist":"node0","overwrite":0}',
    'drain {"idset":"0-1","nodelist":"node[0-1]","reason":"one","overwrite":0}',
  ]);
  assert.equal(module.kept.at(-1), 'undrain {"idset":"0-1","nodelist":"node[0-1]","overwrite":0,"reason":"well"}');
});

async function drainedIn(module: Fixture): Promise<string> {
  const { drain } = await module.call('status');
  return Object.entries(drain as Record<string, JsonObject>)
    .flatMap(([ranks, { reason }]) => [...expand(ranks)].map((rank) => `${rank}:${reason}`))
    .sort()
    .join(' ');
}

function* expand(ranks: string): Generator<number> {
  for (const range of ranks.split(',')) {
    const [first, last = first] = range.split('-').map(Number);
    for (let rank = first!; rank <= last!; rank++) yield rank;
  }
}

test('only who drains by force changes since when a rank is drained', async () => {
  const module = await Fixture.start();
  const since = async () => Object.values((await module.call('status')).drain as Record<string, JsonObject>)[0]!;
  await module.call('drain', { targets: '0', reason: 'a' });
  const first = plain((await since()).timestamp);
  module.agenda.skipTo(100);
  await module.call('drain', { targets: '0', reason: 'b', mode: 'overwrite' });
  assert.equal(plain((await since()).timestamp), first);
  await module.call('drain', { targets: '0', reason: 'c', mode: 'force-overwrite' });
  assert.equal(plain((await since()).timestamp), (first as number) + 100);
});

test('what is drained is known after a crash, where something is kept at all', async () => {
  for (const [attributes, flags] of [
    [{}, CommitFlag.sync],
    [{ 'content.backing-module': 'none' }, 0],
  ] as const) {
    const module = await Fixture.start({ attributes });
    for (const what of ['drain', 'undrain']) {
      await module.call(what, { targets: '0' });
      assert.equal(module.commits.at(-1)!.flags, flags);
    }
  }
});

test('a drain that the KVS does not take is told to who asked', async () => {
  const module = await Fixture.start();
  module.commitError = new FluxError('ENOSPC', 'full');
  const { errno, text } = await module.ask('drain', { targets: '0' });
  assert.deepEqual([errno, text], ['ENOSPC', 'full']);
  assert.match(module.logs.at(-1)!, /committing to resource.eventlog: full/);
});

test('what is drained is so after a restart: by the checkpoint, by the events behind it, on the hosts that there are', async () => {
  const module = await Fixture.start({ config: configured });
  await module.call('drain', { targets: '0', reason: 'kept' });
  await module.call('drain', { targets: '1-2', reason: 'moved' });
  await module.host.stop();
  // Without a checkpoint the events are what there is.
  const crashed = new Map([...module.kvs].filter(([key]) => key !== 'checkpoint.resource'));
  for (const kvs of [module.kvs, crashed]) {
    const again = await Fixture.start({ config: configured, kvs, hostlist: 'node[0,2,1,4]' });
    assert.equal(await drainedIn(again), '0:kept 1:moved 2:moved');
    const fewer = await Fixture.start({ config: {}, kvs, size: 2, hostlist: 'node[1,9]' });
    assert.equal(await drainedIn(fewer), '0:moved');
    const excluded = { resource: { ...configured.resource, exclude: '0' } };
    const without = await Fixture.start({ config: excluded, kvs: new Map(kvs) });
    assert.equal(await drainedIn(without), '1:moved 2:moved');
    assert.ok(without.kept.includes('undrain {"idset":"0","nodelist":"node0"}'));
  }
});

// ---- up and down

test('ranks come and go: events, the status, and who waits for a number of them', async () => {
  const module = await Fixture.start();
  const wait = module.send('monitor-waitup', { up: 3 });
  await module.setGroup('broker.online', '0');
  await module.setGroup('broker.online', '0-1,3');
  assert.equal((await module.taken(wait))[0]!.errno, '');
  await module.setGroup('broker.torpid', '1');
  const { online, offline, torpid } = await module.call('status');
  assert.deepEqual([online, offline, torpid], ['0-1,3', '2', '1']);
  assert.equal((await module.ask('monitor-waitup', { up: 5 })).errno, 'EPROTO');
  assert.equal((await module.ask('monitor-waitup', { up: -1 })).errno, 'EPROTO');
  assert.equal((await module.ask('monitor-waitup', {})).errno, 'EPROTO');
  assert.equal((await module.ask('monitor-force-down', { ranks: 'x' })).errno, 'EINVAL');
  await module.call('monitor-force-down', { ranks: '3' });
  assert.equal((await module.call('status')).online, '0-1');
  assert.deepEqual(await events(module), [
    'restart {"ranks":"0-3","online":"","nodelist":"node[0-3]"}',
    'resource-define {"method":"dynamic-discovery"}',
    'online {"idset":"0"}',
    'online {"idset":"1,3"}',
    'torpid {"idset":"1"}',
    'offline {"idset":"3"}',
  ]);
});

/** The events of the journal so far, and that R comes with its own. */
async function events(module: Fixture): Promise<string[]> {
  const responses = (await module.taken(module.stream('journal'))).map(({ payload }) => payload as JsonObject);
  assert.deepEqual(responses.pop(), { events: [] });
  return responses.flatMap(({ events, R }) => {
    const list = events as { name: string; context?: JsonObject }[];
    assert.equal(R !== undefined, list[0]!.name === 'resource-define');
    return list.map(({ name, context }) => `${name} ${JSON.stringify(plain(context))}`);
  });
}

// ---- a scheduler

test('a scheduler is told what there is and what changes, until it goes', async () => {
  const module = await Fixture.start({ config: { resource: { ...configured.resource, exclude: '3' } }, online: '0-1' });
  const acquire = module.stream('acquire');
  const told = async () => (await module.taken(acquire)).map(({ payload }) => plain(payload));
  const [first] = (await told()) as { resources: unknown; up: string }[];
  assert.equal(described(first!.resources), 'rank[0-2]/core[0-3]');
  assert.equal(first!.up, '0-1');
  assert.equal((await module.ask('acquire')).errno, 'EBUSY');
  await module.setGroup('broker.online', '0-3');
  await module.call('drain', { targets: '0' });
  await module.call('undrain', { targets: '0' });
  await module.setGroup('broker.torpid', '1');
  await module.setGroup('broker.online', '0');
  assert.deepEqual(await told(), [{ up: '2' }, { down: '0' }, { up: '0' }, { down: '1' }, { down: '2' }]);
  await module.call('expiration-update', { expiration: 1e9 });
  assert.deepEqual(await told(), [{ expiration: 1e9 }]);
  assert.equal((await module.ask('expiration-update', {})).errno, 'EPROTO');
  module.notify('disconnect');
  const next = module.stream('acquire', 'c2');
  assert.equal((await module.taken(next))[0]!.errno, '');
  module.notify('acquire-cancel', { matchtag: next }, 'c2');
  assert.equal((await module.taken(next))[0]!.errno, 'ENODATA');
  const muted = module.stream('acquire', 'c3');
  await module.taken(muted);
  await module.call('acquire-mute');
  await module.call('drain', { targets: '0' });
  assert.deepEqual(await module.taken(muted), []);
});

test('ranks that are lost do not come back where their resources were discovered', async () => {
  const module = await Fixture.start({ online: '0-3' });
  const acquire = module.stream('acquire');
  await module.taken(acquire);
  await module.setGroup('broker.online', '0-2');
  assert.deepEqual(
    (await module.taken(acquire)).map(({ payload }) => payload),
    [{ down: '3', shrink: '3' }],
  );
  assert.equal(described(plain((await module.call('sched-status')).all)), 'rank[0-2]/core[0-3]');
});

test('the status for users has what jobs have, with the properties of the ranks', async () => {
  const config = {
    resource: { config: [...configured.resource.config, { hosts: 'node[1-2]', properties: ['p'] }], verify: false },
  };
  const module = await Fixture.start({ config, online: '0-2' });
  const shown = async () => Object.values(plain(await module.call('sched-status')) as object).map(described);
  assert.deepEqual(await shown(), ['rank[0-3]/core[0-3]', 'rank3/core[0-3]', '']);
  module.allocated = JSON.parse(R4.replace('0-3', '2').replace('0-7', '0').replace('node[0-3]', 'node2')) as JsonObject;
  await module.call('drain', { targets: '1' });
  assert.deepEqual(await shown(), ['rank[0-3]/core[0-3]', 'rank[1,3]/core[0-3]', 'rank2/core0']);
  const { allocated } = plain(await module.call('sched-status')) as {
    allocated: { execution: { properties: unknown } };
  };
  assert.deepEqual(allocated.execution.properties, { p: '2' });
});

// ---- the journal

test('the journal is read by batches, keeps its newest events, and ends for who cancels and when the module stops', async () => {
  const module = await Fixture.start({ config: { resource: { 'journal-max': 4 } } });
  for (const targets of ['0', '1', '2', '3']) await module.call('drain', { targets });
  assert.deepEqual(
    (await events(module)).map((event) => event.split(' ')[0]),
    ['truncate', 'drain', 'drain', 'drain'],
  );
  assert.equal((await module.ask('journal')).errno, 'EPROTO');
  const reader = module.stream('journal');
  await module.taken(reader);
  await module.call('undrain', { targets: '0' });
  const [answer] = await module.taken(reader);
  const { events: told } = answer!.payload as { events: { name: string }[] };
  assert.deepEqual(
    told.map(({ name }) => name),
    ['undrain'],
  );
  module.notify('journal-cancel', { matchtag: reader });
  assert.equal((await module.taken(reader))[0]!.errno, 'ENODATA');
  const last = module.stream('journal');
  await module.taken(last);
  await module.host.stop();
  assert.equal((await module.taken(last)).at(-1)!.errno, 'ENODATA');
});

test('a long journal comes a hundred events at a time', async () => {
  const module = await Fixture.start();
  for (let i = 0; i < 150; i++) await module.call(i % 2 ? 'undrain' : 'drain', { targets: '0' });
  const responses = await module.taken(module.stream('journal'));
  const sizes = responses.map(({ payload }) => ((payload as JsonObject).events as unknown[]).length);
  assert.deepEqual(sizes, [1, 1, 100, 50, 0]);
});

test('events older than the history, and than the checkpoint, leave the KVS', async () => {
  const module = await Fixture.start();
  await module.call('drain', { targets: '0', reason: 'old' });
  await module.host.stop();
  const restart = async (history: string, args: readonly string[] = []) => {
    const again = await Fixture.start({ kvs: new Map(module.kvs), config: { resource: { history } }, args });
    assert.equal(await drainedIn(again), '0:old');
    return again.kept.filter((event) => event.startsWith('drain')).length;
  };
  module.agenda.skipTo(1);
  assert.deepEqual([await restart('1d'), await restart('inf'), await restart('0s', ['notruncate'])], [1, 1, 1]);
});

test('guests see what there is, and change nothing', async () => {
  const module = await Fixture.start();
  for (const method of ['status', 'sched-status'])
    assert.equal((await module.ask(method, {}, { user: guest })).errno, '');
  for (const method of ['get', 'drain', 'undrain', 'reload', 'acquire', 'monitor-waitup', 'expiration-update'])
    assert.equal((await module.ask(method, {}, { user: guest })).errno, 'EPERM', method);
  await settled();
});
