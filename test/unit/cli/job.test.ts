// What flux job makes of what it is told: output, exit codes, ids, events, memos, process tables.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readEvents } from '../../../cli/eventlog.ts';
import { parseTail } from '../../../cli/job-attach.ts';
import { parseUrgency, readMemo } from '../../../cli/job-change.ts';
import { findLog, parseContextText } from '../../../cli/job-eventlog.ts';
import { readProctable, shellServiceOf } from '../../../cli/job-hostpids.ts';
import { convertId, parseSlice, splitIds } from '../../../cli/job-id.ts';
import { readyBytes } from '../../../cli/job-input.ts';
import { execLogText, logLine, OutputPrinter, outputOf, redirectLine } from '../../../cli/job-output.ts';
import { JobResult } from '../../../cli/job-result.ts';
import { parseStates } from '../../../cli/job-states.ts';
import { JobPhase, statusLine } from '../../../cli/job-status-line.ts';
import { formatSeconds, timeLeft } from '../../../cli/job-timeleft.ts';
import { unwrapJobspec, wrapUnsigned } from '../../../core/formats/job-envelope.ts';
import { JobState } from '../../../core/formats/job-state.ts';
import { isUtf8Locale } from '../../../core/formats/locale.ts';
import { decodePtyData, encodePtyData } from '../../../core/formats/pty-data.ts';
import { jobExit } from '../../../core/formats/wait-status.ts';
import { type JsonObject, stringifyJson } from '../../../core/json.ts';

test('output of tasks', () => {
  const rows: [context: JsonObject, labelIo: boolean, stream: string, data: string | Buffer][] = [
    [{ stream: 'stdout', rank: '0', data: 'a\n' }, false, 'stdout', 'a\n'],
    [{ stream: 'stderr', rank: '0-3', data: 'a\n' }, true, 'stderr', '0-3: a\n'],
    [{ stream: 'stdout', rank: '0', data: '//4=', encoding: 'base64' }, false, 'stdout', Buffer.of(255, 254)],
    [{ stream: 'stdout', rank: '1', data: 'x\n', repeat: 3 }, false, 'stdout', 'x\nx\nx\n'],
    [{ stream: 'stdout', rank: '1', data: 'x\n', repeat: 2 }, true, 'stdout', '1: x\n1: x\n'],
    [{ stream: 'stdout', rank: '1', data: 'x', repeat: 0 }, false, 'stdout', ''],
    [{ stream: 'stdout', rank: '1', eof: true }, true, 'stdout', ''],
    [{ stream: 'stdout', rank: '1', data: 'end', eof: true }, false, 'stdout', 'end'],
  ];
  for (const [context, labelIo, stream, data] of rows) {
    const output = outputOf(context, labelIo);
    assert.equal(output.stream, stream);
    assert.deepEqual(output.data, Buffer.from(data), stringifyJson(context));
  }
  const bad: JsonObject[] = [
    {},
    { stream: 'stdout', rank: '0' },
    { stream: 'stdout', rank: 0, data: '' },
    { stream: 'stdout', rank: '0', data: 1 },
    { stream: 'stdout', rank: '0', data: '', encoding: 'rot13' },
    { stream: 'stdout', rank: '0', data: 'a', repeat: -1 },
    { stream: 'stdout', rank: '0', data: 'a', repeat: 'often' },
  ];
  for (const context of bad) assert.throws(() => outputOf(context), { code: 'EPROTO' }, stringifyJson(context));
});

