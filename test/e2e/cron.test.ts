// flux cron on a real instance of two ranks: entries are made, run, shown and deleted; crontabs are read at the start.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { flux, type Instance, run, startInstance } from './instance.ts';
import { checkRows } from './rows.ts';
import { temporaryFolder, until, untilLogged, withHandle } from './support.ts';

let instance: Instance;
let folder: string;
before(async () => {
  instance = await startInstance(2, ['-Slog-stderr-level=0']);
  folder = temporaryFolder();
});
after(async () => {
  await instance.stop();
  fs.rmSync(folder, { recursive: true });
});

const created = (type: string) => new RegExp(`^${type}: cron-\\d+ created\n$`);
const scheduled = (type: string, count = 1) =>
  new RegExp(
    `^(${type}: cron-\\d+ created: scheduled in \\d+\\.\\d{3}s at \\w+ \\w+ [ \\d]\\d [\\d:]{8} \\d{4}\n){${count}}$`,
  );

const get = async (id: number, key: string) => (await instance.flux(['cron', 'dump', '-k', key, String(id)])).stdout;

test('tasks run on a rank with an environment and a folder, and what they write is logged', async () => {
  await checkRows(instance, [
    { args: ['cron', 'sync'], stdout: 'sync: sync to event "heartbeat.pulse" epsilon=0.015s.\n' },
    { args: ['cron', 'sync', '-d'], stdout: 'sync: sync disabled.\n' },
    {
      args: [
        'cron',
        'interval',
        '-E',
        '-d',
        '/',
        '-o',
        'rank=1',
        '-c',
        '1',
        '.01',
        'echo $WHO $(flux getattr rank) $PWD',
      ],
      options: { env: { WHO: 'me' } },
      stdout: created('interval'),
    },
  ]);
  await withHandle(instance.uri, (handle) => untilLogged(handle, /cron-1\[echo\]: rank=1: .*: "me 1 \/"/));
  await until(async () => (await get(1, 'task.1.state')) === 'Exited\n', 'the end of the task');
  assert.equal(await get(1, 'stopped'), 'true\n');
});

test('a command reads no input, and one that runs is ended when its entry is deleted', async () => {
  await checkRows(instance, [
    { args: ['cron', 'event', '-N', 'reads', 'e2e.*', 'cat; exit 7'], stdout: created('event') },
    { args: ['cron', 'event', 'e2e.*', 'sleep', '1000'], stdout: created('event') },
    { args: ['event', 'pub', 'e2e.now'] },
  ]);
  await until(async () => (await get(2, 'task.1.code')) === '7\n', 'the end of the task');
  await until(async () => (await get(3, 'task.1.running-time')) !== '', 'a task that runs');
  await checkRows(instance, [
    {
      args: ['cron', 'list'],
      stdout: /\n {5}2 reads +Active +1 +a?\d* ?seconds? ago {2}Failed:rc=7 *\n.* Running *\n$/,
    },
    {
      args: ['cron', 'delete', '-k', '2', '3'],
      stdout: /^Removed cron-2: reads last ran .* for .*ms\nRemoved cron-3: sleep still running\. Started .*\n$/,
    },
  ]);
  const gone = async () => /no such entry/.test((await instance.flux(['cron', 'dump', '3'])).stderr);
  await until(gone, 'the end of the entry');
});

test('at a time, and at those of a crontab', async () => {
  const file = path.join(folder, 'tab');
  fs.writeFileSync(file, '# mine\n\n*/5 08 * * mon-fri echo a # b\n0 0 1 jan * true');
  const bad = path.join(folder, 'bad');
  fs.writeFileSync(bad, '0 0 * * * true\n0 0 * * 8 true\n');
  const { stdout: list } = await instance.flux(['cron', 'list']);
  const before = list.split('\n').length;
  await checkRows(instance, [
    { args: ['cron', 'at', '+5 seconds', 'true'], stdout: scheduled('at') },
    { args: ['cron', 'at', 'tomorrow 8:00', 'true', '--now'], stdout: scheduled('at') },
    { args: ['cron', 'tab', file], stdout: scheduled('tab', 2) },
    { args: ['cron', 'at', 'yesterday', 'true'], stderr: /passed, or is not within the next two years/, exit: 1 },
    { args: ['cron', 'at', '+3 years', 'true'], stderr: /passed, or is not within the next two years/, exit: 1 },
    { args: ['cron', 'at', '$(date)', 'true'], stderr: /'\$\(date\)' is not a time/, exit: 1 },
    { args: ['cron', 'at', 'tomorrow'], stderr: /missing required argument 'command'/, exit: 1 },
    {
      args: ['cron', 'at', 'tomorrow 8:00', 'true'],
      options: { env: { TZ: 'Asia/Kathmandu' } },
      stderr: /to the broker that time is /,
      exit: 1,
    },
    { args: ['cron', 'tab', bad], stderr: /line 2: 8 is no weekday: 0 to 6 are/, exit: 1 },
    { args: ['cron', 'tab', path.join(folder, 'none')], stderr: /No such file/, exit: 1 },
  ]);
  const { stdout } = await instance.flux(['cron', 'list']);
  assert.equal(stdout.split('\n').length, before + 4);
  const id = Number(/^ +(\d+) true +\w+ +[01]\/1 /m.exec(stdout)![1]);
  await until(async () => (await get(id, 'task.1.state')) === 'Exited\n', 'the end of the task');
});

test('wrong command lines', () =>
  checkRows(instance, [
    { args: ['cron', 'interval', 'often', 'true'], stderr: /'often' is not a time/, exit: 1 },
    { args: ['cron', 'interval', 'inf', 'true'], stderr: /'inf' is not a time/, exit: 1 },
    { args: ['cron', 'interval', '1s'], stderr: /missing required argument/, exit: 1 },
    { args: ['cron', 'event', '-o', 'foo=1', 't', 'true'], stderr: /'foo' is none of timeout, rank/, exit: 1 },
    { args: ['cron', 'event', '-o', 'rank=x', 't', 'true'], stderr: /rank needs a number/, exit: 1 },
    { args: ['cron', 'event', '-n', 'x', 't', 'true'], stderr: /'x' is not an integer/, exit: 1 },
    { args: ['cron', 'stop', 'x'], stderr: /'x' is not an integer/, exit: 1 },
    { args: ['cron', 'start', '999'], stderr: /there is no cron-999/, exit: 1 },
    { args: ['cron', 'dump', '999'], stderr: /cron-999: there is no such entry/, exit: 1 },
  ]));

test('crontabs of a folder are taken in at the start', async () => {
  const tabs = path.join(folder, "it's");
  const list = (folder: string) => run(flux, ['start', `-Scron.directory=${folder}`, flux, 'cron', 'list']);
  fs.mkdirSync(path.join(tabs, 'sub'), { recursive: true });
  assert.equal((await list(path.join(folder, 'none'))).exit, 0);
  fs.writeFileSync(path.join(tabs, 'a'), '10 * * * * one\n');
  fs.writeFileSync(path.join(tabs, 'b'), '20 * * * * two\n');
  const { stdout } = await list(tabs);
  assert.match(stdout, /\n {5}1 one .*\n {5}2 two .*\n$/);
  fs.writeFileSync(path.join(tabs, 'c'), 'zzz\n');
  const { stderr, exit } = await list(tabs);
  assert.match(stderr, /could not load crontab: .*c\n/);
  assert.equal(exit, 1);
});
