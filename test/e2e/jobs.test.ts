// flux jobs, flux pgrep and flux pstree as programs: jobs of standard input, named formats, wrong command lines. The lines are
// those of flux-core 0.88.

import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { type Instance, startInstance } from './instance.ts';
import { checkRows, type Row } from './rows.ts';

let instance: Instance;
let folder: string;
before(async () => {
  instance = await startInstance(1);
  folder = fs.mkdtempSync(path.join(os.tmpdir(), 'flux-jobs-test-'));
  fs.mkdirSync(path.join(folder, 'flux'));
  fs.writeFileSync(path.join(folder, 'flux/flux-jobs.toml'), '[formats.mine]\nformat = "{id.f58plain}|{name}"\n');
});
after(async () => {
  fs.rmSync(folder, { recursive: true });
  await instance.stop();
});

const common = { userid: 4242424, urgency: 16, t_submit: 1664571163.5, ntasks: 2, duration: 60 };
const list = [
  { ...common, id: 49727668224, state: 8, priority: 0, name: 'waiting', queue: 'batch' },
  { ...common, id: 54391734272, state: 2, name: 'dépend', dependencies: ['after-finish=ƒ2ARxLQf'] },
  {
    ...{ ...common, id: 59122909184, state: 64, result: 2, waitstatus: 256, name: 'a-very-long-name', nnodes: 1 },
    ...{ t_run: 1664571164.5, t_cleanup: 1664571254.5, t_inactive: 1664571255, nodelist: 'n7' },
  },
];
const stdin = list.map((job) => `${JSON.stringify(job)}\n`).join('');

const shows = (args: string[], stdout: string, input = stdin): Row => ({
  args: ['jobs', '--from-stdin', ...args],
  stdout,
  options: { stdin: input },
});

test('jobs of standard input', () =>
  checkRows(instance, [
    shows(
      [],
      '       JOBID QUEUE    USER     NAME       ST NTASKS NNODES     TIME INFO\n' +
        '    ƒ2JmGJH5 batch    4242424  waiting     S      2      -       1m priority-hold\n' +
        '    ƒ2RsQrcw          4242424  dépend      D      2      -       1m depends:after-finish=ƒ2ARxLQf\n' +
        '    ƒ2Z5VN6B          4242424  a-very-lo+  F      2      1     1.5m n7\n',
    ),
    shows(['-n', '-o', '?:{bank}{name:>9.9+}|{result:h}'], '  waiting|-\n   dépend|-\na-very-l+|FAILED\n'),
    shows(['-n', '-o', '{name}', '--sort=-name'], 'waiting\ndépend\na-very-long-name\n'),
    shows(['-w', '8', '-o', '{id.dec} {name}'], 'JOBID N+\n4972766+\n5439173+\n5912290+\n'),
    shows(['-n', '--color=always', '-o', '{name}'], 'waiting\ndépend\n\x1b[01;31ma-very-long-name\n\x1b[0;0m'),
    shows(['-n', '-o', '{returncode:h} {inactive_reason}'], '- \n- \n1 Exit 1\n'),
    shows(['--json'], '{"jobs": []}\n', ''),
    shows(['-o', '{id}'], 'JOBID\n', ''),
  ]));

test('named formats', () => {
  const env = { XDG_CONFIG_HOME: folder };
  return checkRows(instance, [
    {
      args: ['jobs', '-o', 'help'],
      stdout: /^\nConfigured flux-jobs output formats:\n\n {2}default {6}Default/,
      options: { env },
    },
    {
      args: ['jobs', '-o', 'get-config=mine'],
      stdout: '[formats.mine]\nformat = "{id.f58plain}|{name}"\n',
      options: { env },
    },
    { args: ['jobs', '--from-stdin', '-no', 'mine'], stdout: /^f2JmGJH5\|waiting\n/, options: { env, stdin } },
    {
      args: ['pgrep', '-o', 'get-config=default', 'x'],
      stdout: '[formats.default]\ndescription = "Default flux-pgrep format string"\nformat = "{id.f58}"\n',
    },
    { args: ['pgrep', '-o', 'help', 'x'], stdout: /mine/, options: { env } },
    {
      args: ['jobs', '--from-stdin', '-n'],
      stdout: 'waiting\ndépend\na-very-long-name\n',
      options: { env: { FLUX_JOBS_FORMAT_DEFAULT: '{name}' }, stdin },
    },
  ]);
});

test('wrong command lines', () => {
  const refuses = (line: string, exit: number, stderr: RegExp): Row => ({ args: line.split(' '), exit, stderr });
  return checkRows(instance, [
    refuses('jobs -o nope', 1, /there is no format 'nope' \(did you mean '\{nope\}'\?\)/),
    refuses('jobs -o {nope}', 1, /no field 'nope'/),
    refuses('jobs --sort=nope', 1, /no field 'nope' to sort by/),
    refuses('jobs --json --stats', 1, /--json does not go with --stats/),
    refuses('jobs -f nope', 1, /'nope' is neither a state nor a result/),
    refuses('jobs -u nobody-of-that-name', 1, /invalid user/),
    refuses('jobs --since=+1h', 1, /is in the future/),
    refuses('jobs -i a[', 1, /--include: 'a\[' is neither/),
    refuses('jobs not-an-id', 2, /is not a job id/),
    refuses('jobs --count=x', 2, /not an integer/),
    refuses('jobs --color=x', 2, /Allowed choices/),
    { args: ['jobs', '--from-stdin'], exit: 1, stderr: /standard input, line 1: /, options: { stdin: 'foo\n' } },
    refuses('pgrep', 2, /missing required argument/),
    refuses('pgrep (', 2, /wrong expression/),
    refuses('pkill a b', 2, /only one pattern/),
    refuses('pstree --details=nope', 1, /--details: there is no format 'nope'/),
    refuses('pstree --filter=nope', 1, /neither a state nor a result/),
    refuses('pstree not-an-id', 2, /is not a job id/),
  ]);
});

test('the refusal of a job is told by number and sentence', () =>
  checkRows(instance, [
    { args: ['submit', '--urgency=99', 'true'], stderr: /^\[Errno 22\] urgency range is \[0:31\]\n$/, exit: 1 },
    {
      args: ['bulksubmit', '--urgency={}', 'true', ':::', '16', '99'],
      stdout: /^ƒ\S+\n$/,
      stderr: /^\[Errno 22\] urgency range is \[0:31\]\n$/,
      exit: 1,
    },
    { args: ['submit', '--cc=1', '--urgency=99', 'true'], stderr: /^cc=1: \[Errno 22\] urgency/, exit: 1 },
  ]));
