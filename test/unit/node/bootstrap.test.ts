// How processes that a launcher started become an instance: what they tell each other, and what rank 0 makes of it.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Bootstrap, type Launched, ownCard } from '../../../core/node/bootstrap.ts';
import type { Card } from '../../../core/node/launch-plan.ts';
import { criticalNodes } from '../../../core/node/parent-instance.ts';
import { prepare, type StartOptions } from '../../../core/node/prepare.ts';
import { removeFolder } from '../../../core/node/run-directory.ts';
import { SinglePmi } from '../../../core/pmi/pmi.ts';
import { refused } from '../../errors.ts';
import { startProgram } from '../pmi/program.ts';

const inJob = {
  FLUX_URI: 'local:///parent',
  FLUX_KVS_NAMESPACE: 'job-1',
  FLUX_JOB_ID_PATH: '/ƒA/ƒB',
};

/** Processes that gather, each with its card; what they resolve to, by rank. */
async function gather(
  cards: readonly Card[],
  values: Readonly<Record<string, string>> = {},
  environment: Readonly<Record<string, string>> = {},
) {
  const { clients, aborts, server } = await startProgram(cards.length, values);
  const bootstraps = clients.map((pmi) => new Bootstrap(pmi, environment));
  const gathered = await Promise.allSettled(bootstraps.map((each, rank) => each.gather(cards[rank]!)));
  return { bootstraps, gathered, aborts, server };
}

const on = (machine: string, ...hostnames: string[]): Card[] =>
  hostnames.map((hostname) => ({ machine, hostname, ranks: 1, isShared: true }));

async function launched(...args: Parameters<typeof gather>): Promise<Launched[]> {
  return (await gather(...args)).gathered.map((each) => {
    if (each.status === 'rejected') throw each.reason;
    return each.value;
  });
}

/** What the process of rank 0 starts with. */
async function gathered(...args: Parameters<typeof gather>): Promise<StartOptions> {
  return (await launched(...args))[0]!.options;
}

test('all learn of the hosts of all; one process of a machine hosts their ranks', async () => {
  const all = await launched(on('m', 'a', 'b', 'a'));
  assert.deepEqual(
    all.map(({ isHost, node, options }) => ({ isHost, node, options })),
    [
      { isHost: true, node: 0, options: { size: 3, bootMethod: 'simple', mapping: null, hosts: 'a,b,a' } },
      { isHost: false, node: 0, options: {} },
      { isHost: false, node: 0, options: {} },
    ],
  );
  assert.deepEqual(all[1]!.plan, all[0]!.plan);
  assert.deepEqual(all[0]!.plan.nodes, [{ ranks: '0-2', processes: '0-2', machine: 'm' }]);
});

test('a process that nobody launched is an instance of its own', async () => {
  const alone = new Bootstrap(new SinglePmi(), inJob);
  const { plan, isHost, options } = await alone.gather(ownCard());
  assert.deepEqual(options, { size: 1, bootMethod: 'single', mapping: '[[0,1,1,1]]' });
  assert.deepEqual([plan.size, isHost], [1, true]);
});

test('ranks of several machines, and of processes that are not shared, have processes of their own', async () => {
  const alone = { machine: 'n', hostname: 'c', ranks: 3, isShared: false };
  const all = await launched([...on('m', 'a', 'b'), alone, ...on('m', 'a'), ...on('n', 'c', 'c')]);
  assert.deepEqual(all[0]!.plan.nodes, [
    { ranks: '0-1,5', processes: '0-1,3', machine: 'm' },
    { ranks: '2-4', processes: '2', machine: 'n' },
    { ranks: '6-7', processes: '4-5', machine: 'n' },
  ]);
  assert.deepEqual(
    all.map(({ node, isHost }) => [node, isHost]),
    [
      [0, true],
      [0, false],
      [1, true],
      [0, false],
      [2, true],
      [2, false],
    ],
  );
  assert.equal(all[2]!.options.hosts, 'a,b,c,c,c,a,c,c');
});

test('a job of an enclosing instance knows where it is; its environment alone does not make it one', async () => {
  const values = { 'flux.instance-level': '2', 'flux.tbon-interface-hint': 'eth7' };
  const { enclosing, attributes } = await gathered(on('m', 'a', 'b'), values, inJob);
  assert.deepEqual(enclosing, {
    jobid: 'program',
    level: '2',
    uri: 'local:///parent',
    namespace: 'job-1',
    jobidPath: '/ƒA/ƒB',
  });
  assert.deepEqual(attributes, { 'tbon.interface-hint': 'eth7' });
  const plain = await gathered(on('m', 'a', 'b'), {}, inJob);
  assert.deepEqual([plain.enclosing, plain.attributes], [undefined, undefined]);
});

