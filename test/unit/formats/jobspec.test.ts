// Jobspecs, and the numbers and JSON of Python that they are written with.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Jobspec } from '../../../core/formats/jobspec.ts';
import { validateJobspec } from '../../../core/formats/jobspec-validate.ts';
import { encodePythonJson } from '../../../core/formats/python-json.ts';
import { parsePythonFloat, parsePythonInt } from '../../../core/formats/python-number.ts';
import { parseJson, Real } from '../../../core/json.ts';

test("Python's numbers", () => {
  const rows: readonly (readonly [text: string, float: number | undefined, int: number | undefined])[] = [
    ['1', 1, 1],
    [' -1_000 ', -1000, -1000],
    ['1.5', 1.5, undefined],
    ['.5', 0.5, undefined],
    ['5.', 5, undefined],
    ['1e3', 1000, undefined],
    ['inf', Infinity, undefined],
    ['-Infinity', -Infinity, undefined],
    ['nan', NaN, undefined],
    ['', undefined, undefined],
    ['1_', undefined, undefined],
    ['0x10', undefined, undefined],
    ['1 2', undefined, undefined],
    ['30s', undefined, undefined],
  ];
  for (const [text, float, int] of rows) {
    assert.deepEqual(parsePythonFloat(text), float, text);
    assert.deepEqual(parsePythonInt(text), int, text);
  }
});

test("Python's JSON", () => {
  for (const text of [
    '{"a": 1, "b": [1.0, 2.5, null], "c": {"d": true, "e": {}}}',
    '[]',
    '1e+16',
    '1e-07',
    '12345678901234567890',
    '"é\\n\\u0001\\"/"',
  ])
    assert.equal(encodePythonJson(parseJson(text)), text);
});

test('attributes are set level by level', () => {
  const jobspec = Jobspec.forSlots(['true'], { slots: 1, cores: 1 });
  jobspec.set('user.__proto__.polluted', 1);
  jobspec.set('a.b', new Real(1));
  jobspec.set('attributes.system.a.c', [1]);
  jobspec.setDuration(60);
  jobspec.addFile('f', { mode: 0o755, data: 'x', encoding: 'utf-8' });
  assert.equal(({} as { polluted?: number }).polluted, undefined);
  const text = jobspec.encode();
  assert.ok(text.includes('"system": {"duration": 60.0, "a": {"b": 1.0, "c": [1]}, "files": {"f": {"mode": 33261, '));
  assert.ok(text.includes('"user": {"__proto__": {"polluted": 1}}'));
  validateJobspec(parseJson(text));
  assert.throws(() => jobspec.set('a.b.c', 1), { code: 'EINVAL' });
  for (const seconds of [-1, NaN, Infinity]) assert.throws(() => jobspec.setDuration(seconds), { code: 'EINVAL' });
});

test('requests that make no sense', () => {
  const slots = [
    { slots: 0, cores: 1 },
    { slots: 1, cores: 0 },
    { slots: 1, cores: 1, gpus: -1 },
    { slots: 1, cores: 1, nodes: 2 },
    { slots: 1, cores: 1, nodes: 0 },
    { slots: 1, cores: 1, exclusive: true },
  ];
  for (const request of slots) assert.throws(() => Jobspec.forSlots(['x'], request), { code: 'EINVAL' });
  const resources = [
    {},
    { cores: 0 },
    { cores: 3, nodes: 2 },
    { cores: 1, exclusive: true },
    { cores: 1, gpusPerNode: 1 },
    { nodes: 0, cores: 1 },
  ];
  for (const request of resources) assert.throws(() => Jobspec.forResources(['x'], request), { code: 'EINVAL' });
});
