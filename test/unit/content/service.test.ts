// The service `content` by its messages: at rank 0 in front of a backing store, elsewhere in front of its parent.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { FluxError } from '../../../core/errno.ts';
import { real } from '../../../core/json.ts';
import type { Message, Payload } from '../../../core/message/message.ts';
import type { StoreThread } from '../../../workers/content/access.ts';
import { contentModule } from '../../../workers/content/content.ts';
import { refused } from '../../errors.ts';
import { type BenchOptions, digestOf, guest, isEphemeral, ModuleBench, refOf, turn } from './support.ts';

const root = fs.mkdtempSync(path.join(os.tmpdir(), 'flux-ts-content-'));
after(() => fs.rmSync(root, { recursive: true }));

const hello = Buffer.from('hello');
const large = Buffer.alloc(5_000_000, 'large');

/** The service, and what answers for `content-backing` or for the parent. */
class Bench {
  readonly shared: StoreThread = {};
  readonly blobs = new Map<string, Uint8Array>();
  readonly checkpoints: unknown[] = [];
  failure: FluxError | undefined;
  module!: ModuleBench;

  static async start(options: Partial<BenchOptions> = {}): Promise<Bench> {
    const bench = new Bench();
    const answer = (request: Message) => bench.#answer(request);
    bench.module = await ModuleBench.start(contentModule(bench.shared), { name: 'content', answer, ...options });
    return bench;
  }

  /** With a backing store. */
  static async backed(options: Partial<BenchOptions> = {}): Promise<Bench> {
    const bench = await Bench.start(options);
    assert.equal(await bench.json('register-backing', { name: 'content-sqlite' }), undefined);
    return bench;
  }

  #answer(request: Message): Payload | undefined | FluxError {
    const { topic = '', bytes = new Uint8Array() } = request;
    const method = topic.replace(/^content(-backing)?\./, '');
    if (method === topic) return undefined;
    if (this.failure) return this.failure;
    const key = Buffer.from(bytes).toString('hex');
    switch (method) {
      case 'store':
        this.blobs.set(digestOf(bytes).toString('hex'), bytes);
        return digestOf(bytes);
      case 'load':
        return this.blobs.get(key) ?? new FluxError('ENOENT');
      case 'validate':
        return this.blobs.has(key) ? undefined : new FluxError('ENOENT');
      case 'checkpoint-put':
        this.checkpoints.unshift(request.unpack({ value: '*' }).value);
        return undefined;
      case 'checkpoint-get':
        return this.checkpoints.length ? { value: this.checkpoints as never } : new FluxError('ENOENT');
      default:
        return undefined;
    }
  }

  raw(method: string, payload?: Payload, credentials?: typeof guest): Promise<Buffer | string> {
    return this.module.raw(`content.${method}`, payload, credentials);
  }
  json(method: string, payload?: Payload): Promise<unknown> {
    return this.module.json(`content.${method}`, payload);
  }
  call(method: string, payload?: Payload): Promise<Message> {
    return this.module.call(`content.${method}`, payload);
  }
  asked(topic: string): number {
    return this.module.topics.filter((each) => each === topic).length;
  }
}

test('what was stored is loaded, and goes to the backing store behind', async () => {
  const bench = await Bench.backed();
  for (const blob of [hello, Buffer.alloc(0), Buffer.alloc(1 << 20, 7)]) {
    assert.deepEqual(await bench.raw('store', blob), digestOf(blob));
    assert.deepEqual(await bench.raw('load', digestOf(blob)), blob);
  }
  assert.equal(await bench.json('flush'), undefined);
  assert.equal(bench.blobs.size, 3);
  assert.equal(bench.asked('content-backing.load'), 0);
  assert.equal(await bench.json('dropcache'), undefined);
  assert.deepEqual(await bench.raw('load', digestOf(hello)), hello);
  assert.equal(bench.asked('content-backing.load'), 1);
});

