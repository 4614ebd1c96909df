// Checkpoints of the module kvs: when they are written, and what a store begins with that was there before.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FluxError } from '../../../core/errno.ts';
import { CommitFlag, OperationFlag } from '../../../core/formats/kvs-flags.ts';
import { directoryReferences } from '../../../core/formats/tree-references.ts';
import { refused } from '../../errors.ts';
import { EMPTY, Fixture, put, settled } from './fixture.ts';
import { type Disk, MemoryContent } from './memory-content.ts';

/** A store that begins with what is on a disk. */
const startAgain = (disk: Disk, args?: readonly string[]) =>
  Fixture.start({ content: new MemoryContent(disk), ...(args && { args }) });

async function diskWith(...values: readonly string[]): Promise<Disk> {
  const kvs = await Fixture.start();
  for (const value of values) await kvs.commit([put('a', value)], { flags: CommitFlag.sync });
  return kvs.content.disk;
}

test('what was stored is there when the store stops and starts again, and versions go on', async () => {
  const kvs = await Fixture.start();
  await kvs.commit([put('a', '1')]);
  await kvs.commit([put('b.c', '2')]);
  await kvs.stop();
  const again = await startAgain(kvs.content.disk);
  assert.equal((await again.root()).rootseq, 2);
  assert.equal(await again.get('b.c'), '2');
  assert.equal((await again.commit([])).payload.rootseq, 3);
  assert.match(again.logs[0]!, /^restored KVS from checkpoint on \d{4}-/);
});

test('after a crash there is what was synchronized', async () => {
  const kvs = await Fixture.start();
  await kvs.commit([put('a', '1')], { flags: CommitFlag.sync });
  await kvs.commit([put('a', '2')]);
  const again = await startAgain(kvs.content.disk);
  assert.equal(await again.get('a'), '1');
  assert.equal((await again.root()).rootseq, 1);
});

test('the same root is not kept twice, and no older one after a newer', async () => {
  const disk = await diskWith('1', '2');
  assert.equal(disk.checkpoints.length, 2);
  const again = await startAgain(disk);
  await again.stop();
  assert.equal(disk.checkpoints.length, 2);
});

test('a checkpoint whose root is lost or damaged is passed over', async () => {
  const disk = await diskWith('1', '2', '3');
  const [newest, next] = disk.checkpoints;
  disk.blobs.delete(newest!.rootref);
  disk.blobs.set(next!.rootref, Buffer.from('damaged'));
  const again = await startAgain(disk);
  assert.equal(await again.get('a'), '1');
  assert.equal((await again.root()).rootseq, 1);
  assert.deepEqual(
    again.logs.map((text) => text.replace(/ on .*/, '')),
    ['cannot restore KVS from checkpoint', 'cannot restore KVS from checkpoint', 'restored KVS from checkpoint'],
  );
});

test('when there are checkpoints and none is any good the store does not begin anew', async () => {
  const disk = await diskWith('1');
  disk.blobs.clear();
  await refused(startAgain(disk), 'EIO', /no checkpoint/);
});

for (const [code, begins] of [
  ['ENOENT', true],
  ['ENOSYS', true],
  ['EIO', false],
] as const) {
  test(`a store whose checkpoints are ${code} ${begins ? 'begins with nothing' : 'does not begin'}`, async () => {
    const content = new MemoryContent();
    content.checkpointsError = new FluxError(code, 'no checkpoints');
    if (!begins) return refused(Fixture.start({ content }), code, /no checkpoints/);
    const kvs = await Fixture.start({ content });
    assert.equal((await kvs.root()).rootref, EMPTY);
  });
}

test('a store can begin with any root', async () => {
  const disk = await diskWith('1', '2');
  const again = await startAgain(disk, [`initial-rootref=${disk.checkpoints[1]!.rootref}`]);
  assert.equal(await again.get('a'), '1');
  assert.equal((await again.root()).rootseq, 0);
});

for (const arg of ['initial-rootref=nope', 'transaction-merge=x', 'unknown=1', 'unknown'])
  test(`argument ${arg} is refused`, () => refused(Fixture.start({ args: [arg] }), 'EINVAL', /unknown option/));

