// The module `content-sqlite` and its file: what comes back, what flux-core wrote, what is damaged, what does not fit.

import assert from 'node:assert/strict';
import crypto from 'node:crypto';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { DatabaseSync } from '@photostructure/sqlite';
import { errno, FluxError } from '../../../core/errno.ts';
import { type JsonObject, real } from '../../../core/json.ts';
import { contentSqlite, contentSqliteIn } from '../../../workers/content-sqlite/content-sqlite.ts';
import { blobsIn } from '../../../workers/content-sqlite/sqlite.ts';
import { refused } from '../../errors.ts';
import { digestOf, guest, ModuleBench, refOf } from './support.ts';

const root = fs.mkdtempSync(path.join(os.tmpdir(), 'flux-ts-sqlite-'));
after(() => fs.rmSync(root, { recursive: true }));

function newDirectory(): string {
  return fs.mkdtempSync(path.join(root, 'state-'));
}

function start(statedir = newDirectory(), args: readonly string[] = [], attributes = {}): Promise<ModuleBench> {
  return ModuleBench.start(contentSqlite, { name: 'content-sqlite', args, attributes: { statedir, ...attributes } });
}

/** The file of a store that has stopped, as another program sees it. */
function withFile<T>(statedir: string, use: (database: InstanceType<typeof DatabaseSync>) => T): T {
  const database = new DatabaseSync(path.join(statedir, 'content.sqlite'));
  try {
    return use(database);
  } finally {
    database.close();
  }
}

const sizes = [0, 1, 2, 255, 256, 257, 511, 4096, 65535, 1048575, 1048576, 1048577, 5_000_000];
const blobsOfAllKinds = sizes.flatMap((size) => [
  crypto.randomBytes(size),
  Buffer.alloc(size, 'ab'),
  Buffer.concat([Buffer.alloc(size >> 1), crypto.randomBytes(size - (size >> 1))]),
]);

test('blobs of all sizes come back, also after a restart, and are found under their digest', async () => {
  const statedir = newDirectory();
  let bench = await start(statedir);
  for (const blob of blobsOfAllKinds)
    assert.deepEqual(await bench.raw('content-backing.store', blob), digestOf(blob), `${blob.length} bytes`);
  for (let round = 0; round < 2; round++) {
    for (const blob of blobsOfAllKinds) {
      assert.ok(
        blob.equals((await bench.raw('content-backing.load', digestOf(blob))) as Buffer),
        `${blob.length} bytes`,
      );
      assert.deepEqual(await bench.raw('content-backing.validate', digestOf(blob)), Buffer.alloc(0));
    }
    await bench.host.stop();
    bench = await start(statedir);
  }
  await bench.host.stop();
});

test('the module offers the service content-backing, and takes it back when it stops', async () => {
  const bench = await start();
  assert.deepEqual(
    bench.asked.filter(({ topic }) => topic !== 'log.append').map(({ topic, json }) => [topic, json]),
    [
      ['service.add', { service: 'content-backing' }],
      ['content.register-backing', { name: 'content-sqlite' }],
      ['event.subscribe', { topic: 'content-sqlite.stats-clear' }],
    ],
  );
  await bench.host.stop();
  assert.equal(bench.topics.at(-1), 'content.unregister-backing');
});

test('where there is another backing store the module is not loaded, and its file can be opened again', async () => {
  const statedir = newDirectory();
  const busy = (request: { topic: string | undefined }) =>
    request.topic === 'content.register-backing' ? new FluxError('EBUSY', 'taken') : undefined;
  const options = { name: 'content-sqlite', attributes: { statedir }, answer: busy };
  await refused(ModuleBench.start(contentSqlite, options), 'EBUSY', /taken/);
  await (await start(statedir)).host.stop();
});

test("flux-core's file: every blob has the hash under which it is found, and the checkpoints are there", async () => {
  const statedir = newDirectory();
  fs.copyFileSync('test/golden/content.sqlite', path.join(statedir, 'content.sqlite'));
  const digests = withFile(statedir, (database) =>
    (database.prepare('SELECT CAST(hash AS BLOB) AS digest FROM objects').all() as { digest: Uint8Array }[]).map(
      ({ digest }) => Buffer.from(digest),
    ),
  );
  const bench = await start(statedir);
  assert.ok(digests.length > 100);
  for (const digest of digests)
    assert.deepEqual(digestOf((await bench.raw('content-backing.load', digest)) as Buffer), digest);
  const { value } = (await bench.json('content-backing.checkpoint-get')) as { value: JsonObject[] };
  assert.deepEqual(
    value.map(({ sequence }) => sequence),
    [24, 23, 1],
  );
  await bench.host.stop();
});