test('a large blob is hashed on another thread, and is there for what comes behind it', async () => {
  for (const [method, payload, answer] of [
    ['flush', undefined, ''],
    ['load', digestOf(large), large],
    ['checkpoint-put', { value: 1 }, ''],
  ] as const) {
    const bench = await Bench.backed();
    const [stored, answered] = await Promise.all([bench.raw('store', large), bench.raw(method, payload)]);
    assert.deepEqual([stored, answered.toString()], [digestOf(large), answer.toString()], method);
    if (method !== 'load') assert.equal(bench.asked('content-backing.store'), 1, method);
  }
});

test('requests that are no requests', async () => {
  const bench = await Bench.backed();
  for (const method of ['load', 'validate'])
    for (const odd of [undefined, Buffer.from('x'.repeat(19)), Buffer.from('x'.repeat(32))])
      assert.equal(await bench.raw(method, odd), 'EPROTO');
  const missing = await bench.call('load', Buffer.alloc(20));
  assert.deepEqual([missing.error().code, missing.errorText()], ['ENOENT', 'No such file or directory']);
  assert.equal(await bench.raw('validate', Buffer.alloc(20)), 'ENOENT');
  const methods = ['load', 'store', 'validate', 'flush', 'dropcache', 'checkpoint-get', 'checkpoint-put', 'stats-get'];
  const others = ['register-backing', 'unregister-backing', 'mmap-add', 'mmap-remove'];
  for (const method of [...methods, ...others])
    assert.equal(await bench.raw(method, undefined, guest), 'EPERM', method);
  await refused(Bench.start({ attributes: { 'content.hash': 'md5' } }), 'EINVAL', /md5: unknown hash type/);
  await refused(Bench.start({ args: ['x=1'] }), 'EINVAL');
});

test('with sha256 digests have 32 bytes', async () => {
  const bench = await Bench.start({ attributes: { 'content.hash': 'sha256' } });
  const digest = await bench.raw('store', hello);
  assert.equal(digest.toString('hex'), '2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824');
  assert.deepEqual(await bench.raw('load', digest as Buffer), hello);
  assert.equal(await bench.raw('load', digestOf(hello)), 'EPROTO');
  assert.deepEqual(await bench.raw('store', large), createHash('sha256').update(large).digest());
});

test('there is one backing store, always the same', async () => {
  const bench = await Bench.start();
  assert.equal(await bench.raw('flush'), 'ENOSYS');
  assert.equal(await bench.raw('unregister-backing'), 'EINVAL');
  assert.equal(await bench.json('register-backing', {}), 'EPROTO');
  assert.equal(await bench.json('register-backing', { name: 'a' }), undefined);
  assert.deepEqual(bench.module.asked.find(({ topic }) => topic === 'attr.set')?.json, {
    name: 'content.backing-module',
    value: 'a',
    force: true,
  });
  const busy = await bench.call('register-backing', { name: 'a' });
  assert.deepEqual([busy.error().code, busy.errorText()], ['EBUSY', 'content backing store is already active']);
  assert.equal(await bench.json('unregister-backing'), undefined);
  assert.equal(await bench.json('register-backing', { name: 'b' }), 'EINVAL');
  assert.equal(await bench.json('register-backing', { name: 'a' }), undefined);
  const other = await Bench.start({ attributes: { 'content.backing-module': 'x' } });
  assert.equal(await other.json('register-backing', { name: 'y' }), 'EINVAL');
  assert.equal(await other.json('register-backing', { name: 'x' }), undefined);
});

test('a backing store that died is replaced, and what it did not keep goes to the next', async () => {
  const bench = await Bench.backed();
  bench.failure = new FluxError('ENOSYS');
  await bench.raw('store', hello);
  await turn();
  assert.equal(await bench.json('register-backing', { name: 'content-sqlite' }), undefined);
  await turn();
  bench.failure = undefined;
  assert.equal(await bench.json('flush'), undefined);
  assert.equal(bench.blobs.size, 1);
  assert.equal(await bench.json('register-backing', { name: 'content-sqlite' }), 'EBUSY');
});

