/** Plugins that look at control groups, of a machine made up of files. */

import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { type ShellFiles, systemFiles } from '../../../workers/shell/files.ts';
import { Cgroup } from '../../../workers/shell/plugins/cgroup.ts';
import { oomPlugin } from '../../../workers/shell/plugins/oom.ts';
import { sysmonPlugin } from '../../../workers/shell/plugins/sysmon.ts';
import { temporaryFolder, until } from '../native/support.ts';
import { FakeProcess, FakeShell, type ShellSetup } from './shell.ts';

const folder = temporaryFolder();
const SIGKILL = 9;

/** Files of a machine by their paths; what is written is kept there, too. */
class Machine {
  readonly root = fs.mkdtempSync(path.join(folder, 'machine-'));

  constructor(texts: Readonly<Record<string, string>>) {
    for (const [name, text] of Object.entries(texts)) this.put(name, text);
  }

  put(name: string, text: string): void {
    fs.mkdirSync(path.dirname(path.join(this.root, name)), { recursive: true });
    fs.writeFileSync(path.join(this.root, name), text);
  }

  text(name: string): string {
    return fs.readFileSync(path.join(this.root, name), 'utf8');
  }

  get files(): ShellFiles {
    const readFile = ((name: string, encoding: 'utf8') =>
      systemFiles.readFile(path.join(this.root, name), encoding)) as ShellFiles['readFile'];
    const writeFile = ((name: string, text: string) =>
      systemFiles.writeFile(path.join(this.root, name), text, { flag: 'r+' })) as ShellFiles['writeFile'];
    return { ...systemFiles, readFile, writeFile };
  }
}

const group = '/sys/fs/cgroup/user/job';
const base = {
  '/proc/self/cgroup': '1:name=x:/other\n0::/user/job\n',
  '/sys/fs/cgroup/cgroup.controllers': 'cpu memory\n',
};
const events = (kills: number) => `low 0\noom 0\noom_kill ${kills}\noom_group_kill 0\n`;

const groups: [name: string, texts: Record<string, string>, path: string | undefined][] = [
  ['version 2', base, `${group}/x`],
  [
    'beside version 1',
    { '/proc/self/cgroup': '0::/\n', '/sys/fs/cgroup/unified/cgroup.controllers': '' },
    '/sys/fs/cgroup/unified/x',
  ],
  ['version 1', { '/proc/self/cgroup': '1:name=x:/other\n' }, undefined],
  ['nothing mounted', { '/proc/self/cgroup': '0::/\n' }, undefined],
  ['no groups', {}, undefined],
];

for (const [name, texts, expected] of groups) {
  test(`control groups: ${name}`, async () => {
    assert.equal((await Cgroup.find(new Machine(texts).files))?.path('x'), expected);
  });
}

test('numbers of a control group', async () => {
  const machine = new Machine({ ...base, [`${group}/a`]: '12\n', [`${group}/b`]: events(3), [`${group}/c`]: 'max\n' });
  const cgroup = (await Cgroup.find(machine.files))!;
  assert.deepEqual(
    [await cgroup.number('a'), await cgroup.number('b', 'oom_kill'), await cgroup.has('d')],
    [12, 3, false],
  );
  await assert.rejects(() => cgroup.number('b', 'oom_'), { code: 'ENOENT' });
  await assert.rejects(() => cgroup.number('c'), { code: 'ENOENT' });
  await assert.rejects(() => cgroup.number('d'), { code: 'ENOENT' });
});

function end(shell: FakeShell, status: number): void {
  const [task] = shell.tasks;
  task!.status = status;
  shell.hooks['task.exit']?.(task!);
}

test('memory that ran out is told of tasks that were killed, and of no others', async () => {
  const machine = new Machine({
    ...base,
    [`${group}/memory.events`]: events(1),
    [`${group}/memory.peak`]: '3145728\n',
  });
  const plugin = oomPlugin();
  const load = () => new FakeShell({ files: machine.files }).load(plugin);
  const [first, second, third] = [await load(), await load(), await load()];
  assert.deepEqual(first.logged, [`6 oom: monitoring ${group}/memory.events`]);
  machine.put(`${group}/memory.events`, events(3));
  end(first, 1 << 8);
  assert.equal(first.holds, 0);
  end(second, SIGKILL);
  await until(() => second.holds === 0, 'it has looked');
  assert.deepEqual(second.logged.slice(1), [
    '3 oom: Memory cgroup out of memory: killed 2 tasks on node0.',
    '3 oom: memory.peak = 3M',
  ]);
  end(third, SIGKILL);
  await until(() => third.holds === 0, 'it has looked');
  assert.equal(third.logged.length, 1, 'it was killed by somebody else');
});

