// Tree objects: what is one, and the one way in which each is written.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  checkDirectory,
  checkTreeobj,
  compareNames,
  encodeTreeobj,
  makeDir,
  makeDirref,
  makeSymlink,
  makeVal,
  makeValref,
  type Treeobj,
  valBytes,
} from '../../../core/formats/treeobj.ts';
import type { JsonValue } from '../../../core/json.ts';
import { throwsCode } from '../../errors.ts';
import { golden } from '../../golden.ts';

const sha1 = 'sha1-da39a3ee5e6b4b0d3255bfef95601890afd80709';
const dirref = { ver: 1, type: 'dirref', data: [sha1] };

test('objects are written as flux-core writes them', () => {
  const { sequences } = golden<{ sequences: { objects: { sha1: Record<string, string> } }[] }>('vectors/treeobj.json');
  for (const { objects } of sequences)
    for (const text of Object.values(objects.sha1)) assert.equal(encodeTreeobj(checkTreeobj(JSON.parse(text))), text);
});

test('members are sorted, names by their bytes', () => {
  const rows: readonly (readonly [object: Treeobj, text: string])[] = [
    [makeVal(Buffer.from('hi')), '{"data":"aGk=","type":"val","ver":1}'],
    [makeValref([sha1, sha1]), `{"data":["${sha1}","${sha1}"],"type":"valref","ver":1}`],
    [makeDirref(sha1), `{"data":["${sha1}"],"type":"dirref","ver":1}`],
    [makeSymlink('a.b'), '{"data":{"target":"a.b"},"type":"symlink","ver":1}'],
    [makeSymlink('"\u001f'), '{"data":{"target":"\\"\\u001F"},"type":"symlink","ver":1}'],
    [makeSymlink('b', 'ns'), '{"data":{"namespace":"ns","target":"b"},"type":"symlink","ver":1}'],
    [makeDir(), '{"data":{},"type":"dir","ver":1}'],
    [
      makeDir({ '\u{1f600}': makeDir(), '\uffff': makeDir(), b: makeDir(), 10: makeDir(), 9: makeDir() }),
      `{"data":{${['10', '9', 'b', '\uffff', '\u{1f600}'].map((name) => `"${name}":{"data":{},"type":"dir","ver":1}`).join(',')}},"type":"dir","ver":1}`,
    ],
  ];
  for (const [object, text] of rows) assert.equal(encodeTreeobj(object), text);
});

test('what is no tree object is refused', () => {
  const deep = Array.from({ length: 1100 }).reduce<JsonValue>((data) => ({ ver: 1, type: 'dir', data: { d: data } }), {
    ver: 1,
    type: 'dir',
    data: {},
  });
  const rows: readonly (readonly [value: JsonValue, sentence: RegExp])[] = [
    [null, /JSON object/],
    ['val', /JSON object/],
    [[], /JSON object/],
    [{}, /version/],
    [{ ver: 2, type: 'val', data: '' }, /version/],
    [{ ver: '1', type: 'val', data: '' }, /version/],
    [{ ver: 1, type: 'val' }, /members/],
    [{ ver: 1, data: '' }, /members/],
    [{ ver: 1, type: 'val', data: '', more: 1 }, /members/],
    [{ ver: 1, type: 'toString', data: '' }, /type 'toString'/],
    [{ ver: 1, type: 'hdir', data: { size: 1, func: 'xxh32', bucket: [null] } }, /type 'hdir'/],
    [{ ver: 1, type: 'val', data: 1 }, /no string/],
    [{ ver: 1, type: 'valref', data: [] }, /list of blobrefs/],
    [{ ver: 1, type: 'valref', data: sha1 }, /list of blobrefs/],
    [{ ver: 1, type: 'dirref', data: [sha1, 'sha1-x'] }, /list of blobrefs/],
    [{ ver: 1, type: 'dirref', data: [1] }, /list of blobrefs/],
    [{ ver: 1, type: 'dir', data: [] }, /no object/],
    [{ ver: 1, type: 'dir', data: { a: null } }, /JSON object/],
    [{ ver: 1, type: 'symlink', data: 'a' }, /no object/],
    [{ ver: 1, type: 'symlink', data: {} }, /target/],
    [{ ver: 1, type: 'symlink', data: { target: 'a', namespace: 1 } }, /namespace/],
    [deep, /too deep/],
  ];
  for (const [value, sentence] of rows) throwsCode(() => checkTreeobj(value), 'EINVAL', sentence);
});

test('a directory is a dir or an hdir', () => {
  const hdir = (data: JsonValue) => ({ ver: 1, type: 'hdir', data });
  const good = hdir({ size: 2, func: 'xxh32', bucket: [null, dirref] });
  assert.equal(
    encodeTreeobj(checkDirectory(good)),
    `{"data":{"bucket":[null,{"data":["${sha1}"],"type":"dirref","ver":1}],"func":"xxh32","size":2},"type":"hdir","ver":1}`,
  );
  assert.deepEqual(checkDirectory({ ver: 1, type: 'dir', data: {} }), makeDir());
  const rows: readonly (readonly [value: JsonValue, sentence: RegExp])[] = [
    [dirref, /a dirref is no directory/],
    [hdir(null), /no object/],
    [hdir({ size: 1, bucket: [null] }), /hash function/],
    [hdir({ size: 2, func: 'xxh32', bucket: [null] }), /as many buckets/],
    [hdir({ size: 0, func: 'xxh32', bucket: [] }), /as many buckets/],
    [hdir({ size: 1, func: 'xxh32', bucket: {} }), /as many buckets/],
    [hdir({ size: 1, func: 'xxh32', bucket: [{ ver: 1, type: 'dir', data: {} }] }), /no dirref/],
    [hdir({ size: 1, func: 'xxh32', bucket: [{ ...dirref, data: [sha1, sha1] }] }), /more than one/],
  ];
  for (const [value, sentence] of rows) throwsCode(() => checkDirectory(value), 'EINVAL', sentence);
});

test('bytes are values and come back', () => {
  fc.assert(
    fc.property(fc.uint8Array(), (bytes) => assert.deepEqual(Uint8Array.from(valBytes(makeVal(bytes))), bytes)),
  );
  for (const data of ['YQ', 'YQ=', 'YQ==']) assert.equal(valBytes({ data, type: 'val', ver: 1 }).toString(), 'a');
  assert.equal(valBytes({ data: '====', type: 'val', ver: 1 }).length, 0);
  for (const data of ['Y', 'Y===', 'YQ======', 'YQ==YQ==', 'Y Q=', 'é', '=A='])
    throwsCode(() => valBytes({ data, type: 'val', ver: 1 }), 'EPROTO', /base64/);
  for (const object of [undefined, makeDir(), makeValref([sha1])])
    throwsCode(() => valBytes(object), 'EPROTO', /no value/);
});

test('names are in the order of their bytes', () => {
  const units = ['a', 'b', '\u007f', 'é', '\ud7ff', '\ue000', '\uffff', '\u{10000}', '\u{10ffff}'];
  const names = fc.string({ unit: fc.constantFrom(...units), maxLength: 4 });
  fc.assert(
    fc.property(names, names, (a, b) => {
      assert.equal(Math.sign(compareNames(a, b)), Buffer.compare(Buffer.from(a), Buffer.from(b)));
    }),
  );
});
