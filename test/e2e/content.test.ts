// flux content and the services behind it: what is stored on one rank can be loaded on all, and after a restart; a state
// directory that flux-core wrote; wrong command lines.

import assert from 'node:assert/strict';
import crypto from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { Content } from '../../core/handle/content.ts';
import { golden } from '../golden.ts';
import { type Instance, startInstance } from './instance.ts';
import { checkRows, type Row } from './rows.ts';
import { temporaryFolder, withHandle } from './support.ts';

let instance: Instance;
before(async () => {
  instance = await startInstance(4);
});
after(() => instance.stop());

const content = (args: string, row: Omit<Row, 'args'> = {}): Row => ({
  args: ['content', ...args.split(' ').filter(Boolean)],
  ...row,
});

const HELLO = 'sha1-f572d396fae9206628714fb2ce00f72e94f2258f';
const EMPTY = 'sha1-da39a3ee5e6b4b0d3255bfef95601890afd80709';

/** The environment of a client of another rank; its socket is opened by whoever asks for its name. */
function at(rank: number): Promise<{ FLUX_URI: string }> {
  return withHandle(instance.uri, async (handle) => ({
    FLUX_URI: await handle.attribute('local-uri', { nodeid: rank }),
  }));
}

test('blobs are stored and loaded, on any rank, through the cache or past it', async () => {
  const [second, third] = await Promise.all([at(2), at(3)]);
  await checkRows(instance, [
    content('store', { options: { stdin: 'hello\n' }, stdout: `${HELLO}\n` }),
    content(`load ${HELLO}`, { stdout: 'hello\n' }),
    content(`load ${HELLO} ${HELLO}`, { stdout: 'hello\nhello\n' }),
    content('load', { options: { stdin: `${HELLO}\n${HELLO}\n` }, stdout: 'hello\nhello\n' }),
    content('store', { options: { env: third, stdin: 'from rank 3' }, stdout: /^sha1-[0-9a-f]{40}\n$/ }),
    content(`load ${HELLO}`, { options: { env: second }, stdout: 'hello\n' }),
    content('store', { stdout: `${EMPTY}\n` }),
    content(`load ${EMPTY}`, { stdout: '' }),
    content('flush'),
    content('dropcache'),
    content(`load ${HELLO}`, { stdout: 'hello\n' }),
    content(`load ${EMPTY}`, { stdout: '' }),
    content(`load -b ${HELLO}`, { stdout: 'hello\n' }),
    content('store --bypass-cache', { options: { stdin: 'past' }, stdout: /^sha1-/ }),
    content('store --chunksize=2', { options: { stdin: 'aabbc' }, stdout: /^(sha1-[0-9a-f]{40}\n){3}$/ }),
    content('store --chunksize=5', { options: { stdin: 'aabbc' }, stdout: /^(sha1-[0-9a-f]{40}\n){1}$/ }),
  ]);
});

test('large and small blobs of several clients at the same time are each their own', () =>
  withHandle(instance.uri, async (first) => {
    const lengths = [0, 1, 70_000, 200_000, 1 << 20, 3_000_001, 9_000_000];
    const blobs = Array.from({ length: 40 }, (_, i) => Buffer.alloc(lengths[i % lengths.length]!, `blob ${i} `));
    const hash = (blob: Uint8Array) => `sha1-${crypto.createHash('sha1').update(blob).digest('hex')}`;
    await withHandle((await at(2)).FLUX_URI, async (second) => {
      const contents = [new Content(first), new Content(second)];
      const refs = await Promise.all(blobs.map((blob, i) => contents[i % 2]!.store(blob)));
      assert.deepEqual(refs, blobs.map(hash));
      for (const drop of [false, true]) {
        if (drop) {
          await contents[0]!.flush();
          await contents[0]!.dropCache();
        }
        const loaded = await Promise.all(refs.map((ref, i) => contents[(i + 1) % 2]!.load(ref)));
        assert.deepEqual(loaded.map(hash), refs);
      }
    });
  }));

test('what cannot be loaded, and wrong command lines', () =>
  checkRows(instance, [
    content(`load sha1-${'0'.repeat(40)}`, { exit: 1, stderr: /error loading blob: No such file or directory/ }),
    content(`load -b sha1-${'0'.repeat(40)}`, { exit: 1, stderr: /error loading blob: No such file/ }),
    content(`load sha256-${'0'.repeat(64)}`, { exit: 1, stderr: /error loading blob: a digest|sha1/ }),
    content('load sha1-12', { exit: 1, stderr: /error loading blob: 'sha1-12' is no blobref/ }),
    content('load', { exit: 1, stderr: /no blobrefs were specified/ }),
    content('store x', { exit: 1, stderr: /too many arguments/ }),
    content('store --chunksize=-1', { exit: 1, stderr: /chunksize/ }),
    content('flush x', { exit: 1, stderr: /too many arguments/ }),
    content('dropcache x', { exit: 1, stderr: /too many arguments/ }),
    content('nope', { exit: 1, stderr: /there is no command 'nope'/ }),
    content('checkpoint', { exit: 1, stderr: /Commands:/ }),
    content('checkpoint update', { exit: 1, stderr: /missing required argument/ }),
    content(`checkpoint update ${HELLO}`, { exit: 1, stderr: /please unload kvs module/ }),
    content('--help', { stdout: /checkpoint list/ }),
  ]));