test('without control groups memory is not looked at', async () => {
  for (const [texts, why] of [
    [{}, 'incompatible cgroup configuration'],
    [base, 'no memory.events'],
  ] as const) {
    const shell = await new FakeShell({ files: new Machine(texts).files }).load(oomPlugin());
    assert.deepEqual(shell.logged, [`6 oom: disabling oom detection: ${why}`]);
    end(shell, SIGKILL);
    await until(() => shell.holds === 0, 'it does not wait');
  }
});

test('oom.adjust is written for each task; that it may not be is no failure', async () => {
  const file = '/proc/4242/oom_score_adj';
  for (const texts of [{ [file]: '0' }, {}] as Record<string, string>[]) {
    const machine = new Machine(texts);
    const shell = await new FakeShell({ files: machine.files, options: { oom: { adjust: 9 } } }).load(oomPlugin());
    const task = shell.tasks[0]!;
    task.process = new FakeProcess();
    shell.hooks['task.fork']?.(task);
    const told = () => shell.logged.find((line) => line.includes('score_adj'));
    await until(() => told() !== undefined, 'it is told');
    const failure = texts[file] === undefined ? ': No such file or directory' : '';
    assert.equal(told(), `6 oom: pid 4242 score_adj 9${failure}`);
    if (!failure) assert.equal(machine.text(file), '9');
  }
});

function monitored(machine: Machine, setup: ShellSetup = {}): Promise<FakeShell> {
  return new FakeShell({ files: machine.files, options: { sysmon: 1 }, ...setup }).load(sysmonPlugin);
}

const usage = (microseconds: number) => `usage_usec ${microseconds}\nuser_usec 1\n`;
const used = {
  ...base,
  [`${group}/cpu.stat`]: usage(1e6),
  [`${group}/memory.peak`]: '1536',
  [`${group}/memory.current`]: '1024',
};

test('what a job used is told at its end', async () => {
  const machine = new Machine(used);
  const shell = await monitored(machine, { verbosity: 0 });
  await shell.hooks['shell.start']?.();
  shell.agenda.at(4, () => {});
  shell.agenda.step();
  machine.put(`${group}/cpu.stat`, usage(7e6));
  await shell.hooks['shell.exit']?.();
  assert.deepEqual(shell.logged, [
    '6 sysmon: sysmon is enabled',
    '5 sysmon: memory.peak=1.5K',
    '5 sysmon: loadavg-overall=1.50',
  ]);
  assert.equal(shell.agenda.nextTime, Infinity);
});

test('… and meanwhile, each period or heartbeat, to whom is talkative', async () => {
  const expected = ['7 sysmon: memory.current=1K', '7 sysmon: loadavg=0.50'];
  const timed = await monitored(new Machine(used), { options: { sysmon: { period: 2 } } });
  await timed.hooks['shell.start']?.();
  (timed.files as { readFile: unknown }).readFile = new Machine({
    ...used,
    [`${group}/cpu.stat`]: usage(2e6),
  }).files.readFile;
  timed.agenda.step();
  await until(() => timed.logged.length === 3, 'it has told');
  assert.deepEqual(timed.logged.slice(1), expected);
  timed.hooks.destroy?.();
  assert.equal(timed.agenda.nextTime, Infinity);
  const beating = await monitored(new Machine(used));
  await beating.hooks['shell.start']?.();
  beating.subscribed.get('heartbeat.pulse')!();
  await until(() => beating.logged.length === 3, 'it has told');
  assert.match(beating.logged[2]!, /^7 sysmon: loadavg=\d\.\d\d$/);
  await beating.hooks['shell.exit']?.();
  assert.equal(beating.subscribed.size, 0);
});

test('what is not to be had is told and left out; without the option there is nothing', async () => {
  const shell = await monitored(new Machine(base));
  await shell.hooks['shell.start']?.();
  await shell.hooks['shell.exit']?.();
  assert.deepEqual(shell.logged, [
    '4 sysmon: no cpu.stat (disabled)',
    '4 sysmon: no memory.peak/memory.current (disabled)',
  ]);
  assert.deepEqual((await monitored(new Machine({}))).logged, [
    '4 sysmon: incompatible cgroup configuration (disabled)',
  ]);
  assert.deepEqual((await monitored(new Machine(used), { options: {} })).logged, []);
});