test('what is stored before there is a backing store is not lost', async () => {
  const bench = await Bench.start();
  await bench.raw('store', hello);
  await bench.json('dropcache');
  assert.deepEqual(await bench.raw('load', digestOf(hello)), hello);
  await bench.json('register-backing', { name: 'content-sqlite' });
  await bench.json('flush');
  assert.equal(bench.blobs.size, 1);
});

test('a checkpoint is kept once all before it is stored', async () => {
  const bench = await Bench.start();
  const value = { version: 1, rootref: refOf(hello), sequence: 7, timestamp: 42.5 };
  assert.equal(await bench.json('checkpoint-get'), 'ENOSYS');
  assert.equal(await bench.json('checkpoint-put', { value }), 'ENOSYS');
  await bench.json('register-backing', { name: 'content-sqlite' });
  assert.equal(await bench.json('checkpoint-get'), 'ENOENT');
  await refused(bench.shared.content!.checkpoints(), 'ENOENT');
  assert.equal(await bench.json('checkpoint-put', {}), 'EPROTO');
  await bench.raw('store', hello);
  assert.equal(await bench.json('checkpoint-put', { value }), undefined);
  const topics = bench.module.topics.filter((topic) => topic.startsWith('content-backing.'));
  assert.deepEqual(topics.slice(-2), ['content-backing.store', 'content-backing.checkpoint-put']);
  assert.deepEqual(await bench.json('checkpoint-get'), { value: [value] });
  await bench.shared.content!.checkpointPut({ version: 1, rootref: 'r', sequence: 8, timestamp: 43 });
  assert.deepEqual(bench.checkpoints[0], { version: 1, rootref: 'r', sequence: 8, timestamp: real(43) });
  assert.deepEqual(await bench.shared.content!.checkpoints(), [
    { version: 1, rootref: 'r', sequence: 8, timestamp: 43 },
    { version: 1, rootref: refOf(hello), sequence: 7, timestamp: 42.5 },
  ]);
});

test('a full disk: stores are answered until too much is dirty, flushes and checkpoints are refused, nothing is lost', async () => {
  const bench = await Bench.backed({ args: ['dirty-size-limit=400', 'flush-delay=0'] });
  bench.failure = new FluxError('ENOSPC');
  assert.deepEqual(await bench.raw('store', Buffer.alloc(60, 1)), digestOf(Buffer.alloc(60, 1)));
  assert.equal(await bench.raw('flush'), 'ENOSPC');
  assert.equal(await bench.json('checkpoint-put', { value: {} }), 'ENOSPC');
  assert.deepEqual(await bench.raw('store', Buffer.alloc(60, 2)), digestOf(Buffer.alloc(60, 2)));
  await turn();
  assert.equal(await bench.raw('store', Buffer.alloc(60, 3)), 'ENOSPC');
  assert.ok(bench.module.logged.some((line) => /content store: No space left on device/.test(line)));
  bench.failure = undefined;
  assert.equal(await bench.json('flush'), undefined);
  assert.deepEqual([...bench.blobs.values()].map((blob) => blob[0]).sort(), [1, 2]);
});

test('other services on the thread use it without messages, as long as it runs', async () => {
  const bench = await Bench.backed({ args: ['flush-delay=0'] });
  const { content } = bench.shared;
  assert.equal(content!.hash, 'sha1');
  content!.store(refOf(hello), hello);
  assert.deepEqual(await bench.raw('load', digestOf(hello)), hello);
  assert.equal(content!.get(refOf(hello)), hello);
  assert.equal(await content!.load(refOf(hello)), hello);
  await refused(content!.load(refOf(Buffer.from('missing'))), 'ENOENT');
  bench.blobs.clear();
  await content!.store(refOf(Buffer.from('last')), Buffer.from('last'));
  await bench.module.host.stop();
  assert.equal(bench.shared.content, undefined);
  assert.equal(bench.blobs.size, 1);
});

