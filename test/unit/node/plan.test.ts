// Which threads an instance gets, and which ranks and programs each of them has.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { JsonObject } from '../../../core/json.ts';
import {
  kvsShard,
  kvsShards,
  leaderThread,
  MAIN,
  makePlan,
  type Plan,
  THREADS_MAX,
  threadOfService,
} from '../../../core/node/plan.ts';
import { Topology } from '../../../core/overlay/topology.ts';
import { canYield } from '../../../native/index.ts';
import { throwsCode } from '../../errors.ts';

function plan(cores: number, size: number, engine: JsonObject = {}, shape = 'kary:2'): Plan {
  return makePlan(cores, Topology.create(shape, size), { engine });
}

for (const [cores, size, engine, names] of [
  [1, 1, {}, ['engine']],
  [2, 1024, {}, ['engine']],
  [3, 4096, {}, ['engine']],
  [4, 1, {}, ['router 0', 'exec 0']],
  [4, 4096, {}, ['router 0', 'exec 0']],
  [8, 256, {}, ['router 0', 'exec 0']],
  [8, 257, {}, ['router 0', 'router 1', 'exec 0']],
  [64, 512, {}, ['router 0', 'router 1', 'exec 0', 'exec 1', 'exec 2', 'exec 3']],
  [2, 4, { routers: 1 }, ['engine']],
  [2, 4, { routers: 2 }, ['router 0', 'router 1']],
  [2, 4, { routers: 1, 'exec-workers': 1 }, ['router 0', 'exec 0']],
  [64, 4, { routers: 1, 'exec-workers': 0 }, ['engine']],
] as [number, number, JsonObject, string[]][]) {
  test(`${cores} cores, ${size} ranks and ${JSON.stringify(engine)} are served by ${names.join(', ')}`, () => {
    const { threads } = plan(cores, size, engine);
    assert.deepEqual(
      threads.map(({ name }) => name),
      ['main', ...names, 'store'],
    );
    assert.deepEqual(
      threads.map(({ index }) => index),
      [...threads.keys()],
    );
    assert.deepEqual(
      threads.filter(({ routes }) => routes).map(({ name }) => name),
      names.filter((name) => !name.startsWith('exec')),
    );
  });
}

test('programs are run by threads of their own where there are any, else by those that route', () => {
  const running = ({ threads }: Plan) =>
    threads.filter(({ services }) => services.includes('rexec')).map(({ name }) => name);
  assert.deepEqual(running(plan(2, 4)), ['engine']);
  assert.deepEqual(running(plan(2, 4, { routers: 2 })), ['router 0', 'router 1']);
  assert.deepEqual(running(plan(2, 4, { routers: 2, 'exec-workers': 2 })), ['exec 0', 'exec 1']);
});

test('what all ranks share is at the thread of rank 0, and what waits for disks has a thread of its own', () => {
  for (const engine of [{}, { routers: 2 }, { 'exec-workers': 2 }]) {
    const made = plan(2, 4, engine);
    const { threads } = made;
    const of = (service: string) => threads.filter(({ services }) => services.includes(service));
    assert.deepEqual(
      of('kvs').map(({ index }) => index),
      [leaderThread(made)],
    );
    assert.deepEqual(of('content-sqlite'), [threads.at(-1)]);
    assert.equal(threadOfService(made, 'content-sqlite', 3), threads.length - 1);
  }
});

test('the KVS has as many threads of its own as the configuration wants', () => {
  assert.equal(kvsShards(plan(2, 4)), 0);
  const made = plan(2, 4, { 'kvs-workers': 3 });
  assert.equal(kvsShards(made), 3);
  for (let i = 0; i < 3; i++) assert.equal(made.threads[threadOfService(made, kvsShard(i), 0)]!.name, `kvs ${i}`);
});

test('a thread that looks for work before it sleeps would be in the way of all others on one core, if it did not yield', () => {
  assert.ok(plan(2, 4).spinMicroseconds > 0);
  assert.equal(plan(1, 4).spinMicroseconds, canYield() ? plan(2, 4).spinMicroseconds : 0);
  const [own, all] = [makePlan(2, Topology.create('kary:2', 4), {}, [0, 1]), plan(2, 4)];
  assert.ok(own.spinMicroseconds > all.spinMicroseconds, 'answers of other processes take longer');
  assert.equal(plan(2, 4, { spin: 0 }).spinMicroseconds, 0);
  assert.equal(plan(1, 4, { spin: 7 }).spinMicroseconds, 7);
});