test('messages of shells, and of the executor', () => {
  const event = (context: JsonObject) => ({ name: 'log', timestamp: 11.25, context });
  const rows: [context: JsonObject, verbose: boolean, line: string][] = [
    [{ level: 3, message: 'no', rank: 1 }, false, '1.250s: flux-shell[1]: ERROR: no\n'],
    [{ level: 4, message: 'hm' }, false, '1.250s: flux-shell:  WARN: hm\n'],
    [{ level: 5, message: 'so' }, false, '1.250s: flux-shell: so\n'],
    [{ level: 0, message: 'end', component: 'pmi', rank: 0 }, false, '1.250s: flux-shell[0]: FATAL: pmi: end\n'],
    [{ level: 6, message: 'x', file: 'a.c', line: 7 }, true, '1.250s: flux-shell: DEBUG: a.c:7: x\n'],
    [{ level: 7, message: 'x', file: 'a.c' }, true, '1.250s: flux-shell: TRACE: a.c: x\n'],
    [{ level: 7, message: 'x', file: 'a.c', line: 7 }, false, '1.250s: flux-shell: TRACE: x\n'],
  ];
  for (const [context, verbose, line] of rows) assert.equal(logLine(event(context), 10, verbose), line);
  for (const context of [{}, { level: 3 }, { message: 'x' }, { level: '3', message: 'x' }] as JsonObject[])
    assert.throws(() => logLine(event(context), 10), { code: 'EPROTO' });
  const log = { rank: '0', component: 'imp', stream: 'stderr', data: 'no\n' };
  assert.equal(execLogText(event(log), 10), '1.250s: imp[0]: stderr: no\n');
  assert.equal(execLogText(event(log), 10, true), 'no\n');
  assert.throws(() => execLogText(event({ rank: '0' }), 10), { code: 'EPROTO' });
  assert.equal(redirectLine({ stream: 'stdout', rank: '0-1', path: 'out' }), '0-1: stdout redirected to out\n');
  assert.equal(redirectLine({ stream: 'stdout', rank: '0' }), '0: stdout redirected\n');
  assert.throws(() => redirectLine({ stream: 'stdout' }), { code: 'EPROTO' });
});

test('the end of what output there is', () => {
  const show = (tail: number | undefined, hidden?: string) => {
    let text = '';
    const write = (_: string, data: Uint8Array | string) => {
      text += Buffer.from(data as Uint8Array).toString();
    };
    const printer = new OutputPrinter(write, () => 0, {}, tail);
    printer.hiddenRank = hidden;
    const data = (rank: string, more: JsonObject) =>
      printer.take({ name: 'data', timestamp: 1, context: { stream: 'stdout', rank, ...more } });
    printer.take({ name: 'header', timestamp: 1, context: {} });
    for (const word of ['a', 'b', 'c']) data('0', { data: word });
    data('1', { data: 'd' });
    data('0', { eof: true });
    printer.endTail();
    data('0', { data: 'e' });
    return text;
  };
  assert.equal(show(undefined), 'abcde');
  assert.equal(show(2), 'cde');
  assert.equal(show(0), 'e');
  assert.equal(show(undefined, '0'), 'd');
  const printer = new OutputPrinter(
    () => {},
    () => 0,
    {},
  );
  const context = { stream: 'stdout', rank: '0', data: 'x' };
  assert.throws(() => printer.take({ name: 'data', timestamp: 1, context }), /before its header/);
  assert.deepEqual([undefined, '', '0', '7'].map(parseTail), [undefined, 10, 0, 7]);
  for (const text of ['x', '-1', '1.5']) assert.throws(() => parseTail(text), /not a count/);
});

test('input is sent in time', () => {
  const rows: [text: string, buffering: 'none' | 'line' | 'full', length: number][] = [
    ['', 'none', 0],
    ['abc', 'none', 3],
    ['abc', 'line', 0],
    ['a\nb\nc', 'line', 4],
    ['a\nb\n', 'full', 0],
    ['x'.repeat(200_000), 'full', 131_072],
    ['x'.repeat(200_000), 'line', 131_072],
  ];
  for (const [text, buffering, length] of rows) assert.equal(readyBytes(Buffer.from(text), buffering), length);
});

test('terminal data', () => {
  assert.deepEqual(encodePtyData(Buffer.from('ü')), { type: 'data', data: 'ü' });
  for (const bytes of [[], [0], [255, 13], [27, 91]]) {
    const data = Buffer.from(bytes);
    assert.deepEqual(decodePtyData(encodePtyData(data)), data);
  }
});

