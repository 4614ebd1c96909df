// Instances found, entered, described and ended: flux uri, env, engine, broker, shutdown.

import assert from 'node:assert/strict';
import os from 'node:os';
import { after, before, test } from 'node:test';
import { flux, type Instance, run, startInstance } from './instance.ts';
import { checkRows } from './rows.ts';

let instance: Instance;
before(async () => {
  instance = await startInstance(3);
});
after(() => instance.stop());

test('flux uri finds instances', async () => {
  const { uri } = instance;
  const remote = uri.replace('local://', `ssh://${os.hostname()}`);
  await checkRows(instance, [
    { args: ['uri', '.'], stdout: `${uri}\n` },
    { args: ['uri', '/'], stdout: `${uri}\n` },
    { args: ['uri', '..'], stdout: `${uri}\n` },
    { args: ['uri', '--remote', '.'], stdout: `${remote}\n` },
    { args: ['uri', '.?remote'], stdout: `${remote}\n` },
    { args: ['uri', 'jobid:/?local'], stdout: `${uri}\n` },
    { args: ['uri', `pid:${instance.pid}`], stdout: `${uri}\n` },
    { args: ['uri', 'local:///tmp//x/local-0'], stdout: 'local:///tmp//x/local-0\n' },
    { args: ['uri', '--local', 'ssh://host/tmp//x/local-0'], stdout: 'local:///tmp/x/local-0\n' },
    {
      args: ['uri', 'ssh://host/tmp/x'],
      options: { env: { FLUX_URI_RESOLVE_LOCAL: 't' } },
      stdout: 'local:///tmp/x\n',
    },
    { args: ['uri', 'bloop:1'], stderr: /scheme 'bloop'/, exit: 1 },
    { args: ['uri', 'baduri'], stderr: /baduri is not a job id/, exit: 1 },
    { args: ['uri', '.?local&remote'], stderr: /exclude each other/, exit: 1 },
    { args: ['uri', 'pid:x'], stderr: /'x' is not a process id/, exit: 1 },
    { args: ['uri', 'pid:999999999'], stderr: /no process 999999999/, exit: 1 },
    { args: ['uri', 'pid:1'], stderr: /process 1 /, exit: 1 },
    { args: ['uri', '--local', 'local:x'], stderr: /neither a local:\/\/ nor an ssh:\/\/ URI/, exit: 1 },
    { args: ['uri'], stderr: /missing required argument/, exit: 2 },
  ]);
});

test('flux env shows what programs get, and runs them', () =>
  checkRows(instance, [
    { args: ['env'], stdout: /^export PATH=".*"\nexport FLUX_EXEC_PATH="[^"]+"\nexport FLUX_CONNECTOR_PATH="/ },
    { args: ['env'], stdout: /^export FLUX_URI="local:\/\/.*"$/m },
    { args: ['env', 'sh', '-c', 'echo $FLUX_MODULE_PATH $1', 'sh', '-x'], stdout: /^\/.+ -x\n$/ },
    { args: ['env', 'sh', '-c', 'exit 7'], exit: 7 },
    { args: ['env', 'sh', '-c', 'kill -9 $$'], exit: 137 },
    { args: ['env', '/no/such/program'], stderr: /\/no\/such\/program.*No such file/, exit: 1 },
    { args: ['env', '/etc/passwd'], stderr: /\/etc\/passwd.*Permission denied/, exit: 1 },
    { args: ['env', '--nosuch'], stderr: /unknown option '--nosuch'/, exit: 1 },
  ]));

test('flux engine shows threads and rings', () =>
  checkRows(instance, [
    {
      args: ['engine'],
      stdout:
        /^\d+ cores?, \d+ clients?, memory .*\n\nTHREAD {2}NAME .*\n +0 {2}main .*\n( +\d+ .*\n)+\nFROM .*\n( +\d+ .*\n)+$/,
    },
    {
      args: ['engine', '--json'],
      stdout: /^\{"cores":\d+,"threads":\[\{"index":0,"name":"main",.*"memory":\{.*\}\}\n$/,
    },
    { args: ['engine', '--watch=x'], stderr: /invalid Flux standard duration/, exit: 1 },
  ]));

test('flux broker runs a program in an instance of one rank', async () => {
  const size = await run(flux, ['broker', '-Sbroker.rc1_path=', '-Sbroker.rc3_path=', flux, 'getattr', 'size']);
  assert.deepEqual(size, { stdout: '1\n', stderr: '', exit: 0 });
  const failing = await run(flux, ['broker', 'sh', '-c', 'exit 5']);
  assert.equal(failing.exit, 5);
});

test('flux shutdown refuses what it cannot do', async () => {
  const { stdout } = await instance.flux(['exec', '-n', '-r1', 'flux', 'getattr', 'local-uri']);
  const rank1 = { env: { FLUX_URI: stdout.trim() } };
  return checkRows(instance, [
    { args: ['shutdown'], options: rank1, stderr: /only be initiated on rank 0/, exit: 1 },
    { args: ['shutdown', 'baduri'], stderr: /cannot find the instance baduri: baduri is not a job id/, exit: 1 },
    { args: ['shutdown', 'local:///nowhere'], stderr: /cannot connect to local:\/\/\/nowhere/, exit: 1 },
    { args: ['shutdown', '--gc', '--skip-gc'], stderr: /--gc goes neither/, exit: 1 },
    { args: ['shutdown', '-v', 'baduri'], stderr: /baduri is not a job id/, exit: 1 },
    { args: ['shutdown', '-vv', 'baduri'], stderr: /baduri is not a job id/, exit: 1 },
    { args: ['shutdown', '--verbose=x'], stderr: /'x' is not a count/, exit: 1 },
    { args: ['shutdown', 'a', 'b'], stderr: /too many arguments/, exit: 1 },
  ]);
});

test('flux shutdown ends an instance, and shows its log', async () => {
  for (const [options, pattern] of [
    [[], /broker\.info\[0\]: .*finalize->goodbye/],
    [['--quiet'], /^(broker\.err\[0\]: rc2.*\n)?$/],
    [['--background'], /^$/],
  ] as const) {
    const other = await startInstance(2);
    const outcome = await run(flux, ['shutdown', ...options, other.uri]);
    assert.equal(outcome.exit, 0, outcome.stderr);
    assert.match(outcome.stderr, pattern);
    const { exit } = await other.stop();
    assert.equal(exit, 129);
  }
});
