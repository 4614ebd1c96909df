// flux jobs: what the fields of jobs show, which jobs are asked for, and the JSON of jobs.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { attributesOf, jobFormat, needInstances } from '../../../cli/job-fields.ts';
import { jobToJson } from '../../../cli/job-json.ts';
import { type JobQuery, listRequest, parseUser } from '../../../cli/job-list-request.ts';
import { parseStateFilter } from '../../../cli/job-naming.ts';
import { describeStats, readJobStats } from '../../../cli/job-stats.ts';
import { JobInfo } from '../../../cli/listed-job.ts';
import { readPointInTime } from '../../../cli/read-time.ts';
import { FluxError } from '../../../core/errno.ts';
import { Hostlist } from '../../../core/formats/hostlist.ts';
import { IdSet } from '../../../core/formats/idset.ts';
import { encodePythonJson } from '../../../core/formats/python-json.ts';
import { type JsonObject, parseJson, Real, stringifyJson } from '../../../core/json.ts';

const NOW = 1_700_000_000;

const pending: JsonObject = {
  id: 49727668224,
  userid: 4242424,
  urgency: 16,
  t_submit: 1664571163.5,
  state: 8,
  name: 'a',
};
const running: JsonObject = {
  ...pending,
  state: 16,
  priority: 16,
  ntasks: 4,
  nnodes: 2,
  nodelist: 'n[0-1]',
  t_run: NOW - 90,
  expiration: NOW + 3600,
  annotations: {
    sched: { resource_summary: 'rank[0-1]/core0' },
    user: { uri: 'ssh://n0/tmp/x/local-0', list: [1, 'x', true, null], deep: { a: { b: 2 } } },
  },
};
const ended: JsonObject = {
  ...running,
  state: 64,
  result: 1,
  waitstatus: 0,
  success: true,
  t_cleanup: NOW - 30,
  annotations: {},
};
const failed: JsonObject = { ...ended, result: 2, success: false };

function show(format: string, job: JsonObject): string {
  return jobFormat(format).row(new JobInfo(job, NOW));
}

test('fields of jobs', () => {
  const rows: [string, JsonObject, string][] = [
    ['{id} {id:>12} {id:>9h} {id:x}', pending, 'ƒ2JmGJH5  49727668224  ƒ2JmGJH5 b94000000'],
    ['{id.dec} {id.hex} {id.dothex}', pending, '49727668224 0xb94000000 0000.000b.9400.0000'],
    ['{id.f58} {id.f58plain} {id.kvs}', pending, 'ƒ2JmGJH5 f2JmGJH5 job.0000.000b.9400.0000'],
    ['{userid} {username}', pending, '4242424 4242424'],
    ['{state} {state_single} {state_emoji}', pending, 'SCHED S 📅'],
    ['{status} {status_abbrev} {status_emoji}', pending, 'SCHED S 📅'],
    ['{status} {status_abbrev} {status_emoji}', failed, 'FAILED F 💩'],
    ['{result}|{result_abbrev}|{result_emoji}|{result:h}', pending, '||\u3000|-'],
    ['{nnodes}|{nnodes:h}|{priority:>3h}|{ranks:h}', pending, '|-|  -|-'],
    ['{ntasks:>6} {nnodes:>6h} {nodelist}', running, '     4      2 n[0-1]'],
    ['{duration} {t_run} {t_run:h} {t_run!D:h} {t_run!d:%Y::>5h}', pending, '0.0 0.0 - -     -'],
    ['{runtime} {runtime!F} {runtime!H} {runtime:.3f}', running, '90.0 1.5m 0:01:30 90.000'],
    ['{runtime!F} {contextual_time!F:>8h}', ended, '1m       1m'],
    ['{contextual_time!F:>8h}', { ...pending, duration: new Real(7200) }, '      2h'],
    ['{t_remaining!F} {t_remaining!H}', running, '1h 1:00:00'],
    ['{t_remaining!F:h}', ended, '-'],
    ['{success} {success:>5} {success:h}', ended, 'True     1 True'],
    ['{success}|{success:h}', pending, '|-'],
    ['{returncode}|{waitstatus:h}', pending, '|-'],
    ['{returncode}', { ...failed, waitstatus: 256 }, '1'],
    ['{returncode}', { ...failed, waitstatus: 9 }, '-9'],
    ['{returncode}', { ...pending, result: 4 }, '-128'],
    ['{returncode}', { ...pending, result: 2 }, '1'],
    ['{exception.occurred}|{exception.type:h}', pending, '|-'],
    ['{dependencies}', { ...pending, dependencies: ['after:a', 'b'] }, 'after:a,b'],
    ['{name!r} {name:*^5}', pending, "'a' **a**"],
    ['{{{name}}}', pending, '{a}'],
    ['{uri.local}', running, 'local:///tmp/x/local-0'],
    ['{uri.local}|{uri}', pending, '|None'],
    ['{sched.resource_summary} {annotations.sched.resource_summary:.4+}', running, 'rank[0-1]/core0 ran+'],
    ['{user.list} {user.deep.a} {user.deep.a.b:>3}', running, '[1, \'x\', True, None] {"b": 2}   2'],
    ['{user.nothing:>3d}|{annotations.a.b.c:h}|{sched.t_estimate!D}', running, '   |-|'],
    ['{annotations}', pending, ''],
    ['{instance.stats.total:>4}|{instance.progress!P:h}', pending, '    |-'],
  ];
  for (const [format, job, expected] of rows) assert.equal(show(format, job), expected, format);
});

