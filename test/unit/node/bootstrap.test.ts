// How processes that a launcher started become an instance: what they tell each other, and what rank 0 makes of it.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Bootstrap, type Card, ownCard } from '../../../core/node/bootstrap.ts';
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

const on = (machine: string, ...hostnames: string[]): Card[] => hostnames.map((hostname) => ({ machine, hostname }));

async function gathered(...args: Parameters<typeof gather>): Promise<StartOptions> {
  const [first] = (await gather(...args)).gathered;
  if (first?.status !== 'fulfilled') throw first?.reason;
  return first.value;
}

test('rank 0 learns of the hosts of all, and the others of nothing', async () => {
  const { gathered } = await gather(on('m', 'a', 'b', 'a'));
  assert.deepEqual(gathered, [
    { status: 'fulfilled', value: { size: 3, bootMethod: 'simple', mapping: null, hosts: 'a,b,a' } },
    { status: 'fulfilled', value: {} },
    { status: 'fulfilled', value: {} },
  ]);
});

test('a process that nobody launched is an instance of its own', async () => {
  const alone = new Bootstrap(new SinglePmi(), inJob);
  assert.deepEqual(await alone.gather(ownCard()), { size: 1, bootMethod: 'single', mapping: '[[0,1,1,1]]' });
});

test('ranks on several machines are refused by rank 0, which can have all ended', async () => {
  const { bootstraps, gathered, aborts } = await gather([...on('m', 'a', 'b'), ...on('n', 'c')]);
  const [first] = gathered;
  assert.equal(first?.status, 'rejected');
  await refused(Promise.reject(first.reason), 'ENOSYS', /several machines .* rank 0 is on a and rank 2 on c/);
  assert.deepEqual(
    gathered.slice(1).map(({ status }) => status),
    ['fulfilled', 'fulfilled'],
  );
  await bootstraps[0]!.abort('no');
  await new Promise(setImmediate);
  assert.deepEqual(aborts, [[0, 1, 'no']]);
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

  test('nonsense', () =>
    refused(gathered(on('m', 'a', 'a'), { PMI_process_mapping: '(vector,(0' }), 'EINVAL', /PMI_process_mapping: /));
});

test('where it listens is told to all, and then all are done', async () => {
  const { bootstraps, server } = await gather(on('m', 'a', 'b', 'c'));
  const waiting = bootstraps.slice(1).map((each) => each.awaitUri());
  await bootstraps[0]!.announce('local:///here');
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
