// What flux watch and flux housekeeping make of what services tell them.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readWhen } from '../../../cli/date-argument.ts';
import { combineJobs, housekeepingFields, readHousekeeping } from '../../../cli/housekeeping.ts';
import { outputOf, prefixLines } from '../../../cli/job-output.ts';
import { barText, withoutMovements } from '../../../cli/job-progress.ts';
import { jobConstraint } from '../../../cli/job-select.ts';
import { canonicalJson } from '../../../cli/json.ts';
import { OutputFormat } from '../../../cli/output-format.ts';
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
  assert.equal(readWhen('-1h', 10000), 6400);
  assert.equal(readWhen('+1m', 10000), 10060);
  assert.equal(readWhen('1234.5'), 1234.5);
  assert.equal(readWhen('1970-01-02 00:00 UTC'), 86400);
  for (const text of ['-x', '+', 'no time at all']) throwsCode(() => readWhen(text), 'EINVAL');
});

test('events of guest.output are what is written', () => {
  const io = { stream: 'stdout', rank: '0-1' };
  const log = { rank: 0, message: 'm', level: 5 };
  const rows: readonly (readonly [name: string, context: JsonObject, label: boolean, text: string | undefined])[] = [
    ['header', { version: 1 }, false, undefined],
    ['data', { ...io, eof: true }, true, undefined],
    ['data', { ...io, data: 'a\nb' }, false, 'stdout a\nb'],
    ['data', { ...io, data: 'a\n\né' }, true, 'stdout 0-1: a\n0-1: \n0-1: é\n'],
    ['data', { ...io, stream: 'stderr', data: 'YQo=', encoding: 'base64', repeat: 2 }, true, 'stderr 0-1: a\n0-1: a\n'],
    ['log', log, true, 'stderr flux-shell[0]: m\n'],
    ['log', { ...log, level: 4, component: 'c' }, false, 'stderr flux-shell[0]:  WARN: c: m\n'],
    ['redirect', { ...io, path: '/x' }, false, 'stderr 0-1: stdout redirected to /x\n'],
  ];
  for (const [name, context, label, text] of rows) {
    const output = outputOf({ timestamp: 0, name, context }, label);
    assert.equal(output && `${output.stream} ${output.data}`, text);
  }
  assert.equal(prefixLines(Buffer.from('a\n\nb'), 'ƒ1: ').toString(), 'ƒ1: a\nƒ1: \nƒ1: b');
  const bytes = outputOf({ timestamp: 0, name: 'data', context: { ...io, data: '//4K', encoding: 'base64' } }, true);
  assert.deepEqual(bytes?.data, Buffer.from('302d313a20fffe0a', 'hex'));
});

test('a bar is as wide as the terminal', () => {
  const counts = { pending: 10, running: 0, complete: 3, failed: 1 };
  const rows = [
    [{ done: 0, elapsed: 1 }, 'PD:10  R:0   CD:3   F:1   │          │  0.0% 0:00:01'],
    [{ done: 4, elapsed: 3725 }, 'PD:10  R:0   CD:3   F:1   │██▊       │ 28.6% 1:02:05'],
    [{ done: 14, elapsed: 9e4 }, 'PD:10  R:0   CD:3   F:1   │███│100.0% 1 day, 1:00:00'],
    [{ done: 14, elapsed: 1, rate: 2.25 }, 'PD:10  R:0   CD:3   F:1   │███████│100.0%  2.2 job/s'],
  ] as const;
  for (const [state, text] of rows) assert.equal(barText({ counts, total: 14, ...state }, 52), text);
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
