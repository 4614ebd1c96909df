// `flux proxy` on real instances: the program it runs, its clients, and how it ends.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { Handle } from '../../core/handle/handle.ts';
import { flux, type Instance, run, startInstance } from './instance.ts';
import { checkRows, type Row } from './rows.ts';
import { type RunningProgram, startProgram, temporaryFolder, until } from './support.ts';

let instance: Instance;
const folder = temporaryFolder();

before(async () => {
  instance = await startInstance(4);
});
after(() => instance?.stop());

/** Clients of the instance, as its connector tells of them. */
async function clientCount(): Promise<number> {
  const { stdout } = await instance.flux(['module', 'stats', 'connector-local']);
  return JSON.parse(stdout).server.clients.length;
}

/** Starts a proxy whose program prints its FLUX_URI and does as `script` says; resolves once the URI is there. */
async function startProxy(
  script: string,
  options: readonly string[] = [],
  uri = instance.uri,
): Promise<RunningProgram & { readonly uri: string }> {
  const program = startProgram(flux, ['proxy', ...options, uri, `echo $FLUX_URI; ${script}`], {
    PATH: `${path.dirname(flux)}:${process.env.PATH}`,
    SHELL: '/bin/bash',
    TMPDIR: folder,
  });
  await until(() => program.stdout().includes('\n'), `there is a URI: ${program.stderr()}`);
  return { ...program, uri: program.stdout().split('\n')[0]! };
}

function leftFolders(): string[] {
  return fs.readdirSync(folder).filter((name) => name.startsWith('flux-proxy-'));
}

test('the command is run by the shell, and its exit code is that of the proxy', () => {
  const options = { env: { SHELL: '/bin/bash', TMPDIR: folder } };
  const rows: Row[] = [
    { args: ['true'] },
    { args: ['exit', '9'], exit: 9 },
    { args: ['kill -TERM $$'], exit: 143 },
    { args: ['/no/such/program'], exit: 127, stderr: /No such file/ },
    { args: ['echo', 'a  b', '$((1+1))'], stdout: 'a b 2\n' },
    { args: ['echo $0'], stdout: '/bin/bash\n' },
    { args: ['test', '-n', 'x'] },
    { args: ['flux', 'getattr', 'size'], stdout: '4\n' },
    { args: ['flux', 'ping', '-c', '1', '3'], stdout: /^3!broker.ping .*\(\w+(!\w+){4}\)$/m },
    { args: ['flux exec -r 0-3 echo x'], stdout: 'x\nx\nx\nx\n' },
  ];
  return checkRows(
    instance,
    rows.map((row) => ({ options, ...row, args: ['proxy', instance.uri, ...row.args] })),
  );
});

test('without command there is a shell, which reads from stdin', () =>
  checkRows(instance, [
    {
      args: ['proxy', instance.uri],
      options: { stdin: 'flux getattr rank; exit 3\n', env: { SHELL: '/bin/sh' } },
      stdout: '0\n',
      exit: 3,
    },
  ]));

test('what cannot be done is said', () =>
  checkRows(instance, [
    { args: ['proxy'], exit: 1, stderr: /missing required argument 'target'/ },
    { args: ['proxy', 'bloop:1'], exit: 1, stderr: /Unable to resolve bloop:1 to a URI: / },
    { args: ['proxy', 'local:///no/where', 'true'], exit: 1, stderr: /local:\/\/\/no\/where: No such file/ },
    { args: ['proxy', 'ssh://far', 'true'], exit: 1, stderr: /does not name a host and a path/ },
    {
      args: ['proxy', '.', 'true'],
      exit: 1,
      stderr: /cannot run \/no\/shell/,
      options: { env: { SHELL: '/no/shell' } },
    },
    {
      args: ['proxy', '.', 'true'],
      exit: 1,
      stderr: /at most 107/,
      options: { env: { TMPDIR: fs.mkdtempSync(path.join(folder, 'x'.repeat(100))) } },
    },
    {
      args: ['proxy', '.', 'echo $FLUX_URI'],
      stdout: /^local:\/\/\/tmp\/flux-proxy-/,
      stderr: /TMPDIR \(\/no\/folder\) is no folder/,
      options: { env: { TMPDIR: '/no/folder' } },
    },
  ]));

test('a broker of another version is refused, unless --force is given', async () => {
  const other = await startInstance(1);
  await checkRows(other, [
    { args: ['setattr', '-f', 'version', '0.87.3'] },
    { args: ['proxy', '.', 'true'], exit: 1, stderr: /version 0\.88\.0 of the proxy .* version 0\.87\.3 .*--force/ },
    { args: ['proxy', '-f', '.', 'echo x'], stdout: 'x\n', stderr: /^flux-proxy: warning: version .* 0\.87\.3/ },
    { args: ['setattr', '-f', 'version', '0.88.9-17-gabc'] },
    { args: ['proxy', '.', 'true'] },
  ]);
  await other.stop();
});

