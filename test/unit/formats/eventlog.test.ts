// Event logs: what was recorded of flux-core, what is no log, and that what is written is read again.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  decodeEventlog,
  decodeEventlogEntry,
  type EventlogEntry,
  encodeEventlog,
  encodeEventlogEntry,
} from '../../../core/formats/eventlog.ts';
import type { JsonObject } from '../../../core/json.ts';
import { throwsCode } from '../../errors.ts';

const lines: [EventlogEntry, string][] = [
  [{ timestamp: 1, name: 'one' }, '{"timestamp":1.0,"name":"one"}\n'],
  [
    { timestamp: 2.5, name: 'two', context: { a: 1, b: 'x' } },
    '{"timestamp":2.5,"name":"two","context":{"a":1,"b":"x"}}\n',
  ],
  [{ timestamp: 1552593348.073045, name: 'submit' }, '{"timestamp":1552593348.073045,"name":"submit"}\n'],
  [{ timestamp: 0, name: 'é\n', context: {} }, '{"timestamp":0.0,"name":"é\\n","context":{}}\n'],
];

test('an entry is one line', () => {
  for (const [entry, line] of lines) {
    assert.equal(encodeEventlogEntry(entry), line);
    assert.deepEqual(decodeEventlogEntry(line), entry);
  }
});

test('a log is its entries', () => {
  const entries = lines.map(([entry]) => entry);
  const text = lines.map(([, line]) => line).join('');
  assert.equal(encodeEventlog(entries), text);
  assert.deepEqual(decodeEventlog(text), entries);
  assert.deepEqual([encodeEventlog([]), decodeEventlog('')], ['', []]);
});

test('what is behind the last newline is no entry yet', () => {
  assert.deepEqual(decodeEventlog('{"timestamp":1,"name":"a"}\n{"timestamp":2,"na'), [{ timestamp: 1, name: 'a' }]);
});

test('a timestamp may be written as any number', () => {
  for (const number of ['7', '7.0', '7e0']) {
    assert.deepEqual(decodeEventlogEntry(`{"name":"x","timestamp":${number}}\n`), { timestamp: 7, name: 'x' });
  }
});

const noEntries: [line: string, fault: RegExp][] = [
  ['', /not a JSON object/],
  ['x', /not a JSON object/],
  ['[]', /not a JSON object/],
  ['null', /not a JSON object/],
  ['1.0', /not a JSON object/],
  ['{}', /'timestamp' is not a number/],
  ['{"timestamp":"1","name":"a"}', /'timestamp' is not a number/],
  ['{"timestamp":1}', /'name' is not a string/],
  ['{"timestamp":1,"name":2}', /'name' is not a string/],
  ['{"timestamp":1,"name":"a","context":null}', /'context' is not an object/],
  ['{"timestamp":1,"name":"a","context":[]}', /'context' is not an object/],
  ['{"timestamp":1,"name":"a","context":2.0}', /'context' is not an object/],
];

test('what is no entry, and where it is', () => {
  for (const [line, fault] of noEntries) {
    throwsCode(() => decodeEventlogEntry(`${line}\n`), 'EINVAL', fault);
    throwsCode(() => decodeEventlog(`{"timestamp":1,"name":"a"}\n${line}\n`), 'EINVAL', /^line 2 of the event log/);
  }
});

test('what is not one line', () => {
  for (const text of ['', '{"timestamp":1,"name":"a"}', '\n\n', '{"timestamp":1,\n"name":"a"}\n'])
    throwsCode(() => decodeEventlogEntry(text), 'EINVAL', /one line/);
  throwsCode(() => decodeEventlog('{"timestamp":1,"name":"a"}'), 'EINVAL', /no newline/);
});

test('what cannot be written', () => {
  for (const timestamp of [-1, Number.NaN, Number.POSITIVE_INFINITY])
    throwsCode(() => encodeEventlogEntry({ timestamp, name: 'a' }), 'EINVAL', /timestamp/);
  throwsCode(() => encodeEventlogEntry({ timestamp: 1, name: '' }), 'EINVAL', /name/);
});

test('what is written is read again', () => {
  const entry = fc.record(
    {
      timestamp: fc.double({ min: 0, noNaN: true, noDefaultInfinity: true }).map((number) => number + 0),
      name: fc.string({ unit: 'grapheme', minLength: 1 }),
      context: fc.dictionary(fc.string(), fc.oneof(fc.string(), fc.integer(), fc.boolean(), fc.constant(null))),
    },
    { requiredKeys: ['timestamp', 'name'] },
  );
  fc.assert(
    fc.property(fc.array(entry), (entries) => {
      const plain = entries.map(({ timestamp, name, context }) => ({
        timestamp,
        name,
        ...(context && { context: { ...(context as JsonObject) } }),
      }));
      assert.deepEqual(decodeEventlog(encodeEventlog(plain)), plain);
    }),
  );
});
