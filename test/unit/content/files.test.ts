// The module `content-files`: a file for each blob, whole or not at all.

import assert from 'node:assert/strict';
import crypto from 'node:crypto';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { contentFiles } from '../../../workers/content-files/content-files.ts';
import { refused } from '../../errors.ts';
import { digestOf, guest, ModuleBench, refOf } from './support.ts';

const root = fs.mkdtempSync(path.join(os.tmpdir(), 'flux-ts-files-'));
after(() => fs.rmSync(root, { recursive: true }));

function start(statedir: string, args: readonly string[] = []): Promise<ModuleBench> {
  return ModuleBench.start(contentFiles, { name: 'content-files', args, attributes: { statedir } });
}

const blobs = [0, 1, 300, 1048577].map((size) => crypto.randomBytes(size));

test('blobs come back, also after a restart, and are files named by their blobrefs', async () => {
  const statedir = fs.mkdtempSync(path.join(root, 'state-'));
  let bench = await start(statedir);
  const answers = await Promise.all([...blobs, ...blobs].map((blob) => bench.raw('content-backing.store', blob)));
  assert.deepEqual(answers, [...blobs, ...blobs].map(digestOf));
  for (let round = 0; round < 2; round++) {
    for (const blob of blobs) {
      assert.deepEqual(await bench.raw('content-backing.load', digestOf(blob)), blob);
      assert.deepEqual(await bench.raw('content-backing.validate', digestOf(blob)), Buffer.alloc(0));
    }
    assert.deepEqual(fs.readdirSync(path.join(statedir, 'content.files')).sort(), blobs.map(refOf).sort());
    assert.deepEqual(await bench.json('content-files.stats-get', undefined, guest), { object_count: blobs.length });
    await bench.host.stop();
    bench = await start(statedir);
  }
  await bench.host.stop();
  bench = await start(statedir, ['truncate']);
  assert.equal(await bench.raw('content-backing.load', digestOf(blobs[1]!)), 'ENOENT');
});

test('one checkpoint is kept', async () => {
  const bench = await start(fs.mkdtempSync(path.join(root, 'state-')));
  assert.equal(await bench.json('content-backing.checkpoint-get'), 'ENOENT');
  for (const sequence of [1, 2]) await bench.json('content-backing.checkpoint-put', { value: { sequence } });
  assert.deepEqual(await bench.json('content-backing.checkpoint-get'), { value: [{ sequence: 2 }] });
  assert.equal(await bench.json('content-backing.checkpoint-put', { value: 'odd' }), 'EINVAL');
});

test('requests that are no requests, a damaged file, a folder that cannot be', async () => {
  const statedir = fs.mkdtempSync(path.join(root, 'state-'));
  const bench = await start(statedir);
  for (const method of ['load', 'validate']) {
    assert.equal(await bench.raw(`content-backing.${method}`, Buffer.from('z')), 'EPROTO');
    assert.equal(await bench.raw(`content-backing.${method}`, digestOf(Buffer.from('missing'))), 'ENOENT');
  }
  const blob = Buffer.from('whole');
  await bench.raw('content-backing.store', blob);
  fs.truncateSync(path.join(statedir, 'content.files', refOf(blob)), 2);
  const answer = await bench.call('content-backing.load', digestOf(blob));
  assert.equal(answer.error().code, 'EBADMSG');
  assert.match(answer.errorText() ?? '', new RegExp(refOf(blob)));
  await refused(start(path.join(root, 'no', 'such')), 'ENOENT');
  await refused(start(statedir, ['x']), 'EINVAL', /Unknown module option: 'x'/);
});