test('a rank with a parent stores there before it answers, and reads there what it does not have', async () => {
  const bench = await Bench.start({ rank: 3 });
  assert.equal(bench.shared.content, undefined);
  assert.deepEqual(await bench.raw('store', hello), digestOf(hello));
  assert.equal(bench.blobs.size, 1);
  assert.deepEqual(await bench.raw('load', digestOf(hello)), hello);
  assert.equal(bench.asked('content.load'), 0);
  await bench.json('dropcache');
  assert.deepEqual(await bench.raw('load', digestOf(hello)), hello);
  assert.equal(bench.asked('content.load'), 1);
  assert.equal(await bench.json('register-backing', { name: 'x' }), 'EINVAL');
  assert.equal(await bench.json('mmap-add', { path: '/x', chunksize: 1, tag: 't' }), 'EINVAL');
  bench.failure = new FluxError('EHOSTUNREACH');
  assert.equal(await bench.raw('store', Buffer.from('more')), 'EHOSTUNREACH');
  assert.equal(await bench.raw('load', Buffer.alloc(20)), 'EHOSTUNREACH');
  assert.equal(await bench.raw('flush'), 'EHOSTUNREACH');
  bench.failure = undefined;
  assert.equal(await bench.json('flush'), undefined);
  assert.equal(bench.blobs.size, 2);
});

test('parts of mapped files are blobs that say that nobody has stored them', async () => {
  const bench = await Bench.backed();
  const file = path.join(root, 'mapped');
  const bytes = Buffer.from('0123456789');
  fs.writeFileSync(file, bytes);
  const add = (given: string, chunksize = 4, tag = 'a') => bench.json('mmap-add', { path: given, chunksize, tag });
  assert.equal(await add(file), undefined);
  assert.equal(await add(file, 0, 'b'), undefined);
  for (const part of ['0123', '4567', '89', '0123456789']) {
    const answer = await bench.call('load', digestOf(Buffer.from(part)));
    assert.equal(Buffer.from(answer.bytes!).toString(), part);
    assert.ok(isEphemeral(answer));
  }
  assert.deepEqual((await bench.json('stats-get')) as object, {
    count: 4,
    valid: 4,
    dirty: 0,
    size: 20,
    'flush-batch-count': 0,
    mmap: { tags: { a: [file], b: [file] }, blobs: 4 },
  });
  await bench.raw('store', Buffer.from('0123'));
  assert.ok(!isEphemeral(await bench.call('load', digestOf(Buffer.from('0123')))));
  assert.equal(await bench.json('mmap-remove', { tag: 'a' }), undefined);
  await bench.json('dropcache');
  assert.equal(await bench.raw('load', digestOf(Buffer.from('89'))), 'ENOENT');
  assert.deepEqual(await bench.raw('load', digestOf(bytes)), bytes);
  await bench.json('dropcache');
  fs.writeFileSync(file, 'x123456789');
  assert.equal(await bench.raw('load', digestOf(bytes)), 'EINVAL');
  assert.equal(await add('mapped'), 'EINVAL');
  assert.equal(await add(root), 'EINVAL');
  assert.equal(await add(path.join(root, 'missing')), 'ENOENT');
  assert.equal(await add(file, -1), 'EINVAL');
  fs.writeFileSync(file, '');
  assert.equal(await add(file), 'EINVAL');
});

test('parts of a file with holes are known as they are with the holes, and without', async () => {
  const bench = await Bench.start();
  const file = path.join(root, 'sparse');
  const data = Buffer.alloc(5000, 'data');
  const handle = fs.openSync(file, 'w');
  fs.writeSync(handle, data, 0, data.length, 1 << 20);
  fs.ftruncateSync(handle, 3 << 20);
  fs.closeSync(handle);
  await bench.json('mmap-add', { path: file, chunksize: 1 << 20, tag: 't' });
  const stretch = Buffer.concat([data, Buffer.alloc(8192 - data.length)]);
  for (const part of [Buffer.alloc(1 << 20), stretch]) assert.deepEqual(await bench.raw('load', digestOf(part)), part);
});

test('what is kept of a message is not all that came with it', async () => {
  const bench = await Bench.start();
  const much = Buffer.from(new ArrayBuffer(1 << 20));
  await bench.raw('store', much.subarray(100, 200));
  assert.ok(bench.shared.content!.get(refOf(Buffer.alloc(100)))!.buffer.byteLength < 1 << 16);
});
