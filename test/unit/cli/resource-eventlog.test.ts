// Events of resources: which are wanted, and how their times are written.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseContextMatch } from '../../../cli/context-match.ts';
import { EventTargets } from '../../../cli/event-targets.ts';
import { elapsedFormat, isoFormat, offsetFormat } from '../../../cli/eventlog-format.ts';
import { Hostlist } from '../../../core/formats/hostlist.ts';
import { type JsonObject, Real } from '../../../core/json.ts';

test('conditions on contexts', () => {
  const context: JsonObject = {
    idset: '2',
    overwrite: 0,
    load: 0.5,
    whole: new Real(2),
    list: [1, 'a'],
    table: { a: 1 },
  };
  const rows: [string, boolean][] = [
    ['idset="2"', true],
    ['idset=2', false],
    ['overwrite=0', true],
    ['overwrite=0.0', true],
    ['overwrite=1', false],
    ['load=0.500001', true],
    ['load=0.51', false],
    ['load=x', false],
    ['whole=2', true],
    ['list=[1,"a"]', true],
    ['list=[1]', false],
    ['table={"a":1}', true],
    ['table={"b":1}', false],
    ['nosuch=1', false],
  ];
  for (const [text, expected] of rows) assert.equal(parseContextMatch(text)(context), expected, text);
  assert.equal(parseContextMatch('reason=a=b c')({ reason: 'a=b c' }), true, 'what is no JSON is a text');
  for (const text of ['', 'key', '=value']) assert.throws(() => parseContextMatch(text), /not of the form KEY=VAL/);
});

test('events of targets', () => {
  const hosts = Hostlist.parse('a,a,b');
  const drain = { idset: '1', nodelist: 'a' };
  const rows: [targets: string, context: JsonObject, expected: boolean][] = [
    ['0', drain, false],
    ['1', drain, true],
    ['a', drain, true],
    ['b', drain, false],
    ['b', { idset: '2' }, true],
    ['a', { idset: '1' }, false],
    ['0', { ranks: '0-2', nodelist: 'x' }, true],
    ['b', { method: 'configuration' }, false],
  ];
  for (const [targets, context, expected] of rows)
    assert.equal(EventTargets.parse(targets, hosts).match(context), expected, `${targets} ${JSON.stringify(context)}`);
  assert.throws(() => EventTargets.parse('nosuch', hosts), /nosuch/);
  assert.throws(() => EventTargets.parse('3', hosts), /no rank 3/);
  assert.throws(() => EventTargets.parse('a[', hosts), /neither an idset nor a hostlist/);
});

test('times', () => {
  const plain = (_: unknown, text: string) => text;
  const start = 1795262103.439541;
  const times = [0, 0.25, 61].map((passed) => start + passed);
  assert.deepEqual(times.map(offsetFormat(plain)), ['       0.000000', '       0.250000', '      61.000000']);
  assert.match(isoFormat(plain)(start), /^2026-11-2\dT\d\d:\d\d:03\.4395\d\d(Z|[-+]\d{4})$/);
  const [first, second, third] = times.map(elapsedFormat(plain));
  assert.match(first!, /^\[Nov2\d \d\d:\d\d\]$/);
  assert.equal(second, '[  +0.250000]');
  assert.match(third!, /^\[Nov2/, 'a minute after the one before');
});