test('the socket and its folder are gone afterwards, and so are the connections', async () => {
  const connections = await clientCount();
  const proxy = await startProxy('exec cat');
  const socket = proxy.uri.replace('local://', '');
  assert.equal(fs.statSync(path.dirname(socket)).mode & 0o777, 0o700);
  const handle = await Handle.open(proxy.uri);
  await handle.rpc('broker.ping', {});
  assert.equal(await clientCount(), connections + 1);
  proxy.child.stdin.end();
  assert.equal(await proxy.exited, 0);
  assert.match((await handle.closed)?.message ?? '', /closed the connection/);
  assert.deepEqual(leftFolders(), []);
  await until(async () => (await clientCount()) === connections, 'the connection is gone');
});

test('what a program sends right before it ends is forwarded', async () => {
  // Log entries want no answer.
  const words = Array.from({ length: 5 }, (_, i) => `last-word-${i}`);
  const script = words.map((word) => `flux logger ${word}`).join('; ');
  await checkRows(instance, [{ args: ['proxy', instance.uri, script] }]);
  const { stdout } = await instance.flux(['dmesg']);
  for (const word of words) assert.ok(stdout.includes(word), word);
});

test('signals are passed on, and the exit code tells of them', async () => {
  for (const [signal, code] of [
    ['SIGTERM', 143],
    ['SIGHUP', 129],
    ['SIGINT', 130],
  ] as const) {
    const proxy = await startProxy('exec sleep 60');
    // A shell that is about to run it may forget a signal.
    await until(() => childStats(proxy.child.pid!).includes('(sleep)'), 'the program runs');
    proxy.child.kill(signal);
    assert.equal(await proxy.exited, code, signal);
    assert.equal(proxy.stderr(), '');
  }
  const trapping = await startProxy('trap "echo caught; exit 5" TERM; echo ready; while :; do sleep 0.01; done');
  await until(() => trapping.stdout().includes('ready'), 'the program traps the signal');
  trapping.child.kill('SIGTERM');
  assert.equal(await trapping.exited, 5);
  assert.match(trapping.stdout(), /caught/);
  assert.deepEqual(leftFolders(), []);
});

test('proxies of proxies', () =>
  checkRows(instance, [
    {
      args: ['proxy', instance.uri, 'flux proxy $FLUX_URI "flux proxy \\$FLUX_URI flux ping -c 1 1"'],
      stdout: /^1!broker\.ping .*\((\w+!){6}\w+\)$/m,
      options: { env: { SHELL: '/bin/bash' } },
    },
    { args: ['proxy', instance.uri, 'flux proxy . exit 4'], exit: 4 },
    { args: ['proxy', instance.uri, 'flux proxy pid:$$ flux getattr size'], stdout: '4\n' },
  ]));

test('events come to each client that subscribed, and services are offered through the proxy', async () => {
  const proxy = await startProxy('exec cat');
  const [a, b, direct] = await Promise.all([proxy.uri, proxy.uri, instance.uri].map((uri) => Handle.open(uri)));
  const queues = await Promise.all([a!.subscribe('px.'), b!.subscribe('px.'), b!.subscribe('px.y')]);
  await direct!.publish('px.x', { n: 1 });
  await a!.publish('px.y', { n: 2 });
  const topics = await Promise.all(
    queues.map(async (queue) => {
      for await (const event of queue) if (event.topic === 'px.y') return event.json;
      return undefined;
    }),
  );
  assert.deepEqual(topics, [{ n: 2 }, { n: 2 }, { n: 2 }]);

  await a!.serve('px', { add: { handler: (request) => ({ sum: request.unpack({ x: 'i' }).x + 1 }) } });
  await assert.rejects(b!.serve('px', {}), { code: 'EEXIST' });
  for (const handle of [b!, direct!]) assert.deepEqual(await handle.rpc('px.add', { x: 1 }), { sum: 2 });
  await assert.rejects(a!.serve('kvs', {}), { code: 'EEXIST' });
  await a!.close();
  await until(async () => {
    const code = await direct!.rpc('px.add', { x: 1 }).catch((error: { code: string }) => error.code);
    return code === 'ENOSYS';
  }, 'the service is gone');
  await b!.serve('px', {});
  await b!.close();
  await direct!.close();
  proxy.child.stdin.end();
  await proxy.exited;
});

test('a client that goes takes its programs with it', async () => {
  const proxy = await startProxy('exec cat');
  const running = startProgram(flux, ['exec', '-r', '2', 'sleep', '4711'], { FLUX_URI: proxy.uri });
  const programs = () => spawnSync('pgrep', ['-f', '^sleep 4711$']).status === 0;
  await until(programs, 'the program runs');
  running.child.kill('SIGKILL');
  await until(() => !programs(), 'the program is gone');
  proxy.child.stdin.end();
  assert.equal(await proxy.exited, 0);
});