test('what a job waits for, and why it ended', () => {
  const estimate = (t: number): JsonObject => ({ ...pending, annotations: { sched: { t_estimate: t } } });
  const rows: [string, JsonObject, string][] = [
    ['{contextual_info}', { ...pending, priority: 16 }, ''],
    ['{contextual_info}', { ...pending, urgency: 0 }, 'held'],
    ['{contextual_info}', { ...pending, priority: 0 }, 'priority-hold'],
    ['{contextual_info}', { ...pending, state: 4 }, 'priority-wait'],
    ['{contextual_info}', { ...pending, state: 2, dependencies: ['after-finish=ƒ2'] }, 'depends:after-finish=ƒ2'],
    ['{contextual_info}', estimate(NOW + 60), 'eta:1m'],
    ['{contextual_info}', estimate(NOW - 60), 'eta:now'],
    ['{contextual_info}', running, 'n[0-1]'],
    ['{inactive_reason}', running, ''],
    ['{inactive_reason}', ended, 'Exit 0'],
    ['{inactive_reason}', { ...failed, waitstatus: 3 << 8 }, 'Exit 3'],
    ['{inactive_reason}', { ...failed, waitstatus: 126 << 8 }, 'Command invoked cannot execute'],
    ['{inactive_reason}', { ...failed, waitstatus: 127 << 8 }, 'command not found'],
    ['{inactive_reason}', { ...failed, waitstatus: 128 << 8 }, 'Invalid argument to exit'],
    ['{inactive_reason}', { ...failed, waitstatus: 137 << 8 }, 'Killed'],
    ['{inactive_reason}', { ...failed, result: 8 }, 'Timeout'],
    ['{inactive_reason}', { ...failed, result: 4 }, 'Canceled'],
    [
      '{inactive_reason}',
      { ...failed, result: 4, exception_occurred: true, exception_type: 'cancel', exception_note: 'enough' },
      'Canceled: enough',
    ],
    [
      '{inactive_reason}',
      { ...failed, exception_occurred: true, exception_severity: 0, exception_type: 'alloc', exception_note: 'no' },
      'Exception: type=alloc note=no',
    ],
  ];
  for (const [format, job, expected] of rows) assert.equal(show(format, job), expected, stringifyJson(job));
});

