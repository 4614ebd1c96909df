/**
 * Instances of all shapes, spread over several threads: messages take the ways that the tree says, wherever the ranks
 * live, and events come everywhere in one order.
 */

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Topology } from '../../core/overlay/topology.ts';
import { library, openAll, type RunningInstance } from './library.ts';
import { until } from './support.ts';

type Handle = Awaited<ReturnType<typeof openAll>>[number];

/** Three routers and two threads that run programs, whatever the machine has. */
const engine = { routers: 3, 'exec-workers': 2 };

interface Row {
  readonly size: number;
  readonly topology: string;
  /** Parents of a custom tree, by rank. */
  readonly parents?: readonly number[];
  readonly plan?: object;
}

const rows: Row[] = [
  { size: 1, topology: 'kary:2' },
  { size: 2, topology: 'kary:2' },
  { size: 2, topology: 'binomial', plan: { routers: 1, 'exec-workers': 1 } },
  { size: 17, topology: 'kary:0' },
  { size: 17, topology: 'kary:1' },
  { size: 17, topology: 'kary:3' },
  { size: 17, topology: 'mincrit:3' },
  { size: 17, topology: 'binomial' },
  { size: 6, topology: 'custom', parents: [0, 5, 1, 1, 0, 0] },
  { size: 17, topology: 'kary:2', plan: { routers: 2, 'exec-workers': 0, 'ring-size': 4096, spin: 0 } },
  { size: 64, topology: 'kary:2' },
  { size: 64, topology: 'binomial', plan: {} },
];

const customHosts = ({ parents }: Row) =>
  parents?.map((parent, rank) => (rank ? { host: `h${rank}`, parent: `h${parent}` } : { host: 'h0' }));

/** The ranks on the way from one to another, both included. */
function way(topology: Topology, from: number, to: number): number[] {
  if (from === to) return [from];
  const next = topology.childToward(from, to) ?? topology.parent(from)!;
  return [from, ...way(topology, next, to)];
}

async function checkPings(handles: readonly Handle[], topology: Topology): Promise<void> {
  const uuids = await Promise.all(handles.map((handle) => handle.attribute('broker.uuid')));
  for (const [from, handle] of handles.entries()) {
    const answers = handles.map((_, nodeid) =>
      handle.rpc<{ route: string; rank: number }>('broker.ping', {}, { nodeid }),
    );
    for (const [to, { route, rank }] of (await Promise.all(answers)).entries()) {
      const expected = way(topology, from, to).map((each) => uuids[each]!.slice(0, 8));
      assert.equal(rank, to);
      // In front of the brokers are the client and its connector.
      assert.deepEqual(route.split('!').slice(2), expected, `from ${from} to ${to}`);
    }
    const upstream = handle.rpc<{ rank: number }>('broker.ping', {}, { nodeid: 0xfffffffe });
    if (from) assert.equal((await upstream).rank, topology.parent(from));
    else await assert.rejects(upstream, { code: 'EHOSTUNREACH' });
  }
}

/** Ranks publish at the same time; everybody must see one order, without gaps. */
async function checkEvents(handles: readonly Handle[]): Promise<void> {
  const queues = await Promise.all(handles.map((handle) => handle.subscribe('test.')));
  const publishers = handles.filter((_, rank) => rank % 5 === 0);
  const count = 20;
  const published = publishers.flatMap((handle, i) =>
    Array.from({ length: count }, (_, n) => handle.publish(`test.${i}`, { n })),
  );
  const seen = await Promise.all(
    queues.map(async (queue) => {
      const events: string[] = [];
      let previous = 0;
      for await (const { sequence, topic, json } of queue) {
        assert.ok(previous === 0 || sequence > previous, 'sequence numbers rise');
        previous = sequence;
        events.push(`${sequence} ${topic} ${JSON.stringify(json)}`);
        if (events.length === published.length) break;
      }
      return events;
    }),
  );
  for (const events of seen) assert.deepEqual(events, seen[0]);
  const sequences = seen[0]!.map((event) => Number(event.split(' ')[0])).sort((a, b) => a - b);
  assert.deepEqual(
    sequences,
    (await Promise.all(published)).sort((a, b) => a - b),
  );
  for (const [i] of publishers.entries()) {
    const own = seen[0]!.filter((event) => event.includes(` test.${i} `)).map((event) => event.split(' ')[2]);
    assert.deepEqual(
      own,
      Array.from({ length: count }, (_, n) => `{"n":${n}}`),
      'each publisher keeps its order',
    );
  }
}

