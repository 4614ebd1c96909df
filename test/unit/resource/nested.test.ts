// The module resource of an instance that is a job of another one: what it has is what the job has.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { parseResourceSet } from '../../../core/formats/resource-json.ts';
import { type JsonValue, stringifyJson } from '../../../core/json.ts';
import { refused } from '../../errors.ts';
import { EnclosingInstance, Fixture, type FixtureOptions, plain } from './fixture.ts';

const attributes = { jobid: 'ƒF', 'parent-uri': 'local:///parent' };

/** R of a job on some hosts, with cores as given. */
function jobR(ranks: string, cores: string, nodelist: string): string {
  return stringifyJson({
    version: 1,
    execution: {
      R_lite: [{ rank: ranks, children: { core: cores } }],
      starttime: 100,
      expiration: 200,
      nodelist: [nodelist],
    },
  });
}

function startNested(parent: EnclosingInstance, options: FixtureOptions = {}): Promise<Fixture> {
  return Fixture.start({ size: 2, hostlist: 'a,b', attributes, parent, ...options });
}

const R = jobR('5,9', '4-5', 'a,b');

async function described(module: Fixture): Promise<string> {
  const answer = await module.call('get');
  const set = parseResourceSet(stringifyJson(answer.R as JsonValue));
  return `${answer.method} ${set.describe()} on ${set.nodelist} until ${set.expiration}`;
}

test('R is that of the job, with ranks and cores counted from 0', async () => {
  const parent = new EnclosingInstance(R);
  const module = await startNested(parent);
  assert.equal(await described(module), 'job-info rank[0-1]/core[0-1] on a,b until 200');
  assert.deepEqual(plain(JSON.parse(stringifyJson(parent.asked as unknown as JsonValue))), [
    { topic: 'job-info.update-watch', payload: { id: 14, key: 'R', flags: 0 } },
  ]);
  assert.deepEqual(module.kept, ['resource-define {"method":"job-info"}']);
});

describe('which rank a node of the job has', () => {
  const mixed = stringifyJson({
    version: 1,
    execution: {
      R_lite: [
        { rank: '3', children: { core: '0' } },
        { rank: '7', children: { core: '1-3', gpu: '2' } },
      ],
      nodelist: ['a,b'],
    },
  });
  for (const [hostlist, expected] of [
    ['a,b', 'rank0/core0 rank1/core[0-2],gpu2 on a,b'],
    ['b,a', 'rank0/core[0-2],gpu2 rank1/core0 on b,a'],
    // Ranks that share a host, or play one that the job has not, are taken in order.
    ['c,c', 'rank0/core0 rank1/core[0-2],gpu2 on a,b'],
    ['a,c', 'rank0/core0 rank1/core[0-2],gpu2 on a,b'],
  ] as const)
    test(hostlist, async () => {
      const module = await startNested(new EnclosingInstance(mixed), { hostlist });
      assert.equal(await described(module), `job-info ${expected} until 0`);
    });
});

test('when the job ends at another time, so does the instance, and a scheduler learns of it', async () => {
  const parent = new EnclosingInstance(R);
  const module = await startNested(parent);
  const scheduler = module.stream('acquire');
  await module.taken(scheduler);
  await parent.update(300);
  assert.match(await described(module), /until 300$/);
  assert.deepEqual(
    (await module.taken(scheduler)).map(({ payload }) => plain(payload)),
    [{ expiration: 300 }],
  );
  assert.equal(module.kept.at(-1), 'resource-update {"expiration":300.0}');
  assert.equal(JSON.parse(module.kvs.get('resource.R')!).execution.expiration, 300);
  await parent.fail('EIO');
  assert.match(module.logs.join('\n'), /failed to follow R of the enclosing instance/);
});

test('an older instance is asked once and tells of no changes', async () => {
  const parent = new EnclosingInstance(R, false);
  const module = await startNested(parent);
  assert.match(await described(module), /^job-info rank\[0-1\]/);
  assert.deepEqual(
    parent.asked.map(({ topic }) => topic),
    ['job-info.update-watch', 'job-info.lookup'],
  );
  const other = new EnclosingInstance(R);
  await startNested(other, { config: { resource: { 'no-update-watch': true } } });
  assert.deepEqual(
    other.asked.map(({ topic }) => topic),
    ['job-info.lookup'],
  );
});

test('several ranks on a node of the job have what the machine has', async () => {
  const parent = new EnclosingInstance(R);
  const module = await startNested(parent, { size: 4, hostlist: 'a,a,b,b' });
  assert.match(await described(module), /^dynamic-discovery rank\[0-3\]\/core\[0-3\]/);
  assert.ok(parent.isClosed);
  assert.match(module.logs.join('\n'), /cannot map 2 ranks of R to 4 brokers/);
});

test('what the machine has is taken when that is wanted, until the job ends', async () => {
  const parent = new EnclosingInstance(R);
  const module = await startNested(parent, { config: { resource: { rediscover: true } } });
  assert.equal(await described(module), 'dynamic-discovery rank[0-1]/core[0-3] on node[0,0] until 200');
  await parent.update(300);
  assert.match(await described(module), /until 300$/);
});

test('what is configured or kept needs no enclosing instance, and all else fails without one', async () => {
  const resource = { config: [{ hosts: 'a,b', cores: '0-7' }], noverify: true };
  const configured = await Fixture.start({ size: 2, hostlist: 'a,b', attributes, config: { resource } });
  assert.match(await described(configured), /^configuration /);
  const kvs = new Map([['resource.R', R]]);
  assert.match(await described(await Fixture.start({ size: 2, hostlist: 'a,b', attributes, kvs })), /^kvs /);
  await refused(
    Fixture.start({ size: 2, hostlist: 'a,b', attributes }),
    'ECONNREFUSED',
    /lookup R from enclosing instance: nobody is at local:\/\/\/parent/,
  );
});

test('an R that makes no sense is refused, and the connection ends with the module', async () => {
  const wrong = new EnclosingInstance('{"version":1}');
  await refused(startNested(wrong), 'EINVAL', /lookup R from enclosing instance: .*execution/);
  assert.ok(wrong.isClosed);
  const parent = new EnclosingInstance(R);
  const module = await startNested(parent);
  await module.host.stop();
  assert.ok(parent.isClosed);
  assert.doesNotMatch(module.logs.join('\n'), /failed to follow/);
});
