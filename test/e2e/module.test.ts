// flux module and flux modprobe on a real instance: modules come and go, alone and with what they require, and say what
// they count.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { flux, type Instance, run, startInstance } from './instance.ts';
import { checkRows } from './rows.ts';

const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'flux-module-test-'));
const echo = path.join(folder, 'echo.mjs');
let instance: Instance;

before(async () => {
  fs.writeFileSync(
    echo,
    `export default {
       start: (context, args) => {
         if (args[0] === 'fail') throw new Error('told to fail');
         return { methods: { args: { handler: () => ({ args }) } } };
       },
     };`,
  );
  instance = await startInstance(2);
});
after(async () => {
  await instance.stop();
  fs.rmSync(folder, { recursive: true });
});

const line = (name: string, services = '') => `${name.padEnd(25)} +\\d+  R +\\d+ +\\d+ ${services}`;
const builtins = ['config', 'connector-local', 'groups', 'rexec', 'overlay'];
const loaded: [string, string?][] = [
  ['content'],
  ['heartbeat'],
  ['content-sqlite', 'content-backing'],
  ['kvs'],
  ['kvs-watch'],
  ['resource'],
  ['cron'],
  ['job-manager'],
  ['job-list'],
  ['job-info'],
  ['job-ingest'],
  ['job-exec'],
  ['sched-simple', 'feasibility,sched'],
];

test('modules are loaded, listed, reloaded and removed', () =>
  checkRows(instance, [
    {
      args: ['module', 'list'],
      stdout: new RegExp(
        `^Module {20}Idle  S Sendq Recvq Service\n${[...builtins.map((name) => line(name)), ...loaded.map((each) => line(...each))].join('\n')}\n$`,
      ),
    },
    {
      args: ['module', 'list', '-l'],
      stdout: new RegExp(`^Module.*Service  Path\n(.*\n)*${line('sched-simple', 'feasibi\\+')} sched-simple\n$`),
    },
    { args: ['module', 'list', '--json'], stdout: /^\[\{"name":"config",.*\}\]\n$/ },
    { args: ['module', 'load', 'heartbeat'], stderr: /heartbeat: .*loaded already/, exit: 1 },
    { args: ['module', 'reload', 'heartbeat', 'period=3s'] },
    { args: ['module', 'stats', '--parse=period', 'heartbeat'], stdout: '3.000000\n' },
    { args: ['module', 'stats', '-p', 'period', '-t', 'int', '-s', '10', 'heartbeat'], stdout: '30\n' },
    { args: ['module', 'stats', '-p', 'count', '-t', 'double', 'config'], stderr: /no 'count'/, exit: 1 },
    { args: ['module', 'remove', 'heartbeat'] },
    { args: ['module', 'remove', 'heartbeat'], stderr: /heartbeat: .*not loaded/, exit: 1 },
    { args: ['module', 'remove', '--force', 'heartbeat'] },
    { args: ['module', 'load', 'heartbeat', 'period=foo'], stderr: /heartbeat: /, exit: 1 },
    { args: ['module', 'load', '--name=pulse', 'heartbeat'] },
    { args: ['module', 'reload', '--force', '--name=pulse', 'heartbeat', 'period=5s'] },
    { args: ['module', 'remove', 'pulse'] },
    { args: ['module', 'load', '--exec', 'config'], stderr: /config: .*separate process/, exit: 1 },
    { args: ['module', 'load', 'nosuch'], stderr: /nosuch: .*not found/, exit: 1 },
    { args: ['module', 'load', './nosuch.mjs'], stderr: /there is no such file/, exit: 1 },
    { args: ['module', 'load', echo, '-a', '--b'] },
    { args: ['module', 'load', '--name=bad', echo, 'fail'], stderr: /echo\.mjs: /, exit: 1 },
    { args: ['module', 'remove', echo] },
    { args: ['module', 'load', '--exec', echo] },
    { args: ['module', 'remove', 'echo'] },
    { args: ['module', 'load', 'heartbeat'] },
  ]));