test('what is stored are rows as flux-core writes them', async () => {
  const statedir = newDirectory();
  const bench = await start(statedir);
  await bench.raw('content-backing.store', Buffer.alloc(255, 1));
  await bench.raw('content-backing.store', Buffer.alloc(256, 1));
  await bench.json('content-backing.checkpoint-put', {
    value: { version: 1, rootref: 'x', sequence: 3, timestamp: real(2) },
  });
  await bench.raw('content-backing.store', Buffer.alloc(300, 2));
  await bench.host.stop();
  withFile(statedir, (database) => {
    const rows = database
      .prepare(
        'SELECT typeof(hash) AS hash, size, typeof(object) AS object, length(object) < 256 AS small, epoch FROM objects',
      )
      .all();
    assert.deepEqual(
      rows.map((row) => ({ ...(row as object) })),
      [
        { hash: 'text', size: -1, object: 'blob', small: 1, epoch: 0 },
        { hash: 'text', size: 256, object: 'blob', small: 1, epoch: 0 },
        { hash: 'text', size: 300, object: 'blob', small: 1, epoch: 1 },
      ],
    );
    assert.deepEqual(
      { ...(database.prepare('SELECT * FROM checkpt_v2').get() as object) },
      { id: 1, value: '{"version":1,"rootref":"x","sequence":3,"timestamp":2.0}' },
    );
  });
});

test('requests that are no requests', async () => {
  const bench = await start();
  const missing = digestOf(Buffer.from('missing'));
  assert.equal(await bench.raw('content-backing.load', missing), 'ENOENT');
  assert.equal(await bench.raw('content-backing.validate', missing), 'ENOENT');
  assert.equal((await bench.call('content-backing.load', missing)).errorText(), undefined);
  for (const topic of ['load', 'validate']) {
    assert.equal(await bench.raw(`content-backing.${topic}`, Buffer.from('z')), 'EPROTO');
    assert.equal(await bench.raw(`content-backing.${topic}`), 'EPROTO');
    assert.equal(await bench.raw(`content-backing.${topic}`, missing, guest), 'EPERM');
  }
  assert.equal(await bench.json('content-backing.checkpoint-get'), 'ENOENT');
  assert.equal(await bench.json('content-backing.checkpoint-put', {}), 'EPROTO');
  assert.equal(await bench.json('content-backing.checkpoint-put', { value: 'odd' }), 'EINVAL');
  assert.equal(await bench.json('content-backing.checkpoint-put', { value: 3 }), 'EINVAL');
  await bench.host.stop();
});

test('the newest checkpoints are kept, newest first, and their numbers go on', async () => {
  const statedir = newDirectory();
  let bench = await start(statedir);
  for (let sequence = 1; sequence <= 8; sequence++)
    await bench.json('content-backing.checkpoint-put', { value: { sequence } });
  const sequences = async () =>
    ((await bench.json('content-backing.checkpoint-get')) as { value: JsonObject[] }).value.map(
      ({ sequence }) => sequence,
    );
  assert.deepEqual(await sequences(), [8, 7, 6, 5, 4]);
  await bench.host.stop();
  bench = await start(statedir, ['max-checkpoints=2']);
  await bench.json('content-backing.checkpoint-put', { value: { sequence: 9 } });
  assert.deepEqual(await sequences(), [9, 8]);
  assert.deepEqual(await bench.json('content-backing.gc-info', { epoch: 1 }), { current_epoch: 9, high_water: 0 });
  await bench.host.stop();
});

