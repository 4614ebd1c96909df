// flux exec on a real instance of four ranks: where programs run, what they are given and print, how they end, that signals
// reach them, and that a large input neither fills memory nor stops when one of the programs does not read.

import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import fs from 'node:fs';
import { after, before, test } from 'node:test';
import { flux, type Instance, startInstance } from './instance.ts';
import { checkRows } from './rows.ts';

let instance: Instance;
before(async () => {
  instance = await startInstance(4);
});
after(() => instance.stop());

test('programs run where they are told', () =>
  checkRows(instance, [
    { args: ['exec', '-n', '-r2', 'flux', 'getattr', 'rank'], stdout: '2\n' },
    { args: ['exec', '-n', '-l', '-r', '3', 'flux', 'getattr', 'rank'], stdout: '3: 3\n' },
    { args: ['exec', '-n', '-x', '0-2', 'flux', 'getattr', 'rank'], stdout: '3\n' },
    { args: ['exec', '-n', '--rank=0-2', '--exclude=1-9', 'flux', 'getattr', 'rank'], stdout: '0\n' },
    { args: ['exec', '-n', 'echo', 'same'], stdout: 'same\n'.repeat(4) },
    { args: ['exec', '-n', '--rank=all', 'echo', '-r1'], stdout: '-r1\n'.repeat(4) },
    { args: ['exec', '-n', '-r0', '-d', '/', 'pwd'], stdout: '/\n' },
    {
      args: ['exec', '-n', '-l', '-r1', '-d', '/nonexistent', 'pwd'],
      stdout: '1: /tmp\n',
      stderr: /^1: .*\/nonexistent.*No such file or directory.*\/tmp/,
    },
    { args: ['exec', '-n', '-r1', 'pwd'], options: { cwd: '/usr' }, stdout: '/usr\n' },
    {
      args: ['exec', '-n', '-r1', 'sh', '-c', 'echo $GREETING $FLUX_PROXY_REMOTE'],
      options: { env: { GREETING: 'grüß', FLUX_PROXY_REMOTE: 'host' } },
      stdout: 'grüß\n',
    },
    { args: ['exec', '-n', '-r1', 'sh', '-c', 'echo $FLUX_URI'], stdout: instance.uri.replace(/0$/, '1\n') },
  ]));

test('what programs print comes out as it is', async () => {
  await checkRows(instance, [
    { args: ['exec', '-n', '-r0', 'sh', '-c', 'echo out; echo err >&2'], stdout: 'out\n', stderr: /^err\n$/ },
    { args: ['exec', '-n', '-r1', 'printf', 'no newline'], stdout: 'no newline' },
    {
      args: ['exec', '-n', '-l', '-r1', 'seq', '500'],
      stdout: Array.from({ length: 500 }, (_, index) => `1: ${index + 1}\n`).join(''),
    },
    { args: ['exec', '-n', '-l', '-r1', 'sh', '-c', 'echo err >&2'], stderr: /^1: err\n$/ },
  ]);
  const { stdout } = await instance.shell(`flux exec -n -r1 printf '\\377\\0a\\n\\200' | od -An -tx1`);
  assert.equal(stdout.trim(), 'ff 00 61 0a 80');
});

test('the exit code is the largest, and ranks that failed are named', () =>
  checkRows(instance, [
    { args: ['exec', '-n', 'true'] },
    {
      args: ['exec', '-n', 'sh', '-c', 'exit $(flux getattr rank)'],
      stderr: /^1: Exit 1\n2: Exit 2\n3: Exit 3\n$/,
      exit: 3,
    },
    { args: ['exec', '-n', 'sh', '-c', 'test $(flux getattr rank) = 1'], stderr: /^\[0,2-3\]: Exit 1\n$/, exit: 1 },
    { args: ['exec', '-n', '-q', 'false'], exit: 1 },
    { args: ['exec', '-n', '-r0', 'sh', '-c', 'kill -11 $$'], stderr: /^0: Segmentation fault\n$/, exit: 139 },
    { args: ['exec', '-n', '-r0', '/etc/passwd'], stderr: /Error: rank 0: \/etc\/passwd: .*denied/, exit: 126 },
    { args: ['exec', '-n', 'nosuch'], stderr: /Error: rank (\[0-3\]|\[1-3\]|0): nosuch: .*No such file/, exit: 127 },
    {
      args: ['exec', '-v', '-n', '-r0', 'true'],
      stderr: /ms: Starting true on 0\n(.*\n)*.*1 tasks complete with code 0\n/,
    },
  ]));