test('statistics, resource usage and debug flags', () =>
  checkRows(instance, [
    { args: ['module', 'stats', 'config'], stdout: /^\{\n "tx": \{\n {2}"request": \d+,\n(.*\n)* \}\n\}\n$/ },
    { args: ['module', 'stats', '--clear', 'config'] },
    { args: ['module', 'stats', '--clear-all', 'config'] },
    { args: ['module', 'stats', '-R', 'config'], stdout: /^\{\n "utime": \d+\.\d+,\n/ },
    { args: ['module', 'stats', '--rusage=thread', '--parse=maxrss', 'config'], stdout: /^\d+\n$/ },
    { args: ['module', 'stats', '--rusage=none', 'config'], stderr: /Allowed choices are self/, exit: 1 },
    { args: ['module', 'stats', 'nosuch'], stderr: /nosuch\.stats-get: /, exit: 1 },
    { args: ['module', 'stats', '-s', 'x', 'config'], stderr: /'x' is not a number/, exit: 1 },
    { args: ['module', 'debug', '--set', '0xff00', 'config'], stdout: '0xff00\n' },
    { args: ['module', 'debug', '--clearbit', '0x1000', 'config'], stdout: '0xef00\n' },
    { args: ['module', 'debug', '--setbit', '1', 'config'], stdout: '0xef01\n' },
    { args: ['module', 'debug', 'config'], stdout: '0xef01\n' },
    { args: ['module', 'debug', '--clear', 'config'], stdout: '0x0\n' },
    { args: ['module', 'debug', '--set', 'x', 'config'], stderr: /'x' is not an integer/, exit: 1 },
    { args: ['module'], stderr: /^Usage: flux module COMMAND/, exit: 1 },
  ]));

test('a trace shows the messages of a module', async () => {
  const tracing = instance.flux(['module', 'trace', '-T', 'config.ping', 'config', 'overlay'], {
    until: (stdout) => /config\.ping \[\d+\] success/.test(stdout),
  });
  let traced = false;
  void tracing.then(() => {
    traced = true;
  });
  for (let tries = 0; !traced; tries++) {
    assert.ok(tries < 50);
    await instance.flux(['ping', '-c1', 'config']);
  }
  const { stdout, exit } = await tracing;
  assert.equal(exit, 0);
  assert.match(
    stdout,
    /^\d{4}-\d\d-\d\dT[\d:.]+ {2}config rx > config\.ping \[\d+\]\n\S+ {2}config tx < config\.ping \[\d+\] success\n/,
  );
});

test('modprobe loads what a module requires, and removes what nobody needs', async () => {
  const files = path.join(folder, 'modprobe.d');
  fs.mkdirSync(files);
  fs.writeFileSync(
    path.join(files, 'echo.toml'),
    `[[modules]]
     name = "echo"
     module = "${echo}"
     provides = ["mirror"]
     requires = ["barrier"]
     after = ["barrier"]
     [heartbeat]
     args = ["period=4s"]
    `,
  );
  const options = { env: { FLUX_MODPROBE_PATH: folder } };
  await checkRows(
    instance,
    [
      {
        args: ['modprobe', 'list'],
        stdout:
          /^MODULE .*\nheartbeat +loaded .*\nbarrier +- +all\n(.*\n)*kvs +loaded +all +content heartbeat\n(.*\n)*echo +- +all +barrier\n$/,
      },
      { args: ['modprobe', 'list', '--json'], stdout: /"name":"echo".*"loaded":false/ },
      { args: ['modprobe', 'list-dependencies', 'mirror'], stdout: 'mirror (echo)\n└── barrier\n' },
      { args: ['modprobe', 'show', 'mirror'], stdout: /^\{"name":"echo",.*"priority":100/ },
      { args: ['modprobe', 'load', '--dry-run', 'mirror'], stdout: 'load barrier\nload echo\n' },
      { args: ['modprobe', 'load', 'mirror'] },
      { args: ['modprobe', 'load', 'echo'], stderr: /loaded already/ },
      { args: ['modprobe', 'remove', 'barrier'], stderr: /barrier is in use by echo/, exit: 1 },
      { args: ['modprobe', 'remove', '--dry-run', 'echo'], stdout: 'remove echo\nremove barrier\n' },
      { args: ['modprobe', 'remove', 'echo'] },
      { args: ['modprobe', 'remove', 'echo'], stderr: /echo is not loaded/, exit: 1 },
      { args: ['modprobe', 'remove', 'config'], stderr: /part of the broker/, exit: 1 },
      { args: ['modprobe', 'load', 'nosuch'], stderr: /there is no module nosuch/, exit: 1 },
      { args: ['modprobe', 'rc3', '--show-deps'], stderr: /unknown option '--show-deps'/, exit: 2 },
      { args: ['modprobe', 'rc1', '--timing'], stderr: /--timing: .*KVS/, exit: 1 },
      { args: ['modprobe', 'run', 'x.py'], stderr: /x\.py: rc files are Python/, exit: 1 },
      { args: ['modprobe'], stderr: /^Usage: flux modprobe COMMAND/, exit: 2 },
      {
        args: ['modprobe', 'rc3', '--dry-run'],
        stdout:
          /^(.*\n)*remove resource\n(.*\n)*remove kvs-watch\n(.*\n)*remove kvs\nremove content-sqlite\nremove content\n$/,
      },
      {
        args: ['modprobe', 'rc3', '-v'],
        stderr:
          /^(.*\n)*removed resource\n(.*\n)*removed kvs-watch\n(.*\n)*removed kvs\nremoved content-sqlite\nremoved content\n$/,
      },
      { args: ['modprobe', 'rc1', '--show-deps'], stdout: /"heartbeat":\[\],.*"kvs":\["content","content-sqlite"\]/ },
      {
        args: ['modprobe', 'rc1', '--dry-run'],
        stdout:
          /^load content\nload heartbeat period=4s\nload cron sync=heartbeat.pulse\nload job-info\nload content-sqlite\nload kvs\nload kvs-watch\nload resource\nload job-manager\nload job-list\nload job-ingest\nload job-exec\nload sched-simple\n$/,
      },
      {
        args: ['modprobe', 'rc1', '-v'],
        stderr: /^(loaded .*\n)*loaded kvs\nloaded kvs-watch\nloaded resource\nloaded job-manager\n(loaded .*\n)*$/,
      },
      { args: ['modprobe', 'list-dependencies', '-S', 'x', 'echo'], stderr: /'x' is not SERVICE=MODULE/, exit: 1 },
      { args: ['modprobe', 'show', '-D', 'nosuch', 'echo'], stderr: /there is no module nosuch/, exit: 1 },
    ].map((row) => ({ ...row, options })),
  );
  fs.writeFileSync(path.join(files, 'bad.toml'), '[nosuch]\nranks = "0"\n');
  await checkRows(instance, [{ args: ['modprobe', 'list'], options, stderr: /no module 'nosuch' to change/, exit: 1 }]);
});

test('an instance starts and ends by flux modprobe', async () => {
  const attributes = ['rc1', 'rc3'].map((level) => `-Sbroker.${level}_path=flux modprobe ${level} --verbose`);
  const env = { PATH: `${path.dirname(flux)}:${process.env.PATH}` };
  const outcome = await run(flux, ['start', ...attributes, 'flux', 'module', 'list'], { env });
  assert.match(outcome.stdout, /^heartbeat/m);
  assert.equal(outcome.exit, 0);
});
