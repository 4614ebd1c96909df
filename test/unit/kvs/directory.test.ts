// Directories as blobs: changed as maps are, and no bytes make reading one fail in another way than it says.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { FluxError } from '../../../core/errno.ts';
import { compareNames, encodeTreeobj, makeDir, makeVal, type Treeobj } from '../../../core/formats/treeobj.ts';
import { type Change, Directory } from '../../../workers/kvs/directory.ts';
import { decodeDirectory } from '../../../workers/kvs/directory-object.ts';
import { HashedDirectory } from '../../../workers/kvs/hashed-directory.ts';
import { throwsCode } from '../../errors.ts';

const sha1 = 'sha1-da39a3ee5e6b4b0d3255bfef95601890afd80709';
const name = fc.oneof(
  fc.constantFrom('a', 'b', 'c', '__proto__', '1', ''),
  fc.string({ unit: 'grapheme', maxLength: 3 }),
);
const object = fc.string().map((text): Treeobj => makeVal(Buffer.from(text)));

test('a directory changes as a map does, and its blob is what a tree object is written as', () => {
  const changes = fc.uniqueArray(fc.tuple(name, fc.option(object, { nil: undefined })), { selector: ([each]) => each });
  fc.assert(
    fc.property(fc.array(changes), (rounds) => {
      let directory = Directory.empty;
      const map = new Map<string, Treeobj>();
      for (const round of rounds) {
        directory = directory.with(round.toSorted(([a], [b]) => compareNames(a, b)) satisfies Change[]);
        for (const [each, now] of round) {
          if (now) map.set(each, now);
          else map.delete(each);
        }
        const dir = makeDir(Object.fromEntries(map));
        assert.equal(directory.bytes.toString(), encodeTreeobj(dir));
        assert.deepEqual(directory.toTreeobj(), dir);
        assert.deepEqual(decodeDirectory(directory.bytes), directory);
        for (const [each] of round) assert.deepEqual(directory.get(each), map.get(each));
        assert.equal(directory.size, map.size);
      }
    }),
  );
});

test('blobs of others are read, however they are laid out', () => {
  const text =
    '{"ver":1, "type":"dir", "data":{"b":{"ver":1,"type":"val","data":"MQ=="},"a":{"ver":1,"type":"dir","data":{}}}}';
  const directory = decodeDirectory(Buffer.from(text));
  assert.ok(directory instanceof Directory);
  assert.deepEqual(directory.names, ['a', 'b']);
  assert.equal(directory.bytes.toString(), encodeTreeobj(makeDir({ a: makeDir(), b: makeVal(Buffer.from('1')) })));
});

test('a hashed directory is read as it was written', () => {
  const directory = new HashedDirectory([null, sha1, null, sha1]);
  assert.deepEqual(decodeDirectory(directory.bytes), directory);
});

test('what is no directory', () => {
  const rows: readonly (readonly [bytes: string | Buffer, sentence: RegExp])[] = [
    ['', /JSON/],
    ['{', /JSON/],
    ['null', /JSON object/],
    [Buffer.from([0xff, 0xfe]), /JSON/],
    [Buffer.from('{"data":{"\xe9":1},"type":"dir","ver":1}', 'latin1'), /JSON/],
    ['{"data":"MQ==","type":"val","ver":1}', /a val is no directory/],
    ['{"data":{"bucket":[null],"func":"city32","size":1},"type":"hdir","ver":1}', /city32/],
    ['['.repeat(100_000), /JSON/],
    ['{"data":{"a":'.repeat(100_000), /JSON/],
    [`${'{"ver":1,"type":"dir","data":{"a":'.repeat(50_000)}{}${'}}'.repeat(50_000)}`, /too deep/],
  ];
  for (const [bytes, sentence] of rows)
    throwsCode(() => decodeDirectory(Buffer.from(bytes as string)), 'EINVAL', sentence);
});

test('no bytes make reading crash', () => {
  const good = Directory.empty.with([['a', makeVal(Buffer.from('1'))]]).bytes.toString();
  const hashed = new HashedDirectory([null, sha1]).bytes.toString();
  const damaged = fc
    .tuple(fc.constantFrom(good, hashed), fc.nat(200), fc.nat(20), fc.string({ maxLength: 8 }))
    .map(([text, at, length, put]) => Buffer.from(text.slice(0, at) + put + text.slice(at + length)));
  const json = fc.json().map((text) => Buffer.from(`{"data":${text},"type":"dir","ver":1}`));
  const bytes = fc.oneof(fc.uint8Array(), damaged, json);
  fc.assert(
    fc.property(bytes, (blob) => {
      try {
        const directory = decodeDirectory(blob);
        assert.deepEqual(decodeDirectory(directory.bytes), directory);
      } catch (error) {
        assert.ok(error instanceof FluxError, `${error}`);
        assert.equal(error.code, 'EINVAL');
      }
    }),
    { numRuns: 2000 },
  );
});