test('rings have the size that the configuration wants', () => {
  assert.equal(plan(2, 4, { 'ring-size': 8192 }).ringBytes, 8192);
  const { ringBytes } = plan(2, 4);
  assert.ok(Number.isInteger(Math.log2(ringBytes)));
});

for (const [engine, text] of [
  [{ routers: 0 }, /'routers' is not between 1 and 64/],
  [{ routers: 65 }, /'routers'/],
  [{ routers: '2' }, /'routers' is not an integer/],
  [{ 'exec-workers': -1 }, /'exec-workers' is not between 0 and 64/],
  [{ 'exec-workers': 65 }, /'exec-workers'/],
  [{ 'kvs-workers': 65 }, /'kvs-workers' is not between 0 and 64/],
  [{ 'ring-size': 2048 }, /'ring-size' is not between 4096/],
  [{ 'ring-size': 2 ** 29 }, /'ring-size'/],
  [{ 'ring-size': 5000 }, /'ring-size' is no power of two/],
  [{ spin: -1 }, /'spin'/],
  [{ spin: 100_001 }, /'spin'/],
  [{ 'client-backlog': 65_535 }, /'client-backlog' is not between 65536/],
  [{ threads: 4 }, /unknown key 'threads'/],
] as [JsonObject, RegExp][]) {
  test(`refused: ${JSON.stringify(engine)}`, () => throwsCode(() => plan(2, 4, engine), 'EINVAL', text));
}

test('the largest plan has no more threads than there can be', () => {
  assert.ok(plan(1024, 65_536, { routers: 64, 'exec-workers': 64, 'kvs-workers': 64 }).threads.length <= THREADS_MAX);
});

const shapes = fc.oneof(
  fc.integer({ min: 0, max: 6 }).map((k) => `kary:${k}`),
  fc.integer({ min: 1, max: 5 }).map((k) => `mincrit:${k}`),
  fc.constant('binomial'),
);
const settings = fc.record({ routers: fc.integer({ min: 1, max: 9 }), 'exec-workers': fc.integer({ min: 0, max: 3 }) });
const sizes = fc.integer({ min: 1, max: 120 });

test('every rank is hosted by a router, and every way from rank 0 crosses threads at most once', () => {
  fc.assert(
    fc.property(shapes, sizes, settings, (shape, size, engine) => {
      const topology = Topology.create(shape, size);
      const { threads, threadOfRank } = makePlan(2, topology, { engine });
      assert.equal(threadOfRank.length, size);
      for (let rank = 1; rank < size; rank++) {
        assert.equal(threads[threadOfRank[rank]!]?.routes, true);
        const parent = topology.parent(rank)!;
        if (parent > 0) assert.equal(threadOfRank[rank], threadOfRank[parent], `${rank} and its parent ${parent}`);
      }
    }),
  );
});

test('no router could be relieved by giving one of its subtrees to the one with the fewest ranks', () => {
  fc.assert(
    fc.property(shapes, sizes, settings, (shape, size, engine) => {
      const topology = Topology.create(shape, size);
      const { threadOfRank } = makePlan(2, topology, { engine });
      const loads = Array.from({ length: engine.routers }, (_, router) =>
        threadOfRank.reduce((sum, thread) => sum + Number(thread === router + 1), 0),
      );
      const fewest = Math.min(...loads);
      for (const child of topology.children(0)) {
        const load = loads[threadOfRank[child]! - 1]!;
        const subtree = topology.descendants(child) + 1;
        assert.ok(load <= fewest + subtree, `loads ${loads}: the subtree of ${child} has ${subtree} ranks`);
      }
    }),
  );
});

test('the programs of a rank are run on one thread, its own if that runs programs', () => {
  fc.assert(
    fc.property(shapes, sizes, settings, (shape, size, engine) => {
      const made = plan(2, size, engine, shape);
      for (let rank = 0; rank < size; rank++) {
        const thread = made.threads[threadOfService(made, 'rexec', rank)]!;
        assert.ok(thread.services.includes('rexec'));
        if (engine['exec-workers'] === 0) assert.equal(thread.index, made.threadOfRank[rank]);
      }
    }),
  );
});

test('programs are spread over the threads that run them', () => {
  const made = plan(2, 9, { 'exec-workers': 3 });
  const used = Array.from({ length: 9 }, (_, rank) => made.threads[threadOfService(made, 'rexec', rank)]!.name);
  for (const name of ['exec 0', 'exec 1', 'exec 2']) assert.equal(used.filter((each) => each === name).length, 3);
});

test('rank 0 is on the first router', () => {
  assert.equal(leaderThread(plan(2, 50, { routers: 5 })), MAIN + 1);
});