async function checkGroups(handles: readonly Handle[]): Promise<void> {
  const [leader] = handles as [Handle];
  const members = async () => (await leader.rpc<{ members: string }>('groups.get', { name: 'all' })).members;
  const all = handles.length === 1 ? '0' : `0-${handles.length - 1}`;
  await Promise.all(handles.map((handle) => handle.rpc('groups.join', { name: 'all' })));
  await until(async () => (await members()) === all, 'all ranks are members');
  await Promise.all(handles.slice(1).map((handle) => handle.rpc('groups.leave', { name: 'all' })));
  await until(async () => (await members()) === '0', 'only rank 0 is a member');
}

async function checkHealth(handles: readonly Handle[], topology: Topology): Promise<void> {
  for (const [rank, handle] of handles.entries()) {
    const { status, children } = await handle.rpc<{ status: string; children: { rank: number; status: string }[] }>(
      'overlay.health',
      {},
    );
    assert.equal(status, 'full', `rank ${rank}`);
    assert.deepEqual(
      children.map((child) => [child.rank, child.status]),
      [...topology.children(rank)].map((child) => [child, 'full']),
    );
  }
}

/** A program on each rank tells the rank that it is on. */
async function checkPrograms(handles: readonly Handle[]): Promise<void> {
  const [leader] = handles as [Handle];
  const command = { cmdline: ['sh', '-c', 'echo "$FLUX_URI"'], cwd: '/', env: { A: 'b' }, opts: {}, channels: [] };
  await Promise.all(
    handles.map(async (_, nodeid) => {
      let output = '';
      let status: number | undefined;
      const stream = leader.stream<{ type: string; status?: number; io?: { data?: string; rank: string } }>(
        'rexec.exec',
        { cmd: command, flags: 1 },
        { nodeid },
      );
      for await (const { type, io, status: code } of stream) {
        if (type === 'output') output += io?.data ?? '';
        if (io) assert.equal(io.rank, String(nodeid));
        if (type === 'finished') status = code;
      }
      assert.match(output, new RegExp(`^local:///.*/local-${nodeid}\\n$`));
      assert.equal(status, 0);
    }),
  );
}

/** What is logged anywhere with severity err is told at rank 0. */
async function checkLog(handles: readonly Handle[], lines: readonly string[]): Promise<void> {
  for (const [rank, handle] of handles.entries()) {
    const entry = (severity: number, text: string) =>
      Buffer.from(`<${severity << 3}>1 2026-01-01T00:00:00.000000Z ${rank} test - - - ${text}`);
    handle.notify('log.append', entry(3, `bad on ${rank}`));
    handle.notify('log.append', entry(6, `good on ${rank}`));
  }
  const told = (text: string) => lines.filter((line) => line.endsWith(text)).length;
  await until(() => handles.every((_, rank) => told(`test.err[${rank}]: bad on ${rank}`) === 1), 'all lines are told');
  assert.ok(!lines.some((line) => line.includes('good on')));
}

for (const row of rows) {
  const { size, topology: shape, plan = engine } = row;
  describe(`${size} ranks as ${shape} with ${JSON.stringify(plan)}`, () => {
    const hosts = customHosts(row);
    const topology = Topology.create(shape, size, { hosts: hosts ?? [] });
    const lines: string[] = [];
    let instance: RunningInstance;
    let handles: Handle[];

    test('start', async () => {
      instance = await library.start({
        size,
        attributes: { 'tbon.topo': shape },
        config: { engine: { ...plan }, ...(hosts && { bootstrap: { hosts } }) },
        stderr: (line) => lines.push(line),
      });
      handles = await openAll(instance);
      assert.equal(handles.length, size);
    });
    test('answer pings from everywhere to everywhere, by the right way', () => checkPings(handles, topology));
    test('see events in one order', () => checkEvents(handles));
    test('join and leave groups', () => checkGroups(handles));
    test('are healthy', () => checkHealth(handles, topology));
    test('run programs', () => checkPrograms(handles));
    test('log to rank 0', () => checkLog(handles, lines));
    test('end, and leave no folder', async () => {
      await Promise.all(handles.map((handle) => handle.close()));
      assert.equal(await instance.stop(), 0);
    });
  });
}
