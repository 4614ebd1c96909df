// The typed calls of KVS and content against a running instance: what is written is read again, from any rank.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { Handle } from '../../core/handle/handle.ts';
import { library, openAll, type RunningInstance } from './library.ts';
import { temporaryFolder } from './support.ts';

const { start, Content, Kvs, KvsTransaction, CommitFlag, LookupFlag, valBytes } = library;

let instance: RunningInstance;
let handles: Handle[];
let namespaces = 0;

before(async () => {
  instance = await start({ size: 3, environment: { ...process.env, TMPDIR: temporaryFolder() } });
  handles = (await openAll(instance)) as unknown as Handle[];
});

after(async () => {
  for (const handle of handles) await handle.close();
  await instance.stop();
});

/** A new namespace as each rank sees it. */
async function newNamespace() {
  const name = `test-${namespaces++}`;
  await library.createNamespace(handles[1]!, name);
  return handles.map((handle) => new Kvs(handle, name));
}

describe('typed calls', { concurrency: 1 }, () => {
  test('values, directories and links are read as they were written', async () => {
    const [kvs, , other] = await newNamespace();
    const bytes = Uint8Array.from({ length: 256 }, (_, i) => i);
    const changes = new KvsTransaction()
      .put('d.text', 'é\n')
      .put('d.bytes', bytes)
      .putJson('d.json', { n: [1, 2.5, null] })
      .append('d.log', 'a')
      .append('d.log', 'b')
      .mkdir('d.e')
      .symlink('link', 'd')
      .unlink('d.nothing');
    const { rootseq } = await kvs!.commit(changes);
    await other!.waitVersion(rootseq);
    assert.equal(await other!.getText('d.text'), 'é\n');
    assert.deepEqual([...(await other!.get('link.bytes'))], [...bytes]);
    assert.deepEqual(await other!.getJson('d.json'), { n: [1, 2.5, null] });
    assert.equal(await other!.getText('d.log'), 'ab');
    assert.deepEqual([...(await other!.readdir('d')).keys()], ['bytes', 'e', 'json', 'log', 'text']);
    assert.deepEqual(await other!.readlink('link'), { target: 'd' });
  });

  test('who has a root reads what was there then', async () => {
    const [kvs, other] = await newNamespace();
    const { rootref } = await kvs!.commit(new KvsTransaction().put('a', 'old').put('b.c', 'old'));
    await kvs!.commit(new KvsTransaction().put('a', 'new').unlink('b'), { flags: CommitFlag.noMerge });
    const at = { at: rootref };
    assert.deepEqual([await kvs!.getText('a'), await other!.getText('a', at)], ['new', 'old']);
    const keys: string[] = [];
    for await (const { key } of other!.walk('.', at)) keys.push(key);
    assert.deepEqual(keys, ['a', 'b', 'b.c']);
    const { value } = await kvs!.lookupPlus('b');
    assert.equal(value, undefined);
  });

  test('a directory of many entries is walked as one', async () => {
    const [kvs, other] = await newNamespace();
    const names = Array.from({ length: 1000 }, (_, i) => `many.k${i}`);
    await kvs!.commit(names.reduce((sum, name) => sum.put(name, name), new KvsTransaction()));
    const found: string[] = [];
    for await (const { key, value } of other!.walk('many')) {
      assert.equal(valBytes(value).toString(), key);
      found.push(key);
    }
    assert.deepEqual(found, names.toSorted());
  });

  test('a tree object that was looked up can be put elsewhere', async () => {
    const [kvs] = await newNamespace();
    await kvs!.commit(new KvsTransaction().put('a.b', '1'));
    const tree = await kvs!.lookup('a', { flags: LookupFlag.treeobj });
    await kvs!.commit(new KvsTransaction().putTreeobj('copy', tree).unlink('a'));
    assert.equal(await kvs!.getText('copy.b'), '1');
  });

  test('a fence is one commit of all who come to it', async () => {
    const namespace = await newNamespace();
    const { rootseq: before } = await namespace[0]!.getroot();
    const roots = await Promise.all(
      namespace.map((kvs, rank) => kvs.fence('f', 3, new KvsTransaction().put(`from.${rank}`, '1'))),
    );
    assert.deepEqual(new Set(roots.map(({ rootseq }) => rootseq)), new Set([before + 1]));
    assert.equal(new Set(roots.map(({ rootref }) => rootref)).size, 1);
    assert.equal((await namespace[0]!.readdir('from')).size, 3);
  });

  test('event logs grow line by line', async () => {
    const [kvs, other] = await newNamespace();
    const entries = [
      { timestamp: 1, name: 'one' },
      { timestamp: 2.5, name: 'two', context: { a: [1] } },
    ];
    for (const entry of entries) await kvs!.commit(new KvsTransaction().appendEvent('log', entry));
    assert.deepEqual(library.decodeEventlog(await other!.getText('log')), entries);
  });

  test('namespaces are listed while they are there', async () => {
    const [leader] = handles as [Handle];
    const names = async () => (await library.listNamespaces(leader)).map(({ namespace }) => namespace).toSorted();
    const before = await names();
    await library.createNamespace(leader, 'zz', { owner: 4_000_000_000 });
    assert.deepEqual(await names(), [...before, 'zz']);
    assert.equal((await new Kvs(leader, 'zz').getroot()).owner, 4_000_000_000);
    await assert.rejects(library.createNamespace(leader, 'zz'), { code: 'EEXIST' });
    await library.removeNamespace(leader, 'zz');
    assert.deepEqual(await names(), before);
    await assert.rejects(new Kvs(leader, 'zz').getroot(), { code: 'EOPNOTSUPP' });
  });

  test('blobs are found again, also in the backing store alone', async () => {
    const content = new Content(handles[1]!);
    const backing = new Content(handles[0]!, { bypassCache: true });
    const blobref = await content.store(Buffer.from('a blob'));
    await content.flush();
    for (const each of [content, backing]) assert.equal(Buffer.from(await each.load(blobref)).toString(), 'a blob');
    await assert.rejects(content.load(`sha1-${'0'.repeat(40)}`), { code: 'ENOENT' });
    const checkpoint = { rootref: blobref, sequence: 77, timestamp: 42 };
    await content.putCheckpoint(checkpoint);
    assert.deepEqual((await backing.checkpoints())[0], checkpoint);
  });
});