test('wrong command lines end in one sentence', () =>
  checkRows(instance, [
    { args: ['exec'], stderr: /missing required argument/, exit: 1 },
    { args: ['exec', '-n', '-r9', 'true'], stderr: /^flux-exec: .*ranks 9 do not exist.*\n$/, exit: 1 },
    { args: ['exec', '-n', '-rx', 'true'], stderr: /error parsing range 'x'/, exit: 1 },
    { args: ['exec', '-n', '-x0-9', 'true'], stderr: /no rank is left/, exit: 1 },
    { args: ['exec', '--waitable', 'true'], stderr: /--waitable goes only with --bg/, exit: 1 },
    { args: ['exec', '--attach', '1', '2'], stderr: /--attach takes a single/, exit: 1 },
    { args: ['exec', '--attach', '--bg', '1'], stderr: /--attach goes neither/, exit: 1 },
    { args: ['exec', '--attach', '12'], stderr: /name that with --rank/, exit: 1 },
    { args: ['exec', '-r0', '--attach', 'nosuch'], stderr: /rank 0: label nosuch: /, exit: 127 },
    { args: ['exec', '--setopt=x', 'true'], stderr: /'x' is not NAME=VALUE/, exit: 1 },
    { args: ['exec', '--with-imp', 'true'], stderr: /no exec.imp/, exit: 1 },
    { args: ['exec', '--jobid=%', 'true'], stderr: /'%' is not a job id/, exit: 1 },
    { args: ['exec', '-n', '--service=nosuch', '-r1', 'true'], stderr: /rank 1: true: .*nosuch/, exit: 1 },
    { args: ['exec', 'true'], options: { env: { FLUX_URI: 'local:///nowhere' } }, stderr: /cannot connect/, exit: 1 },
  ]));

test('standard input goes to all ranks, to the end', async () => {
  await checkRows(instance, [
    { args: ['exec', 'cat'], options: { stdin: 'grüß\n' }, stdout: 'grüß\n'.repeat(4) },
    { args: ['exec', 'cat'], options: { stdin: '' } },
    { args: ['exec', '-n', 'cat'], options: { stdin: 'unread' } },
    { args: ['exec', '-r0', '--stdin-flow=off', 'cat'], options: { stdin: 'x' }, stdout: 'x' },
  ]);
  // Three times the credit that a rank grants at first; rank 1 does not read, and ends.
  const bytes = 12 * 1024 * 1024;
  const script = 'test $(flux getattr rank) = 1 || wc -c';
  const { stdout, exit } = await instance.flux(['exec', 'sh', '-c', script], { stdin: new Uint8Array(bytes) });
  assert.deepEqual({ stdout, exit }, { stdout: `${bytes}\n`.repeat(3), exit: 0 });
});

/** A running `flux exec`, whose streams a test watches. */
class Running {
  readonly child: ChildProcess;
  readonly closed: Promise<number | NodeJS.Signals>;
  stdout = '';
  stderr = '';
  #check: () => void = () => {};

  constructor(args: readonly string[], stdin: 'ignore' | 'pipe' = 'ignore') {
    const env = { ...process.env, FLUX_URI: instance.uri };
    this.child = spawn(flux, ['exec', ...args], { env, stdio: [stdin, 'pipe', 'pipe'] });
    for (const name of ['stdout', 'stderr'] as const) {
      this.child[name]!.setEncoding('utf8').on('data', (text: string) => {
        this[name] += text;
        this.#check();
      });
    }
    this.closed = new Promise((resolve) => {
      this.child.on('close', (code, signal) => resolve(code ?? signal!));
    });
  }