test('garbage is what has an epoch before the one it is swept by', async () => {
  const bench = await start();
  const blobs = Array.from({ length: 20 }, (_, number) => Buffer.from(`blob ${number}`));
  for (const blob of blobs) await bench.raw('content-backing.store', blob);
  await bench.json('content-backing.checkpoint-put', { value: {} });
  await bench.raw('content-backing.store', blobs[0]!);
  await bench.raw('content-backing.store', Buffer.from('new'));
  const mark = (...hashes: unknown[]) => bench.json('content-backing.mark', { epoch: 1, hashes: hashes as string[] });
  assert.deepEqual(await mark(refOf(blobs[1]!), refOf(blobs[2]!), refOf(Buffer.from('unknown'))), { marked: 2 });
  for (const odd of ['sha1-zz', 'sha256-00', 7, null]) assert.equal(await mark(odd), 'EPROTO');
  assert.equal(await bench.json('content-backing.mark', { epoch: 1, hashes: 'x' }), 'EPROTO');
  assert.equal(await mark(...Array.from({ length: 16385 }, () => refOf(blobs[1]!))), 'EINVAL');
  assert.deepEqual(await bench.json('content-backing.gc-info', { epoch: 1, get_count: true }), {
    current_epoch: 1,
    high_water: 21,
    candidates: 17,
  });
  const sweep = (cursor: number, delete_cap: number, window: number) =>
    bench.json('content-backing.sweep', { epoch: 1, cursor, high_water: 21, delete_cap, window });
  assert.equal(await sweep(0, 0, 10), 'EINVAL');
  assert.equal(await sweep(-1, 1, 10), 'EINVAL');
  assert.deepEqual(await sweep(0, 100, 3), { deleted: 0, cursor: 3 });
  assert.deepEqual(await sweep(3, 5, 100), { deleted: 5, cursor: 8 });
  assert.deepEqual(await sweep(8, 100, 100), { deleted: 12, cursor: 21 });
  const left = [blobs[0]!, blobs[1]!, blobs[2]!, Buffer.from('new')];
  for (const blob of left) assert.deepEqual(await bench.raw('content-backing.load', digestOf(blob)), blob);
  assert.equal(await bench.raw('content-backing.load', digestOf(blobs[9]!)), 'ENOENT');
  assert.equal(((await bench.json('content-sqlite.stats-get', undefined, guest)) as JsonObject).object_count, 4);
  await bench.host.stop();
});

test('a damaged row is an error that names the blob, for that blob only', async () => {
  const statedir = newDirectory();
  let bench = await start(statedir);
  const plain = Buffer.from('plain');
  const packed = Buffer.alloc(5000, 'packed');
  for (const blob of [plain, packed]) await bench.raw('content-backing.store', blob);
  await bench.host.stop();
  const damages: [string, Buffer, RegExp][] = [
    ["UPDATE objects SET object = X'00' WHERE size = 5000", packed, /LZ4|cannot stand for/],
    ['UPDATE objects SET size = 4999 WHERE size = 5000', packed, /LZ4|not 4999/],
    ['UPDATE objects SET size = 2000000000 WHERE size = 5000', packed, /cannot stand for 2000000000/],
    ["UPDATE objects SET size = 'x' WHERE size = 5000", packed, /no number/],
    ["UPDATE objects SET object = 'text' WHERE size = 5000", packed, /no blob/],
    ["UPDATE objects SET object = X'706c61696e21' WHERE size = -1", plain, /another hash/],
  ];
  const file = path.join(statedir, 'content.sqlite');
  fs.copyFileSync(file, `${file}.good`);
  for (const [sql, victim, text] of damages) {
    fs.copyFileSync(`${file}.good`, file);
    withFile(statedir, (database) => database.exec(sql));
    bench = await start(statedir);
    const answer = await bench.call('content-backing.load', digestOf(victim));
    assert.equal(answer.errnum, errno.EBADMSG, sql);
    assert.match(answer.errorText() ?? '', text);
    assert.match(answer.errorText() ?? '', new RegExp(refOf(victim)));
    const other = victim === plain ? packed : plain;
    assert.deepEqual(await bench.raw('content-backing.load', digestOf(other)), other);
    await bench.host.stop();
  }
});

test('a damaged file is logged, and gives what is not damaged', async () => {
  const statedir = newDirectory();
  let bench = await start(statedir);
  const blobs = Array.from({ length: 50 }, () => crypto.randomBytes(3000));
  for (const blob of blobs) await bench.raw('content-backing.store', blob);
  await bench.host.stop();
  const file = path.join(statedir, 'content.sqlite');
  const bytes = fs.readFileSync(file);
  // Each blob has most of a page; a page in the middle is one of them.
  const victim = blobs.find((blob) => bytes.indexOf(blob.subarray(0, 2000)) > bytes.length / 2)!;
  const page = bytes.indexOf(victim.subarray(0, 2000)) & ~4095;
  fs.writeFileSync(
    file,
    Buffer.concat([bytes.subarray(0, page), Buffer.alloc(4096, 0xff), bytes.subarray(page + 4096)]),
  );
  bench = await start(statedir);
  assert.ok(bench.logged.some((line) => /the database is damaged/.test(line)));
  const answers = await Promise.all(blobs.map((blob) => bench.call('content-backing.load', digestOf(blob))));
  const failed = answers.filter(({ errnum }) => errnum !== 0);
  assert.equal(failed.length, 1);
  assert.equal(failed[0]!.errnum, errno.EIO);
  assert.match(failed[0]!.errorText() ?? '', new RegExp(`${refOf(victim)}: database disk image is malformed`));
  await bench.host.stop();
});