describe('which ranks share a node is what the launcher says', () => {
  const level = { 'flux.instance-level': '1' };
  const pmi = { PMI_process_mapping: '(vector,(0,2,1))' };
  const flux = { 'flux.taskmap': '{"version":1,"map":[[0,1,2,1]]}' };
  for (const [name, values, expected] of [
    ['nothing', {}, null],
    ['by PMI', pmi, '[[0,2,1,1]]'],
    ['by Flux', { ...level, ...pmi, ...flux }, '[[0,1,2,1]]'],
    ['by Flux, but it is no job', { ...pmi, ...flux }, '[[0,2,1,1]]'],
    ['a job whose map is too long', { ...level, ...pmi }, '[[0,2,1,1]]'],
  ] as const)
    test(name, async () => assert.equal((await gathered(on('m', 'a', 'a'), values)).mapping, expected));

  test('nonsense', async () => {
    const { clients } = await startProgram(2, { PMI_process_mapping: '(vector,(0' });
    // The other waits until rank 0 has all ended.
    const [first] = clients.map((pmi) => new Bootstrap(pmi, {}).gather(ownCard()));
    await refused(first!, 'EINVAL', /PMI_process_mapping: /);
  });
});

test('who starts all processes tells rank 0 what they cannot know', async () => {
  const { clients } = await startProgram(2, { PMI_process_mapping: '(vector,(0,2,1))' });
  const cards = on('m', 'a', 'a').map((card) => ({ ...card, ranks: 2, isShared: false }));
  const told = [{ hosts: 'h[0-3]', mapping: '[[0,1,4,1]]' }, {}];
  const all = await Promise.all(clients.map((pmi, i) => new Bootstrap(pmi, {}).gather(cards[i]!, told[i])));
  for (const { options } of all) assert.deepEqual([options.hosts, options.mapping], ['h[0-3]', '[[0,1,4,1]]']);
});

test('where it listens is told to all, and then all are done', async () => {
  const { bootstraps, gathered, server } = await gather(on('m', 'a', 'b', 'c'));
  const [first, ...others] = gathered.map((each) => (each as PromiseFulfilledResult<Launched>).value);
  const waiting = bootstraps.slice(1).map((each, i) => each.awaitUri(others[i]!));
  await bootstraps[0]!.announce(first!, 'local:///here');
  assert.deepEqual(await Promise.all(waiting), ['local:///here', 'local:///here']);
  assert.ok(server.isDone);
});

test('what was gathered becomes attributes of the instance', async () => {
  const options = await gathered(
    on('m', 'a', 'b', 'c', 'd'),
    { 'flux.instance-level': '1', 'flux.taskmap': '[[0,2,2,1]]' },
    inJob,
  );
  const { instance, folders } = prepare({ ...options, attributes: { 'tbon.topo': 'kary:2' } });
  for (const folder of folders) removeFolder(folder);
  const attributes = new Map(instance.attributes);
  const names = ['size', 'hostlist', 'broker.boot-method', 'broker.mapping', 'instance-level', 'jobid', 'jobid-path'];
  assert.deepEqual(
    [...names, 'parent-uri', 'parent-kvs-namespace'].map((name) => attributes.get(name)),
    ['4', 'a,b,c,d', 'simple', '[[0,2,2,1]]', '1', 'program', '/ƒA/ƒB', 'local:///parent', 'job-1'],
  );
  assert.deepEqual(instance.hostnames, ['a', 'b', 'c', 'd']);
});

test("the job's nodes that an instance cannot do without are those of its critical ranks", () => {
  for (const [ranks, mapping, expected] of [
    ['0', '[[0,2,2,1]]', '0'],
    ['0-1', '[[0,2,2,1]]', '0'],
    ['0,2', '[[0,2,2,1]]', '0-1'],
    ['0-3', '[[0,4,1,1]]', '0-3'],
    ['0', '[]', undefined],
    ['0', null, undefined],
  ] as const) {
    const attributes = [
      ['broker.critical-ranks', ranks],
      ['broker.mapping', mapping],
    ] as const;
    assert.equal(criticalNodes({ attributes }), expected, `${ranks} ${mapping}`);
  }
});
