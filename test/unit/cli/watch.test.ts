// What flux watch and flux housekeeping make of what services tell them.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { combineJobs, housekeepingFields, readHousekeeping } from '../../../cli/housekeeping.ts';
import { jobConstraint } from '../../../cli/job-select.ts';
import { canonicalJson } from '../../../cli/json.ts';
import { OutputFormat } from '../../../cli/output-format.ts';
import { barText, elapsed, withoutMovements } from '../../../cli/progress-bar.ts';
import { readPointInTime } from '../../../cli/read-time.ts';
import { labelLines, pieceOf } from '../../../cli/watched-output.ts';
import { Hostlist } from '../../../core/formats/hostlist.ts';
import { IdSet } from '../../../core/formats/idset.ts';
import type { JsonObject } from '../../../core/json.ts';
import { throwsCode } from '../../errors.ts';

test('states and results of jobs make a constraint', () => {
  const user = { userid: [7] };
  const rows: readonly (readonly [names: readonly string[], constraint: object])[] = [
    [[], { and: [user] }],
    [['pending', 'RUN'], { and: [user, { states: [30] }] }],
    [['failed', 'timeout'], { and: [user, { results: [10] }] }],
    [['active', 'completed'], { and: [user, { or: [{ states: [62] }, { results: [1] }] }] }],
  ];
  for (const [names, constraint] of rows) assert.deepEqual(jobConstraint(7, names), constraint);
  throwsCode(() => jobConstraint(7, ['pending', 'done']), 'EINVAL', /'done'/);
  throwsCode(() => jobConstraint(7, ['toString']), 'EINVAL', /'toString'/);
});

test('a time is a difference, a number or a date', () => {
  assert.equal(readPointInTime('-1h', 10000), 6400);
  assert.equal(readPointInTime('+1m', 10000), 10060);
  assert.equal(readPointInTime('1234.5'), 1234.5);
  assert.equal(readPointInTime('1970-01-02 00:00 UTC'), 86400);
  for (const text of ['-x', '+', 'no time at all']) throwsCode(() => readPointInTime(text), 'EINVAL');
});

test('events of guest.output are what is written', () => {
  const io = { stream: 'stdout', rank: '0-1' };
  const log = { rank: 0, message: 'm', level: 5 };
  const rows: readonly (readonly [name: string, context: JsonObject, text: string | undefined])[] = [
    ['header', { version: 1 }, undefined],
    ['data', { ...io, eof: true }, undefined],
    ['data', { ...io, data: 'a\nb' }, 'stdout a\nb'],
    ['data', { ...io, stream: 'stderr', data: 'YQo=', encoding: 'base64', repeat: 2 }, 'stderr a\na\n'],
    ['log', log, 'stderr flux-shell[0]: m\n'],
    ['log', { ...log, level: 4, component: 'c' }, 'stderr flux-shell[0]:  WARN: c: m\n'],
    ['redirect', { ...io, path: '/x' }, 'stderr 0-1: stdout redirected to /x\n'],
  ];
  for (const [name, context, text] of rows) {
    const piece = pieceOf({ name, context });
    assert.equal(piece && `${piece.stream} ${piece.data}`, text);
  }
  assert.equal(labelLines(Buffer.from('a\n\nb'), 'ƒ1: ').toString(), 'ƒ1: a\nƒ1: \nƒ1: b\n');
  assert.deepEqual(labelLines(Buffer.of(0xff, 0xfe), '0: '), Buffer.from('303a20fffe0a', 'hex'));
});

test('a bar is as wide as the terminal', () => {
  const before = 'PD:10  R:0   CD:3   F:1   ';
  const rows = [
    [0, elapsed(1), `${before}│          │  0.0% 0:00:01`],
    [4, elapsed(3725), `${before}│██▊       │ 28.6% 1:02:05`],
    [14, elapsed(9e4), `${before}│███│100.0% 1 day, 1:00:00`],
    [14, ' 2.2 job/s', `${before}│███████│100.0%  2.2 job/s`],
  ] as const;
  for (const [done, end, text] of rows) assert.equal(barText(before, done / 14, end, 52), text);
  assert.equal(withoutMovements(Buffer.from('\x1b[2J\x1b[31mré\x1b[0m\x1b7\x1b[?25l')).toString(), '\x1b[31mré\x1b[0m');
});

test('keys of contexts are sorted', () => {
  assert.equal(canonicalJson({ b: [{ d: 1, c: 2 }], a: null }), '{"a":null,"b":[{"c":2,"d":1}]}');
});

test('housekeeping is listed by job, and together where columns do not differ', () => {
  const running = {
    ƒ2: { t_start: 90, pending: '0', allocated: '0-1' },
    ƒ3: { t_start: 90, pending: '2', allocated: '2' },
  };
  const format = (text: string) => new OutputFormat(text, housekeepingFields(Hostlist.parse('a,b,c')));
  const jobs = readHousekeeping(running, 100);
  assert.deepEqual(
    format('{id} {id:>3} {id.f58plain} {runtime} {ranks} {pending.nodelist}').lines(jobs, { header: false }),
    ['ƒ2   1 f2 10.0 0-1 a', 'ƒ3   2 f3 10.0 2 c'],
  );
  const together = combineJobs(jobs, (job) => String(job.runtime));
  assert.deepEqual(format('{nnodes} {nodelist} {pending.ranks}').lines(together), [
    'NNODES NODELIST ACTIVE_RANKS',
    '3 a,b,c 0,2',
  ]);
  const narrow = readHousekeeping(running, 100, IdSet.parse('1'));
  assert.deepEqual(format('{id} {ranks}').lines(narrow, { header: false }), ['ƒ2 1']);
});