for (const [kvs, text] of [
  [{ 'checkpoint-period': 'x' }, /invalid checkpoint-period config: x/],
  [{ 'checkpoint-period': 5 }, /not a string/],
  [{ maxdirent: 1 }, /kvs.maxdirent/],
  [{ unknown: 1 }, /unknown key/],
] as const) {
  test(`configuration ${JSON.stringify(kvs)} is refused, at the start and later`, async () => {
    await refused(Fixture.start({ config: { kvs } }), 'EINVAL', text);
    const running = await Fixture.start();
    const { errno, text: said } = await running.ask('config-reload', { kvs });
    assert.equal(errno, 'EINVAL');
    assert.match(said!, text);
  });
}

/** Whether a directory below a root is stored in parts. */
function hasHashed(disk: Disk, rootref: string): boolean {
  const bytes = disk.blobs.get(rootref)!;
  if (Buffer.from(bytes).includes('"type":"hdir"')) return true;
  return directoryReferences(bytes)!.some(({ blobref, isDirectory }) => isDirectory && hasHashed(disk, blobref));
}

test('with maxdirent 0 a store that begins with hashed directories makes them plain', async () => {
  const names = Array.from({ length: 300 }, (_, i) => `name${i}`);
  const keys = ['', 'a.b.', 'c.name7.d.', 'c.'].flatMap((path) => names.map((name) => `${path}${name}`));
  // A key is not a directory, too.
  const wanted = keys.filter((key) => key !== 'c.name7');
  const kvs = await Fixture.start({ config: { kvs: { maxdirent: 16 } } });
  await kvs.commit(wanted.map((key) => put(key, key)));
  await kvs.stop();
  const { disk } = kvs.content;
  assert.ok(hasHashed(disk, disk.checkpoints[0]!.rootref));

  const startPlain = () => Fixture.start({ content: new MemoryContent(disk), config: { kvs: { maxdirent: 0 } } });
  const again = await startPlain();
  assert.match(again.logs.at(-1)!, /^\d+ directories of the KVS were made plain$/);
  for (const key of wanted) assert.equal(await again.get(key), key);
  assert.equal((await again.root()).rootseq, 2);
  await again.stop();
  assert.equal(disk.checkpoints[0]!.sequence, 2);
  assert.ok(!hasHashed(disk, disk.checkpoints[0]!.rootref));

  const last = await startPlain();
  assert.equal((await last.root()).rootseq, 2);
});

test('there is a checkpoint each period in which something changed', async () => {
  const kvs = await Fixture.start({ config: { kvs: { 'checkpoint-period': '30s' } } });
  const count = async (seconds: number) => {
    const end = kvs.agenda.time + seconds;
    while (kvs.agenda.nextTime <= end) {
      kvs.agenda.step();
      await settled();
    }
    kvs.agenda.skipTo(end);
    return kvs.content.disk.checkpoints.length;
  };
  await kvs.commit([put('a', '1')]);
  assert.equal(await count(29), 0);
  assert.equal(await count(2), 1);
  assert.equal(await count(60), 1);
  await kvs.commit([put('a', '2')]);
  assert.equal(await count(30), 2);
  await kvs.call('config-reload', { kvs: { 'checkpoint-period': '5s' } });
  await kvs.commit([put('a', '3')]);
  assert.equal(await count(6), 3);
  await kvs.call('config-reload', {});
  await kvs.commit([put('a', '4')]);
  assert.equal(await count(100), 3);
});

test('without a backing store nothing is kept, and that is no fault', async () => {
  const content = new MemoryContent();
  content.hasBacking = false;
  const kvs = await Fixture.start({ content });
  await kvs.commit([put('a', '1')]);
  await kvs.stop();
  assert.deepEqual(kvs.logs, []);
});

test('a content service on another thread does as well', async () => {
  const kvs = await Fixture.start({ isRemote: true });
  await kvs.commit([put('a.b', '1')], { flags: CommitFlag.sync });
  await kvs.commit([put('a.c', 'x'.repeat(100), OperationFlag.append), put('a.c', '.', OperationFlag.append)]);
  assert.equal(await kvs.get('a.c'), `${'x'.repeat(100)}.`);
  await kvs.stop();
  const content = new MemoryContent(kvs.content.disk);
  const again = await Fixture.start({ content, isRemote: true });
  assert.equal(await again.get('a.b'), '1');
  assert.equal((await again.root()).rootseq, 2);
  await again.createNamespace('n', -1, 'no blobref');
  assert.equal((await again.ask('lookup', { key: 'a', flags: 0, namespace: 'n' })).errno, 'EINVAL');
  content.storeError = new FluxError('ENOSPC');
  content.isFull = true;
  assert.equal((await again.commit([put('a.b', '2')])).errno, 'ENOSPC');
});
