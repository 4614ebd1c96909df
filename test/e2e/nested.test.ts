/** Instances that are jobs of an instance. */

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { type Instance, type RunOptions, startInstance } from './instance.ts';

let outer: Instance;
before(async () => {
  outer = await startInstance(2, ['--conf=resource.partition=true']);
});
after(() => outer.stop());

/** What a script prints; it must not fail. */
async function print(script: string, options: RunOptions = {}): Promise<string> {
  const { stdout, stderr, exit } = await outer.shell(script, { timeoutMs: 60_000, ...options });
  assert.equal(exit, 0, stderr);
  return stdout;
}

test('it has the resources of its job, and attributes that say whose it is', async () => {
  const names = [
    'size',
    'instance-level',
    'jobid',
    'jobid-path',
    'parent-uri',
    'parent-kvs-namespace',
    'broker.mapping',
  ];
  const script = `${names.map((name) => `flux getattr ${name}`).join('; ')}; flux resource list -no {nnodes}:{ncores} -s free`;
  const lines = (await print(`flux alloc -N2 sh -c '${script}'`)).trim().split('\n');
  const id = (await print('flux job last')).trim();
  const namespace = (await print('flux job namespace $(flux job last)')).trim();
  assert.deepEqual(lines, ['2', '1', id, `/${id}`, outer.uri, namespace, '[[0,2,1,1]]', '2:2']);
});

test('one inside of another', async () => {
  const path = await print('flux alloc -N2 flux alloc -N1 flux getattr jobid-path');
  assert.match(path, /^\/ƒ\w+\/ƒ\w+\n$/);
  const script = 'flux getattr instance-level; flux --parent getattr instance-level';
  assert.equal(await print(`flux run -n1 flux start sh -c '${script}'`), '1\n0\n');
});

test('jobs run in it, on both of its ranks', async () => {
  const out = await print(`flux batch -N2 --wrap --output=kvs flux run -N2 flux getattr rank >/dev/null
    flux job attach $(flux job last)`);
  assert.deepEqual(out.trim().split('\n').sort(), ['0', '1']);
});

test('it ends as its program does', async () => {
  const { exit } = await outer.shell('flux alloc -N2 sh -c "exit 3"', { timeoutMs: 60_000 });
  assert.equal(exit, 3);
});

test('when its job is to end at another time, so is it', async () => {
  const script =
    'flux --parent update $FLUX_ENCLOSING_ID duration=200 && flux resource eventlog -f json --wait=resource-update';
  const out = await print(`flux alloc -n1 -t 100 sh -c '${script} | tail -n 1; flux job timeleft'`);
  const [event, left] = out.trim().split('\n');
  assert.equal(JSON.parse(event!).name, 'resource-update');
  assert.ok(Number(left) > 150 && Number(left) <= 200, left);
});

describe('in the background', () => {
  let id: string;
  before(async () => {
    id = (await print('flux alloc --bg -N2')).trim();
  });

  test('it is found by its job, and others reach it', async () => {
    const uri = (await print(`flux uri ${id}`)).trim();
    assert.match(uri, /^ssh:\/\/[^/]+\/.*\/local-0$/);
    assert.equal((await print(`flux uri --local ${id}`)).trim(), uri.replace(/^ssh:\/\/[^/]+/, 'local://'));
    assert.equal(await print(`flux proxy ${id} flux getattr jobid`), `${id}\n`);
    await print(`flux proxy ${id} flux submit -n1 sleep inf`);
    assert.equal(await print('flux jobs --recursive -no {name}'), `flux\n\n${id}:\nsleep\n`);
    assert.equal(await print('flux pstree'), '.\n└── flux\n    └── sleep\n');
  });

  test('it is shut down by its job', async () => {
    const { exit } = await outer.flux(['shutdown', id], { timeoutMs: 60_000 });
    assert.equal(exit, 0);
    assert.equal((await outer.flux(['job', 'status', id])).exit, 0);
  });
});

test('a canceled one ends all its processes', async () => {
  const script = `id=$(flux submit -N2 flux broker sleep inf)
    flux job wait-event -t 60 $id memo >/dev/null
    flux cancel $id; flux job wait-event -t 60 $id clean >/dev/null; flux jobs -no {result} $id`;
  assert.equal(await print(script), 'CANCELED\n');
});