test('a begin time as a dependency is one of the clock, with a date when it is another day', () => {
  const at = (hours: number, minutes: number, days = 0, seconds = 0) => {
    const noon = new Date(NOW * 1000);
    noon.setHours(hours, minutes, seconds, 0);
    noon.setDate(noon.getDate() + days);
    return { ...pending, dependencies: [`begin-time=${noon.getTime() / 1000}`] };
  };
  assert.equal(show('{dependencies}', at(9, 5)), 'begin@09:05');
  assert.equal(show('{dependencies}', at(9, 5, 0, 7)), 'begin@09:05:07');
  assert.match(show('{dependencies}', at(9, 5, 2)), /^begin@Nov1\d-09:05$/);
  assert.equal(show('{dependencies}', { ...pending, dependencies: ['begin-time=x'] }), 'begin-time=x');
});

test('wrong formats, and jobs that lack what they must have', () => {
  const rows: [() => unknown, RegExp][] = [
    [() => show('{foo}', pending), /no field 'foo'/],
    [() => show('{instance}', pending), /no field/],
    [() => show('{name', pending), /single '\{'/],
    [() => show('{runtime:garbage}', pending), /garbage/],
    [() => show('{name!F}', pending), /'!F' is for numbers, not for 'a'/],
    [() => show('{name:d}', pending), /'d' is not for text/],
    [() => show('{ntasks:.2}', running), /precision is not for integers/],
    [() => show('{state}', { id: 1 }), /job ƒ2 has no state/],
    [() => show('{username}', { id: 1 }), /no userid/],
    [() => new JobInfo({ name: 'x' }), /no id/],
    [() => jobFormat('{id}').sortBy('user.foo'), /no field 'user.foo'/],
  ];
  for (const [work, sentence] of rows) assert.throws(work, sentence);
});

test('fields know the attributes that they need', () => {
  const rows: [string[], string[]][] = [
    [['id', 'id.f58'], []],
    [['username', 'userid'], ['userid']],
    [['status'], ['state', 'result']],
    [['annotations.a.b', 'user.x'], ['annotations']],
    [['instance.stats.total'], ['annotations', 'state', 'result']],
  ];
  for (const [names, attrs] of rows) assert.deepEqual(attributesOf(names), attrs);
  assert.ok(needInstances(['id', 'instance.progress']));
  assert.ok(!needInstances(['id', 'uri']));
});

test('jobs are sorted by what the format shows, too', () => {
  const list = [3, 1, 2].map((num) => new JobInfo({ ...pending, id: num, annotations: { user: { num } } }, NOW));
  const format = jobFormat('sort:-user.num {user.num}');
  const lines = (each: typeof format) => each.lines(list, { header: false });
  assert.deepEqual(lines(format), ['3', '2', '1']);
  format.sortBy('id');
  assert.deepEqual(lines(format), ['1', '2', '3']);
  assert.deepEqual(format.fieldNames, ['user.num', 'id']);
});

test('columns that were fitted to a list stay so for another one', () => {
  const [none, some] = [new JobInfo(pending, NOW), new JobInfo({ ...pending, queue: 'batch' }, NOW)];
  const format = jobFormat('?:{queue:<8}+:{name:<1}|').fitted([none]);
  assert.equal(format.header(), 'NAME|');
  assert.deepEqual(
    format.rows([some]).map(({ line }) => line),
    ['a   |'],
  );
});

test('which jobs are asked for', () => {
  const base: JobQuery = { attrs: ['name'], filter: { states: 62, results: 0 }, userid: 5 };
  const rows: [JobQuery, string][] = [
    [base, '"and":[{"userid":[5]},{"states":[62]}]'],
    [{ ...base, userid: undefined }, '"and":[{"states":[62]}]'],
    [{ ...base, filter: { states: 0, results: 3 } }, '"and":[{"userid":[5]},{"results":[3]}]'],
    [{ ...base, filter: { states: 8, results: 1 } }, '{"or":[{"states":[8]},{"results":[1]}]}'],
    [{ ...base, name: 'x', queues: ['a', 'b'] }, '{"userid":[5]},{"name":["x"]},{"queue":["a","b"]}'],
    [{ ...base, targets: IdSet.parse('0,1') }, '"and":[{"ranks":["0-1"]},'],
    [{ ...base, targets: Hostlist.parse('a0,a1') }, '"and":[{"hostlist":["a[0-1]"]},'],
    [{ ...base, since: 10, count: 3 }, '{"max_entries":3,"attrs":["name"],"since":10.0,'],
  ];
  for (const [query, part] of rows) {
    const text = stringifyJson(listRequest(query));
    assert.ok(text.includes(part), text);
  }
});