test('checkpoints are listed', async () => {
  await checkRows(instance, [
    { args: ['kvs', 'put', 'a=1'] },
    { args: ['kvs', 'sync'] },
    content('checkpoint list', {
      stdout: /^Index {6}Sequence {3}Time {17}Rootref\n0 +\d+ +\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ sha1-[0-9a-f]{40}\n/,
    }),
    content('checkpoint list -n', { stdout: /^0 / }),
    content('checkpoint list -nj', {
      stdout: /^\{"version":1,"rootref":"sha1-[0-9a-f]{40}","sequence":\d+,"timestamp":/,
    }),
  ]);
});

test('blobs of all sizes go there and back', () =>
  withHandle(instance.uri, async (handle) => {
    const store = new Content(handle);
    const sizes = [0, 1, 255, 256, 257, 65535, 1 << 20, (1 << 20) + 1, 33_333_333];
    for (const size of sizes) {
      const blob = crypto.randomBytes(size);
      const blobref = await store.store(blob);
      assert.ok(blob.equals(await store.load(blobref)), `${size} bytes`);
      await store.flush();
      await store.dropCache();
      assert.ok(blob.equals(await store.load(blobref)), `${size} bytes from disk`);
    }
  }));

test('many stores at a time are all answered, and all can be loaded when the cache has dropped them', () =>
  withHandle(instance.uri, async (handle) => {
    const store = new Content(handle);
    const blobs = Array.from({ length: 5000 }, () => crypto.randomBytes(256));
    const blobrefs = await Promise.all(blobs.map((blob) => store.store(blob)));
    await store.flush();
    await store.dropCache();
    const loaded = await Promise.all(blobrefs.map((blobref) => store.load(blobref)));
    assert.ok(blobs.every((blob, index) => blob.equals(loaded[index]!)));
  }));

test('the backing store can be removed and loaded again: what is stored meanwhile stays in memory', () =>
  checkRows(instance, [
    { args: ['module', 'remove', '-f', 'content-sqlite'] },
    { args: ['kvs', 'put', 'meanwhile=1'] },
    content('store', { options: { stdin: 'meanwhile' }, stdout: /^sha1-/ }),
    content('flush', { exit: 1, stderr: /there is no backing store/ }),
    content('checkpoint list', { exit: 1, stderr: /no backing store/ }),
    { args: ['module', 'load', 'content-sqlite'] },
    content('flush'),
    content('dropcache'),
    content('load sha1-6c246f4b3e99194b5687db29381206d620094824', { stdout: 'meanwhile' }),
    { args: ['kvs', 'get', 'meanwhile'], stdout: '1\n' },
    { args: ['module', 'load', 'content-files'], exit: 1, stderr: /File exists|registered already/ },
  ]));

test('a copy of the database that is made while others write starts an instance', async () => {
  const folder = temporaryFolder();
  const file = path.join(folder, 'content.sqlite');
  await checkRows(instance, [{ args: ['kvs', 'put', 'before=1'] }]);
  await withHandle(instance.uri, async (handle) => {
    const store = new Content(handle);
    let isDone = false;
    const done = instance.flux(['content', 'backup', file]).finally(() => {
      isDone = true;
    });
    while (!isDone) await store.store(crypto.randomBytes(3000));
    assert.deepEqual(await done, { stdout: '', stderr: '', exit: 0 });
  });
  await checkRows(instance, [
    { args: ['content', 'backup', file], exit: 1, stderr: /content\.sqlite exists already/ },
    { args: ['content', 'backup', '/no/such/folder/file'], exit: 1, stderr: /\/no\/such\/folder\/file: / },
  ]);
  const copy = await startInstance(1, [`-Sstatedir=${folder}`]);
  await checkRows(copy, [
    { args: ['kvs', 'get', 'before'], stdout: '1\n' },
    { args: ['fsck'], stdout: /^Checking integrity / },
  ]);
  assert.equal((await copy.stop()).exit, 0);
});

test('what was stored is there when the instance is started again with its state', async () => {
  const statedir = temporaryFolder();
  const first = await startInstance(1, [`-Sstatedir=${statedir}`]);
  await checkRows(first, [content('store', { options: { stdin: 'hello\n' }, stdout: `${HELLO}\n` })]);
  assert.equal((await first.stop()).exit, 0);
  const second = await startInstance(1, [`-Sstatedir=${statedir}`]);
  await checkRows(second, [content(`load ${HELLO}`, { stdout: 'hello\n' })]);
  assert.equal((await second.stop()).exit, 0);
});

test("the state of an instance of flux-core's is taken over", async () => {
  const statedir = temporaryFolder();
  fs.copyFileSync('test/golden/content.sqlite', path.join(statedir, 'content.sqlite'));
  const { values } = golden<{ values: Readonly<Record<string, string>> }>('vectors/store.json');
  const taken = await startInstance(1, [`-Sstatedir=${statedir}`]);
  await checkRows(taken, [
    { args: ['kvs', 'get', ...Object.keys(values)], stdout: `${Object.values(values).join('\n')}\n` },
  ]);
  assert.equal((await taken.stop()).exit, 0);
});

test('blobs can be kept in files, and by sha256', async () => {
  const statedir = temporaryFolder();
  const other = await startInstance(1, [
    `-Sstatedir=${statedir}`,
    '-Scontent.backing-module=content-files',
    '-Scontent.hash=sha256',
  ]);
  const blobref = 'sha256-5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03';
  await checkRows(other, [
    content('store', { options: { stdin: 'hello\n' }, stdout: `${blobref}\n` }),
    content('flush'),
    content('dropcache'),
    content(`load ${blobref}`, { stdout: 'hello\n' }),
  ]);
  assert.equal(fs.readFileSync(path.join(statedir, 'content.files', blobref), 'utf8'), 'hello\n');
  assert.equal((await other.stop()).exit, 0);
});