test('what does not fit is refused with ENOSPC, what fits beside it is stored, and all of it once there is room', async () => {
  let database: InstanceType<typeof DatabaseSync> | undefined;
  const small = contentSqliteIn(async (file, options) => {
    database = new DatabaseSync(file);
    return blobsIn(database, file, options);
  });
  const bench = await ModuleBench.start(small, { name: 'content-sqlite', attributes: { statedir: newDirectory() } });
  database!.exec('PRAGMA max_page_count=20');
  const large = Array.from({ length: 4 }, () => crypto.randomBytes(40_000));
  const little = Buffer.from('little');
  const store = (blob: Buffer) => bench.raw('content-backing.store', blob);
  // In one turn: one transaction.
  const answers = await Promise.all([...large, little].map(store));
  assert.deepEqual(answers.slice(1), ['ENOSPC', 'ENOSPC', 'ENOSPC', digestOf(little)]);
  assert.deepEqual(await bench.raw('content-backing.load', digestOf(large[0]!)), large[0]);
  assert.equal(await bench.raw('content-backing.load', digestOf(large[1]!)), 'ENOENT');
  database!.exec('PRAGMA max_page_count=1000');
  for (const blob of large) assert.deepEqual(await store(blob), digestOf(blob));
  for (const blob of large) assert.deepEqual(await bench.raw('content-backing.load', digestOf(blob)), blob);
  await bench.host.stop();
});

test('files of older versions are brought to what they are now', async () => {
  const statedir = newDirectory();
  withFile(statedir, (database) => {
    database.exec('CREATE TABLE objects(hash BLOB PRIMARY KEY, size INT, object BLOB)');
    database.exec('CREATE TABLE checkpt(key TEXT UNIQUE, value TEXT)');
    database
      .prepare('INSERT INTO objects VALUES (CAST(?1 AS TEXT), -1, ?2)')
      .run(digestOf(Buffer.from('old')), Buffer.from('old'));
    database.prepare("INSERT INTO checkpt VALUES ('kvs-primary', ?1)").run('{"version":1,"rootref":"r"}');
  });
  let bench = await start(statedir);
  assert.deepEqual(await bench.raw('content-backing.load', digestOf(Buffer.from('old'))), Buffer.from('old'));
  assert.deepEqual(await bench.json('content-backing.checkpoint-get'), { value: [{ version: 1, rootref: 'r' }] });
  assert.deepEqual(await bench.json('content-backing.gc-info', { epoch: 1, get_count: true }), {
    current_epoch: 1,
    high_water: 1,
    candidates: 1,
  });
  await bench.host.stop();
  bench = await start(statedir);
  assert.deepEqual(await bench.json('content-backing.checkpoint-get'), { value: [{ version: 1, rootref: 'r' }] });
  await bench.host.stop();
});

test('files that cannot be opened, and options that are none', async () => {
  const statedir = newDirectory();
  const file = path.join(statedir, 'content.sqlite');
  fs.writeFileSync(file, 'this is no database, but a text that is long enough to be looked at'.repeat(100));
  await refused(start(statedir), 'EIO', /content\.sqlite: file is not a database/);
  await (await start(statedir, ['truncate'])).host.stop();
  await refused(start(path.join(statedir, 'missing')), 'EACCES', /unable to open/);
  const odd = [
    'journal_mode=wal',
    'synchronous=',
    'max-checkpoints=0',
    'max-checkpoints=x',
    'preallocate',
    'truncate=1',
  ];
  for (const option of odd) await refused(start(statedir, [option]), 'EINVAL');
});

test('a store that goes with the instance is not written with care', async () => {
  const config = async (...given: Parameters<typeof start>) => {
    const bench = await start(...given);
    const stats = (await bench.json('content-sqlite.stats-get')) as JsonObject;
    await bench.host.stop();
    return stats.config;
  };
  assert.deepEqual(await config(), { journal_mode: 'WAL', synchronous: 'NORMAL' });
  assert.deepEqual(await config(newDirectory(), [], { 'statedir-cleanup': '1' }), {
    journal_mode: 'MEMORY',
    synchronous: 'OFF',
  });
  assert.deepEqual(await config(newDirectory(), ['journal_mode=DELETE', 'synchronous=EXTRA']), {
    journal_mode: 'DELETE',
    synchronous: 'EXTRA',
  });
});
