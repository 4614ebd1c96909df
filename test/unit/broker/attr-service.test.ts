// The service `attr` by its messages: who may ask what of which rank, and what is told.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { refused } from '../../errors.ts';
import { guest } from '../../sim/client.ts';
import { Simulation } from '../../sim/simulation.ts';

const start = (size = 1) => new Simulation({ size, attributes: { 'test.x': 'y', 'test-im.x': 'z' } }).start();

test('values are told with the bit that says whether clients may keep them', async () => {
  const sim = await start(3);
  for (const client of [sim.connect(2), sim.connect(2, guest())]) {
    assert.deepEqual(await client.rpc('attr.get', { name: 'rank' }), { value: '2', flags: 1 });
    assert.deepEqual(await client.rpc('attr.get', { name: 'test.x' }), { value: 'y', flags: 0 });
    assert.deepEqual(await client.rpc('attr.get', { name: 'rank' }, { nodeid: 1 }), { value: '1', flags: 1 });
    assert.deepEqual(await client.rpc('attr.get', { name: 'tbon.level' }), { value: '1', flags: 0 });
  }
});

test('what is not set, has no value or is not known is not there', async () => {
  const sim = await start();
  const client = sim.connect();
  for (const name of ['parent-uri', 'jobid', 'nosuch', ''])
    await refused(client.rpc('attr.get', { name }), 'ENOENT', /^No such file or directory$/);
  for (const payload of [undefined, {}, { name: 1 }, [], 'rank'])
    await refused(client.rpc('attr.get', payload), 'EPROTO');
});

test('the socket of a rank is opened when somebody asks for its address', async () => {
  const sim = await start(2);
  assert.deepEqual([...sim.node.listening], []);
  await sim.connect(1).rpc('attr.get', { name: 'rank' });
  assert.deepEqual([...sim.node.listening], []);
  const { value } = await sim.connect(0).rpc<{ value: string }>('attr.get', { name: 'local-uri' }, { nodeid: 1 });
  assert.equal(value, 'local:///sim/rundir/local-1');
  assert.deepEqual([...sim.node.listening], [1]);
});

test('all names are listed once, those without a value too', async () => {
  const sim = await start();
  const { names } = await sim.connect(0, guest()).rpc<{ names: string[] }>('attr.list');
  assert.equal(new Set(names).size, names.length);
  for (const name of ['rank', 'size', 'parent-uri', 'test.x', 'local-uri', 'log-stderr-level', 'tbon.topo'])
    assert.ok(names.includes(name), name);
  assert.ok(!names.includes('jobid'));
});

for (const [payload, code, text] of [
  [{ name: 'size', value: '9' }, 'EINVAL', /^attribute may not be updated$/],
  [{ name: 'size', value: '9', force: true }, 'EPERM', /immutable/],
  [{ name: 'test-im.x', value: '9', force: true }, 'EPERM', /immutable/],
  [{ name: 'tbon.topo', value: '9' }, 'EINVAL', /^attribute may not be updated$/],
  [{ name: 'nosuch', value: '9' }, 'ENOENT', /^unknown attribute$/],
  [{ name: 'nosuch', value: '9', force: true }, 'ENOENT', /^unknown attribute$/],
  [{ name: 'test.x' }, 'EPROTO', /'value' is missing/],
  [{ name: 'test.x', value: 5 }, 'EPROTO', /'value' is not a string/],
  [{ name: 'test.x', value: null }, 'EPROTO', /'value' is not a string/],
  [{ name: 'test.x', value: 'a', force: 1 }, 'EPROTO', /'force' is not true or false/],
  [{ name: 'log-stderr-level', value: '8' }, 'EINVAL', /invalid level/],
  [{ name: 'log-stderr-level', value: 'err' }, 'EINVAL', /invalid level/],
  [{ name: 'test-rd.x', value: 'a' }, 'ENOSYS', /No service matching testrd.setattr/],
] as const) {
  test(`attr.set ${JSON.stringify(payload)} is refused with ${code}, and changes nothing`, async () => {
    const sim = await start();
    const client = sim.connect();
    const before = sim.ranks[0]!.broker.attributes.get(payload.name);
    await refused(client.rpc('attr.set', payload), code, text);
    assert.equal(sim.ranks[0]!.broker.attributes.get(payload.name), before);
  });
}

test('values are set and removed on one rank', async () => {
  const sim = await start(2);
  const client = sim.connect();
  assert.equal(await client.rpc('attr.set', { name: 'test.x', value: '' }), undefined);
  assert.deepEqual(await client.rpc('attr.get', { name: 'test.x' }), { value: '', flags: 0 });
  assert.deepEqual(await client.rpc('attr.get', { name: 'test.x' }, { nodeid: 1 }), { value: 'y', flags: 0 });
  assert.equal(await client.rpc('attr.rm', { name: 'test.x' }), undefined);
  await refused(client.rpc('attr.get', { name: 'test.x' }), 'ENOENT');
  assert.deepEqual(await client.rpc('attr.get', { name: 'test.x' }, { nodeid: 1 }), { value: 'y', flags: 0 });
  await client.rpc('attr.set', { name: 'tbon.topo', value: 'kary:9', force: true });
  assert.deepEqual(await client.rpc('attr.get', { name: 'tbon.topo' }), { value: 'kary:9', flags: 0 });
});

test('what is not set can be removed, what never changes cannot', async () => {
  const sim = await start();
  const client = sim.connect();
  assert.equal(await client.rpc('attr.rm', { name: 'nosuch' }), undefined);
  assert.equal(await client.rpc('attr.rm', { name: 'jobid' }), undefined);
  await refused(client.rpc('attr.rm', { name: 'size' }), 'EPERM', /immutable/);
  await refused(client.rpc('attr.rm', {}), 'EPROTO');
});

test('another service decides about some values, unless they are forced', async () => {
  const sim = await start();
  const decider = sim.connect();
  const asked: unknown[] = [];
  await decider.serve('testrd', (request) => {
    asked.push(request.json);
    decider.respond(request);
  });
  const client = sim.connect();
  await client.rpc('attr.set', { name: 'test-rd.x', value: 'a' });
  assert.deepEqual(await client.rpc('attr.get', { name: 'test-rd.x' }), { value: 'a', flags: 0 });
  await client.rpc('attr.set', { name: 'test-rd.x', value: 'b', force: true });
  assert.deepEqual(asked, [{ name: 'test-rd.x', value: 'a' }]);
  assert.deepEqual(await client.rpc('attr.get', { name: 'test-rd.x' }), { value: 'b', flags: 0 });
});

test('only the owner changes attributes', async () => {
  const sim = await start();
  const client = sim.connect(0, guest());
  for (const method of ['set', 'rm'])
    await refused(
      client.rpc(`attr.${method}`, { name: 'test.x', value: 'a' }),
      'EPERM',
      /^Request requires owner credentials$/,
    );
});
