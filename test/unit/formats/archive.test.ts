// File archives (RFC 37): contents come back as they went, and what is no archive is refused.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  dataLength,
  decodeArchive,
  decodeContent,
  decodeRegions,
  describeFile,
  encodeContent,
  encodeFileObject,
  type FileObject,
  holeLength,
  kindOf,
  safePath,
} from '../../../core/formats/archive.ts';
import { type JsonValue, parseJson, stringifyJson } from '../../../core/json.ts';
import { throwsCode } from '../../errors.ts';

const file: FileObject = { path: 'a/b', mode: 0o100644 };

test('the examples of the RFC are read', () => {
  const blobref = 'sha1-d4a09c5dd5a0d2d570066b6f13e465c73c3f9944';
  const rows: readonly (readonly [object: JsonValue, line: string, content?: string])[] = [
    [{ path: 'appdata/phase1', mode: 16893, mtime: 1677604007, ctime: 1677604007 }, 'd 0775        0 appdata/phase1'],
    [{ path: 'src', mode: 41471, data: '/users/fred' }, 'l 0777        0 src'],
    [{ path: 'data/empty', mode: 33204, size: 0 }, 'f 0664        0 data/empty', ''],
    [{ path: 'c.json', mode: 33204, data: { x: ['y', 1] } }, 'f 0664        0 c.json', '{"x": ["y", 1]}'],
    [{ path: 'd', mode: 33204, encoding: 'utf-8', data: 'é\n', size: 3 }, 'f 0664        3 d', 'é\n'],
    [
      { path: 'v', mode: 33204, encoding: 'base64', data: 'MzU0MzUuNTU1Cg==', size: 10 },
      'f 0664       10 v',
      '35435.555\n',
    ],
    [{ path: 'k', mode: 33261, encoding: 'blobvec', data: [[0, 4, blobref]], size: 4 }, 'f 0755        4 k'],
    [{ path: 'p', mode: 0o010644 }, '? 0644        0 p'],
  ];
  for (const [object, line, content] of rows) {
    const [decoded] = decodeArchive([object]) as [FileObject];
    assert.equal(describeFile(decoded, true), line);
    assert.equal(describeFile(decoded), decoded.path);
    if (content !== undefined) assert.equal(Buffer.from(decodeContent(decoded)).toString(), content);
    assert.deepEqual(parseJson(stringifyJson(encodeFileObject(decoded))), object);
  }
  const dictionary = decodeArchive({ 'a/b': { mode: 33204, data: 'x', encoding: 'utf-8' } });
  assert.deepEqual(
    dictionary.map(({ path }) => path),
    ['a/b'],
  );
  assert.deepEqual(decodeRegions({ ...file, size: 9, data: [[5, 4, blobref]] }), [[5, 4, blobref]]);
});

test('what is no archive is refused', () => {
  for (const value of [1, 'x', null, [1], [{}], [{ path: 'a' }], [{ mode: 1 }], [{ path: 1, mode: 1 }]])
    throwsCode(() => decodeArchive(value as JsonValue), 'EINVAL');
  throwsCode(() => decodeContent({ ...file, encoding: 'rot13', data: 'x' }), 'EINVAL');
  throwsCode(() => decodeContent({ ...file, encoding: 'utf-8', data: 1 }), 'EINVAL');
  throwsCode(() => decodeContent({ ...file, encoding: 'base64', data: '*' }), 'EINVAL');
  for (const data of ['x', [1], [[1, 2]], [[-1, 2, 'r']], [[0, 1.5, 'r']], [[0, 11, 'r']], [[10, 1, 'r']]])
    throwsCode(() => decodeRegions({ ...file, size: 10, data }), 'EINVAL');
});

test('paths stay in the folder', () => {
  for (const path of ['', '/etc/passwd', '..', 'a/../b', 'a/..', 'a\0b']) throwsCode(() => safePath(path), 'EINVAL');
  for (const path of ['a', './a', 'a..b/...', '..a']) assert.equal(safePath(path), path);
});

test('any content comes back', () => {
  fc.assert(
    fc.property(
      fc.oneof(
        fc.uint8Array(),
        fc.string({ unit: 'binary' }).map((text) => Buffer.from(text)),
      ),
      (bytes) => {
        const object = decodeArchive([{ ...file, ...encodeContent(bytes) }])[0]!;
        assert.equal(kindOf(object), 'file');
        assert.deepEqual(Buffer.from(decodeContent(object)), Buffer.from(bytes));
      },
    ),
  );
  assert.equal(encodeContent(Buffer.from('a\0b')).encoding, 'base64');
});

test('holes and data take turns, and are all of a file', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.boolean(), fc.integer({ min: 1, max: 9000 })), { maxLength: 8 }), (parts) => {
      const bytes = Buffer.concat(parts.map(([isData, length]) => Buffer.alloc(length, isData ? 1 : 0)));
      const copy = Buffer.alloc(bytes.length);
      for (let at = 0; at < bytes.length; ) {
        at += holeLength(bytes.subarray(at));
        const length = dataLength(bytes.subarray(at));
        assert.ok(length > 0 || at === bytes.length);
        bytes.copy(copy, at, at, at + length);
        at += length;
      }
      assert.deepEqual(copy, bytes);
    }),
  );
  assert.equal(holeLength(Buffer.alloc(4096 * 2 + 5)), 4096 * 2 + 5);
  assert.equal(dataLength(Buffer.concat([Buffer.alloc(5, 1), Buffer.alloc(4096 * 2)])), 4096);
});