test('filters, users and points in time', () => {
  const states: [string[], number, number][] = [
    [['pending'], 14, 0],
    [['running', 'Inactive'], 112, 0],
    [['active'], 62, 0],
    [['failed', 'CANCELED', 'run'], 16, 6],
    [['completed', 'timeout'], 0, 9],
  ];
  for (const [names, bits, results] of states)
    assert.deepEqual(parseStateFilter(names), { states: bits, results }, names.join());
  for (const name of ['foo', 'new', ''])
    assert.throws(() => parseStateFilter([name]), /neither a state nor a result/, name);

  const users: [string | undefined, number | undefined][] = [
    ['all', undefined],
    ['4294967295', undefined],
    ['17', 17],
    ['+17', 17],
    ['root', 0],
    [undefined, process.getuid!()],
  ];
  for (const [text, uid] of users) assert.equal(parseUser(text), uid, text);
  assert.throws(() => parseUser('no such user'), /invalid user/);

  const times: [string, number][] = [
    ['now', NOW],
    ['-2h', NOW - 7200],
    ['+1.5m', NOW + 90],
    ['1664571163.5', 1664571163.5],
    ['2020-01-01 00:00 UTC', 1577836800],
  ];
  for (const [text, time] of times) assert.equal(readPointInTime(text, NOW), time, text);
  for (const text of ['-2x', 'neverever']) assert.throws(() => readPointInTime(text, NOW), FluxError, text);
});

test('counts of jobs', () => {
  const states = { depend: 1, priority: 2, sched: 3, run: 4, cleanup: 5, inactive: 6, total: 21 };
  const counts = { job_states: states, successful: 1, failed: 2, timeout: 3, canceled: 4, inactive_purged: 5 };
  const answer = {
    ...counts,
    queues: [
      { ...counts, name: 'a' },
      { ...counts, name: 'b' },
    ],
  };
  assert.equal(describeStats(readJobStats(answer)), '9 running, 1 completed, 9 failed, 6 pending');
  assert.equal(readJobStats(answer, ['a', 'b']).active, 30);
  assert.throws(() => readJobStats(answer, ['c']), /no stats available for queue c/);
});

test('jobs as JSON leave out what is unset', () => {
  assert.equal(
    encodePythonJson(jobToJson(new JobInfo({ ...pending, name: 'ü' }, NOW)), true),
    '{"duration": 0.0, "name": "\\u00fc", "id": 49727668224, "t_submit": 1664571163.5, "state": "SCHED", ' +
      '"username": "4242424", "userid": 4242424, "urgency": 16, "status": "SCHED", "dependencies": [], ' +
      '"jobid": "\\u01922JmGJH5", "annotations": {}, "exception": {"occurred": false}}',
  );
  const job = jobToJson(new JobInfo({ ...running, exception_occurred: true, exception_type: 'x' }, NOW));
  assert.equal(job.runtime && Number(job.runtime), 90);
  assert.equal(job.uri, 'ssh://n0/tmp/x/local-0');
  assert.ok(!encodePythonJson(job.annotations!, true).includes('uri'));
  assert.equal(encodePythonJson(job.exception!, true), '{"occurred": true, "severity": "", "type": "x", "note": ""}');
});

test('JSON as Python writes it', () => {
  const rows: [string, string][] = [
    ['{"a":[1,2.0,1e-5,true,null],"b":{}}', '{"a": [1, 2.0, 1e-05, true, null], "b": {}}'],
    ['"\\n\\"😀ƒ"', '"\\n\\"\\ud83d\\ude00\\u0192"'],
    ['18446744073709551615', '18446744073709551615'],
  ];
  for (const [json, expected] of rows) assert.equal(encodePythonJson(parseJson(json), true), expected);
});
