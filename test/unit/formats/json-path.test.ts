import assert from 'node:assert/strict';
import { test } from 'node:test';
import { valueAt, withMergedAt, withValueAt } from '../../../core/formats/json-path.ts';
import { type JsonObject, type JsonValue, parseJson, stringifyJson } from '../../../core/json.ts';
import { throwsCode } from '../../errors.ts';

const parse = (text: string) => parseJson(text) as JsonObject;

const reads: [object: string, path: string, value: JsonValue | undefined][] = [
  ['{"a":{"b":{"c":1}}}', 'a.b.c', 1],
  ['{"a":{"b":{"c":1}}}', 'a.x.c', undefined],
  ['{"a":1}', 'a.b', undefined],
  ['{"a":[1]}', 'a.0', undefined],
  ['{}', 'toString', undefined],
];
for (const [object, path, value] of reads)
  test(`${path} in ${object}`, () => assert.deepEqual(valueAt(parse(object), path), value));

const changes: [object: string, path: string, value: JsonValue, changed: string][] = [
  ['{}', 'a', 1, '{"a":1}'],
  ['{}', 'a.b.c', 1, '{"a":{"b":{"c":1}}}'],
  ['{"a":{"b":1,"c":2},"d":3}', 'a.b', null, '{"a":{"b":null,"c":2},"d":3}'],
  ['{"a":{"b":1}}', 'a', { c: 1 }, '{"a":{"c":1}}'],
  ['{}', '__proto__.a', 1, '{"__proto__":{"a":1}}'],
];
for (const [object, path, value, changed] of changes)
  test(`${path} = ${JSON.stringify(value)} in ${object}`, () => {
    const before = parse(object);
    assert.equal(stringifyJson(withValueAt(before, path, value)), changed);
    assert.equal(stringifyJson(before), object);
  });

const mergers: [object: string, members: string, merged: string][] = [
  ['{}', '{"a":1}', '{"user":{"a":1}}'],
  ['{"user":{"a":{"b":1}}}', '{"a":{"c":2}}', '{"user":{"a":{"b":1,"c":2}}}'],
  ['{"user":{"a":1}}', '{"a":{"c":2}}', '{"user":{"a":{"c":2}}}'],
  ['{"user":{"a":{"b":1}}}', '{"a":2}', '{"user":{"a":2}}'],
  ['{"user":{"a":1,"b":2},"x":1}', '{"a":null}', '{"user":{"b":2},"x":1}'],
  ['{"user":{"a":{"b":1}},"x":1}', '{"a":{"b":null}}', '{"x":1}'],
  ['{"user":{"a":1}}', '{"a":null}', '{}'],
  ['{}', '{"__proto__":{"a":1}}', '{"user":{"__proto__":{"a":1}}}'],
];
for (const [object, members, merged] of mergers)
  test(`${members} merged into ${object}`, () => {
    assert.equal(stringifyJson(withMergedAt(parse(object), 'user', parse(members))), merged);
  });

for (const [path, text] of [
  ['a..b', 'empty part'],
  ['', 'empty part'],
  ['x.y', 'x is not an object'],
] as const)
  test(`${JSON.stringify(path)} is no path`, () =>
    throwsCode(() => withValueAt({ x: 1 }, path, 1), 'EINVAL', new RegExp(text)));
