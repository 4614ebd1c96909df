// The cache of directories: what stays, what goes, and what is decoded again.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { makeBlobref } from '../../../core/formats/blobref.ts';
import { makeVal } from '../../../core/formats/treeobj.ts';
import { Directory } from '../../../workers/kvs/directory.ts';
import { LoadedObjects, ObjectCache } from '../../../workers/kvs/object-cache.ts';
import { refused, throwsCode } from '../../errors.ts';
import { Agenda } from '../../sim/agenda.ts';
import { MemoryContent } from './memory-content.ts';

function makeCache(limits?: { bytes: number; age: number }) {
  const agenda = new Agenda();
  const content = new MemoryContent();
  return { agenda, content, cache: new ObjectCache(() => content, agenda.clock('cache'), limits) };
}

/** A directory of one name, and its reference. */
function directory(name: string): [blobref: string, directory: Directory] {
  const made = Directory.empty.with([[name, makeVal(Buffer.from('1'))]]);
  return [makeBlobref('sha1', made.bytes), made];
}

const bytesOf = (cache: ObjectCache) => Number(cache.stats()['obj size total (MiB)']) * 1048576;

test('a directory that was kept is the same object; one that the content service has is decoded once', () => {
  const { cache, content } = makeCache();
  const [kept, object] = directory('a');
  cache.keep(kept, object);
  assert.equal(cache.directory(kept), object);
  const [stored, { bytes }] = directory('b');
  content.store(stored, bytes);
  const decoded = cache.directory(stored);
  assert.ok(decoded instanceof Directory);
  content.cache.clear();
  assert.equal(cache.directory(stored), decoded);
});

test('what is nowhere, or dropped, is not there; what is no directory is EINVAL', () => {
  const { cache, content } = makeCache();
  const [blobref, object] = directory('a');
  assert.equal(cache.directory(blobref), undefined);
  cache.keep(blobref, object);
  cache.drop(blobref);
  assert.equal(cache.directory(blobref), undefined);
  assert.equal(bytesOf(cache), 0);
  content.store(blobref, Buffer.from('x'));
  throwsCode(() => cache.directory(blobref), 'EINVAL');
});

test('the cache is never larger than it may be, and keeps what is used', () => {
  const limit = 20_000;
  const { cache } = makeCache({ bytes: limit, age: 60 });
  const [used, object] = directory('used');
  cache.keep(used, object);
  for (let i = 0; i < 1000; i++) {
    cache.keep(...directory(`name-${i}`));
    assert.equal(cache.directory(used), object);
    assert.ok(bytesOf(cache) <= limit);
  }
  assert.equal(cache.directory(directory('name-0')[0]), undefined);
  assert.ok(cache.directory(directory('name-999')[0]));
});

test('what nobody uses for long is forgotten', () => {
  const { agenda, cache } = makeCache({ bytes: 1e6, age: 60 });
  const [used, object] = directory('used');
  const [unused, other] = directory('unused');
  cache.keep(used, object);
  cache.keep(unused, other);
  for (let seconds = 10; seconds <= 100; seconds += 10) {
    agenda.skipTo(seconds);
    cache.age();
    assert.equal(cache.directory(used), object);
  }
  assert.equal(cache.directory(unused), undefined);
  assert.equal((cache.stats()['obj size (KiB)'] as { count: number }).count, 1);
});

test('what an operation has loaded stays until it is done, though it fits no cache', async () => {
  const { content } = makeCache();
  const { bytes } = directory('a')[1];
  const blobref = directory('a')[0];
  content.disk.blobs.set(blobref, bytes);
  const tiny = new ObjectCache(() => content, new Agenda().clock('cache'), { bytes: 1, age: 60 });
  const objects = new LoadedObjects(tiny);
  assert.equal(objects.directory(blobref), undefined);
  await objects.load([blobref]);
  for (let i = 0; i < 5; i++) {
    tiny.keep(...directory(`other-${i}`));
    assert.ok(objects.directory(blobref));
    assert.equal(objects.blob(blobref), bytes);
  }
  await refused(objects.load([blobref, directory('b')[0]]), 'ENOENT');
});