test('exit codes', () => {
  const rows: [status: number, code: number, message: string][] = [
    [0, 0, ''],
    [256, 1, 'task(s) exited with exit code 1'],
    [127 << 8, 127, 'task(s) exited with exit code 127'],
    [143 << 8, 143, 'task(s) Terminated'],
    [9, 137, 'job shell Killed'],
    [139, 139, 'job shell Segmentation fault'],
  ];
  for (const [status, code, message] of rows) assert.deepEqual(jobExit(status), { code, message });
});

test('results', () => {
  const exception = (severity: number, type = 'cancel') => ['exception', { type, severity, note: '' }] as const;
  type Row = readonly [name: string, context?: JsonObject];
  const rows: [events: Row[], result: number, exitCode: number, fatal: string | undefined][] = [
    [[['alloc'], ['finish', { status: 0 }]], 1, 0, undefined],
    [[['alloc'], ['finish', { status: 256 }]], 2, 1, undefined],
    [[['submit'], exception(0)], 4, 0, 'cancel'],
    [[['alloc'], exception(0, 'timeout'), ['finish', { status: 15 }]], 8, 143, 'timeout'],
    [[exception(0, 'exec')], 2, 0, 'exec'],
    [[exception(3, 'a'), exception(5, 'b')], 2, 0, undefined],
    [[exception(3, 'a'), exception(0, 'b')], 2, 0, 'b'],
    [[], 2, 0, undefined],
  ];
  for (const [events, expected, exitCode, fatal] of rows) {
    const result = new JobResult(7n);
    for (const [name, context = {}] of events) result.add({ name, timestamp: 1.5, context });
    const what = JSON.stringify(events);
    assert.equal(result.toJson().result, expected, what);
    assert.equal(result.exitCode, exitCode, what);
    assert.equal(result.fatalException, fatal, what);
  }
});

test('job ids, slices and states', () => {
  for (const [to, expected] of [
    ['dec', '1234'],
    ['hex', '0x4d2'],
    ['kvs', 'job.0000.0000.0000.04d2'],
    ['f58plain', 'fNH'],
  ] as const)
    assert.equal(convertId('1234', to), expected);
  assert.throws(() => convertId('1234', 'roman'), /no notation 'roman'/);
  assert.throws(() => convertId('x!', 'dec'), /'x!'/);
  const locales: [Record<string, string>, boolean][] = [
    [{}, false],
    [{ LANG: 'C.UTF-8' }, true],
    [{ LANG: 'de_DE.utf8' }, true],
    [{ LANG: 'C.UTF-8', LC_ALL: 'C' }, false],
    [{ LC_CTYPE: 'en_US.UTF-8', LANG: 'C' }, true],
    [{ LANG: 'C.UTF-8', FLUX_F58_FORCE_ASCII: '1' }, false],
  ];
  for (const [env, expected] of locales) assert.equal(isUtf8Locale({ env }), expected, JSON.stringify(env));
  assert.deepEqual(splitIds(['1', 'f2', 'why', '3']), {
    ids: [
      ['1', 1n],
      ['f2', 1n],
    ],
    rest: ['why', '3'],
  });
  assert.deepEqual(['3', '-1', '[1:]'].map(parseSlice), ['[:3]', '[:-1]', '[1:]']);
  for (const text of ['', 'x', '1:2']) assert.throws(() => parseSlice(text), /neither a number nor a slice/);
  assert.equal(parseStates('sched,R,Inactive'), JobState.sched | JobState.run | JobState.inactive);
  assert.equal(parseStates('active'), 62);
  for (const text of ['', 'nosuch', 'run,', 'constructor', '__proto__'])
    assert.throws(() => parseStates(text), /not a state/);
});

test('events', () => {
  const context: JsonObject = { type: 'cancel', severity: 0, load: 1.5, list: [1, 2] };
  for (const [text, expected] of [
    ['type=cancel', true],
    ['type="cancel"', true],
    ['severity=0', true],
    ['severity=0.0', false],
    ['load=1.5', true],
    ['list=[1,2]', true],
    ['list=[1, 2]', false],
    ['type=', false],
    ['toString=x', false],
  ] as const)
    assert.equal(parseContextText(text)(context), expected, text);
  assert.throws(() => parseContextText('type'), /KEY=VAL/);
  assert.deepEqual(findLog('exec'), findLog('guest.exec.eventlog'));
  assert.deepEqual(findLog('guest.other'), { path: 'guest.other' });
  const line = '{"timestamp":1.0,"name":"a"}';
  assert.deepEqual(readEvents(`${line}\n`), [{ timestamp: 1, name: 'a', context: {}, text: line }]);
  assert.throws(() => readEvents('{}\n'), { code: 'EINVAL' });
});