  /** Resolves once both streams together match. */
  until(pattern: RegExp): Promise<void> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`${pattern} not in ${this.stdout}${this.stderr}`)), 10_000);
      this.#check = () => {
        if (!pattern.test(this.stdout + this.stderr)) return;
        clearTimeout(timer);
        this.#check = () => {};
        resolve();
      };
      this.#check();
    });
  }
}

async function labelsOn(rank: number): Promise<string> {
  const format = ['sproc', 'ps', `--rank=${rank}`, '-n', '-o', '{label} {cmd}'];
  return (await instance.flux(format)).stdout;
}

test('an input that nobody reads waits outside', async () => {
  const running = new Running(['-r0-1', 'sh', '-c', 'echo ready; exec sleep 60'], 'pipe');
  await running.until(/(ready\n){2}/);
  const chunk = Buffer.alloc(1024 * 1024);
  const stdin = running.child.stdin!;
  let accepted = 0;
  // A pipe that takes nothing for a second is taken to be full.
  for (;;) {
    const isFull = await new Promise<boolean>((resolve) => {
      const timer = setTimeout(() => resolve(true), 1000);
      stdin.write(chunk, () => {
        clearTimeout(timer);
        resolve(false);
      });
    });
    if (isFull) break;
    accepted++;
    assert.ok(accepted < 64, 'the command takes more than ranks have granted');
  }
  const status = fs.readFileSync(`/proc/${running.child.pid}/status`, 'utf8');
  assert.ok(Number(/VmRSS:\s+(\d+)/.exec(status)![1]) < 300_000, status);
  running.child.kill('SIGTERM');
  stdin.on('error', () => {});
  assert.equal(await running.closed, 143);
});

test('signals reach the programs', async () => {
  const running = new Running(['-n', 'sh', '-c', 'echo ready; exec sleep 60']);
  await running.until(/(ready\n){4}/);
  running.child.kill('SIGTERM');
  assert.equal(await running.closed, 143);
  assert.equal(running.stderr, '[0-3]: Terminated\n');
});

test('interrupts that programs ignore end the command at last, and the programs with it', async () => {
  const running = new Running([
    '-n',
    '-v',
    '-r1',
    'sh',
    '-c',
    'trap "echo again" INT; echo ready; while :; do sleep 0.1; done',
  ]);
  await running.until(/ready/);
  running.child.kill('SIGINT');
  await running.until(/again\n(.*\n)*.*sending signal 2 to 1 running processes/);
  running.child.kill('SIGINT');
  await running.until(/once more within/);
  running.child.kill('SIGINT');
  assert.equal(await running.closed, 1);
  assert.match(running.stderr, /^1: command still running at exit$/m);
  for (let tries = 0; await labelsOn(1); tries++) assert.ok(tries < 50, 'the program outlives its client');
});

test('programs in the background go on, and can be followed', async () => {
  const started = await instance.flux([
    'exec',
    '--bg',
    '--label=watched',
    '-r1-2',
    'sh',
    '-c',
    'echo gone; exec sleep 60',
  ]);
  assert.match(started.stdout, /^1: \d+\n2: \d+\n$/);
  const again = await instance.flux(['exec', '--bg', '--label=watched', '-r1', 'true']);
  assert.deepEqual([again.exit, again.stdout], [1, '']);
  const missing = await instance.flux(['exec', '--bg', '-r0', 'nosuch']);
  assert.match(missing.stderr, /Error: rank 0: nosuch: /);

  const watching = new Running(['-v', '-r1-2', '--attach', 'watched']);
  await watching.until(/Sent all/);
  await instance.flux(['ping', '-c1', '-i0', '1']);
  watching.child.kill('SIGINT');
  assert.equal(await watching.closed, 0);
  assert.match(watching.stderr, /detached; `flux sproc kill SIGNAL watched'/);
  assert.equal(await labelsOn(1), 'watched sh\n');

  const following = new Running(['-r1', '--attach', 'watched']);
  for (let tries = 0; ; tries++) {
    const { exit } = await instance.flux(['sproc', 'kill', '-r1', 'TERM', 'watched']);
    if (exit === 0) break;
    assert.ok(tries < 50);
  }
  assert.ok([143, 127].includes((await following.closed) as number));
  await instance.flux(['sproc', 'kill', '-r2', '9', 'watched']);
});