test('many clients at once', async () => {
  const proxy = await startProxy('exec cat');
  const handles = await Promise.all(Array.from({ length: 64 }, () => Handle.open(proxy.uri)));
  const payload = 'x'.repeat(2000);
  await Promise.all(
    handles.map(async (handle, client) => {
      for (let round = 0; round < 20; round++) {
        const { n } = await handle.rpc<{ n: number }>(
          'broker.ping',
          { n: client * 1000 + round, payload },
          { nodeid: client % 4 },
        );
        assert.equal(n, client * 1000 + round);
      }
    }),
  );
  await Promise.all(handles.map((handle) => handle.close()));
  proxy.child.stdin.end();
  assert.equal(await proxy.exited, 0);
});

test('more output than fits anywhere comes whole through a slow reader', async () => {
  const { stdout, exit } = await instance.shell(
    `flux proxy ${instance.uri} "flux exec -r 1 head -c 100000000 /dev/zero" | (sleep 1; wc -c)`,
    { timeoutMs: 60_000 },
  );
  assert.deepEqual([stdout.trim(), exit], ['100000000', 0]);
});

// ---- instances that end

for (const [what, options, script, exit] of [
  ['SIGHUP ends the program', [], 'exec sleep 60', 129],
  ['a program that was stopped goes on, and ends', [], 'kill -STOP $$; exec sleep 60', 129],
  ['a program may take its time', [], 'trap "echo bye; exit 6" HUP; echo ready; while :; do sleep 0.01; done', 6],
  ['--nohup lets it go on', ['--nohup'], 'while flux getattr size; do sleep 0.01; done; exit 8', 8],
] as const)
  test(`when the instance ends, ${what}`, async () => {
    const other = await startInstance(1);
    const proxy = await startProxy(`${script} 2>/dev/null`, options, other.uri);
    if (script.includes('ready')) await until(() => proxy.stdout().includes('ready'), 'the program traps the signal');
    if (script.includes('STOP'))
      await until(() => /^\d+ \(\w+\) T/m.test(childStats(proxy.child.pid!)), 'the program is stopped');
    assert.equal((await other.stop()).exit, 0);
    assert.equal(await proxy.exited, exit);
    assert.match(proxy.stderr(), /^flux-proxy: lost the connection to Flux\n/);
    assert.equal(/SIGHUP/.test(proxy.stderr()), options.length === 0);
    assert.deepEqual(leftFolders(), []);
  });

/** What /proc tells of the children of a process, a line each. */
function childStats(pid: number): string {
  const children = fs.readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean);
  return children.map((child) => fs.readFileSync(`/proc/${child}/stat`, 'utf8')).join('\n');
}

test('with --reconnect clients wait for the instance that comes after', async () => {
  const rundir = fs.mkdtempSync(path.join(folder, 'run-'));
  const first = await startInstance(1, [`--rundir=${rundir}`]);
  const proxy = await startProxy('exec cat', ['--reconnect'], first.uri);
  const handle = await Handle.open(proxy.uri);
  const events = await handle.subscribe('again.');
  await first.stop();
  await until(() => /lost the connection to Flux: reconnecting\n/.test(proxy.stderr()), 'the connection is lost');
  const waiting = handle.attribute('size');
  const second = await startInstance(1, [`--rundir=${rundir}`]);
  assert.equal(second.uri, first.uri);
  assert.equal(await waiting, '1');
  assert.match(proxy.stderr(), /flux-proxy: reconnected\n/);
  const direct = await Handle.open(second.uri);
  await direct.publish('again.x');
  for await (const event of events) {
    assert.equal(event.topic, 'again.x');
    break;
  }
  await Promise.all([direct.close(), handle.close()]);
  proxy.child.stdin.end();
  assert.equal(await proxy.exited, 0);
  await second.stop();
});

test('a terminal gets its cursor back when the connection is lost', async () => {
  const other = await startInstance(1);
  const script = `import os, pty, sys
pid, fd = pty.fork()
if pid == 0:
    os.execv(sys.argv[1], sys.argv[1:])
text = b""
while True:
    try:
        chunk = os.read(fd, 4096)
    except OSError:
        break
    if not chunk:
        break
    text += chunk
    if b"ready" in text and os.path.exists(sys.argv[3][8:]) and not os.path.exists("${folder}/ready"):
        open("${folder}/ready", "w").close()
sys.stdout.buffer.write(text)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
`;
  const running = run('python3', ['-c', script, flux, 'proxy', other.uri, 'echo ready; exec sleep 60'], {
    env: { SHELL: '/bin/sh' },
  });
  await until(() => fs.existsSync(path.join(folder, 'ready')), 'the program runs');
  await other.stop();
  const { stdout, exit } = await running;
  assert.equal(exit, 129);
  assert.match(stdout, /lost the connection to Flux/);
  assert.ok(stdout.includes('\x1b[?25h'));
});