test('urgencies and memos', async () => {
  assert.deepEqual(['hold', 'EXPEDITE', 'default', '7'].map(parseUrgency), [0, 31, 16, 7]);
  for (const text of ['', '-1', '1.5', 'soon']) assert.throws(() => parseUrgency(text), /neither an urgency/);
  const input = () => Promise.resolve('[1]');
  const memo = await readMemo(['a=1', 'b.c=x y', 'b.d="1"', 'e=-', 'f=a=b', 'g='], input);
  assert.deepEqual(memo, { a: 1, b: { c: 'x y', d: '1' }, e: [1], f: 'a=b', g: '' });
  for (const setting of ['a', '=1', '.a=1', 'a.=1', 'a..b=1']) await assert.rejects(readMemo([setting], input));
  await assert.rejects(readMemo(['a=1', 'a.b=2'], input), /a is no object/);
});

test('signed jobspecs', () => {
  const signed = wrapUnsigned('{"a":"ü"}', 5588);
  assert.equal(
    Buffer.from(signed.split('.')[0]!, 'base64').toString(),
    'version\0i1\0userid\0i5588\0mechanism\0snone\0',
  );
  assert.equal(unwrapJobspec(signed), '{"a":"ü"}');
  for (const text of ['', 'a.b', 'a.b.', '?.b.none']) assert.throws(() => unwrapJobspec(text), /not a signed jobspec/);
});

test('process tables', () => {
  const table = {
    hosts: [
      [
        'n',
        [
          [1, -1],
          [1, 1],
        ],
      ],
      'login',
    ],
    ids: [[0, 4]],
    pids: [[74, 1], -2, [3, -1]],
  };
  assert.deepEqual(
    readProctable(table).map(({ host, pid }) => `${host}:${pid}`),
    ['n1:74', 'n1:75', 'n2:73', 'n3:76', 'login:76'],
  );
  const repeated = { hosts: [['h', [[-1, -5]]]], ids: [[0, 5]], pids: [[10, -1, 2]] };
  assert.deepEqual(
    readProctable(repeated).map(({ pid }) => pid),
    [10, 10, 20, 20, 30, 30],
  );
  const bad: JsonObject[] = [{}, { hosts: [], ids: [0], pids: [1] }, { hosts: ['a'], ids: ['x'], pids: [1] }];
  for (const each of bad) assert.throws(() => readProctable(each), { code: 'EPROTO' });
  assert.deepEqual(shellServiceOf({ service: 's', 'leader-rank': 3 }), { service: 's', rank: 3 });
  for (const context of [{}, { service: 's' }, { 'leader-rank': 1 }] as JsonObject[])
    assert.throws(() => shellServiceOf(context), { code: 'EPROTO' });
});

test('times that are left, and what a job waits for', () => {
  assert.deepEqual(
    [0, 90, 110, 100.5].map((end) => formatSeconds(timeLeft(end, 100))),
    ['4294967295', '0', '10', '1'],
  );
  const phase = new JobPhase();
  const texts = [
    'submit',
    'memo',
    'priority',
    'alloc',
    'prolog-start',
    'prolog-start',
    'prolog-finish',
    'prolog-finish',
  ];
  const seen = texts.map((name) => {
    phase.add(name);
    return phase.text;
  });
  const prolog = 'waiting for prolog';
  assert.deepEqual(seen, [
    'submitted',
    'submitted',
    'waiting for resources',
    'starting',
    prolog,
    prolog,
    prolog,
    'starting',
  ]);
  assert.equal(statusLine('fab', 'starting', 3661.9, 40), `flux-job: fab ${'starting'.padEnd(17)} 01:01:01`);
});
