// The debug ring: ranks are reached by it while the tree is broken, and what is not reached is said.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import net from 'node:net';
import { after, before, describe, test } from 'node:test';
import { makeKeyPair } from '../../core/formats/certificate.ts';
import { Role } from '../../core/message/credentials.ts';
import { writeCertificate } from '../../core/node/certificate-file.ts';
import { ZmqWires } from '../../core/node/zmq-wires.ts';
import { flux, type Instance, run, startInstance } from './instance.ts';
import { checkRows } from './rows.ts';
import { type RunningProgram, readLog, startProgram, temporaryFolder, until, withHandle } from './support.ts';

interface Probe {
  readonly process: number;
  readonly reached: boolean;
  readonly way?: readonly number[];
  readonly error?: string;
}

type Flux = (args: readonly string[]) => Promise<{ readonly stdout: string; readonly exit: number | NodeJS.Signals }>;

/** What `flux overlay ring` says of the processes, and that its exit code fits. */
async function probe(run: Flux, ...args: string[]): Promise<Probe[]> {
  const { stdout, exit } = await run(['overlay', 'ring', '--json', ...args]);
  const { processes } = JSON.parse(stdout) as { processes: Probe[] };
  assert.equal(exit, processes.every(({ reached }) => reached) ? 0 : 1);
  return processes;
}

async function untilReached(run: Flux, expected: readonly number[]): Promise<Probe[]> {
  let probes: Probe[] = [];
  const reached = () => probes.filter(({ reached }) => reached).map(({ process }) => process);
  await until(
    async () => {
      probes = await probe(run);
      return reached().join() === expected.join();
    },
    `processes ${expected} are reached, and no others`,
    20_000,
  ).catch((error: Error) => assert.fail(`${error.message}: ${JSON.stringify(probes)}`));
  return probes;
}

const pidOf = async (instance: Instance, rank: number) =>
  Number((await instance.flux(['exec', '-r', String(rank), 'flux', 'getattr', 'broker.pid'])).stdout);

describe('six processes, each below the one before', () => {
  let instance: Instance;
  before(async () => {
    const options = ['--procs=6', '--test-hosts=h[0-5]', '-Stbon.topo=kary:1', '-Slog-stderr-level=0'];
    instance = await startInstance(6, options);
    await instance.flux(['overlay', 'status', '--wait=full', '--timeout=10s']);
    await untilReached((args) => instance.flux(args), [0, 1, 2, 3, 4, 5]);
  });
  after(() => instance.stop());

  test('what flux ping and flux overlay ring show', () =>
    checkRows(instance, [
      {
        args: ['overlay', 'ring'],
        stdout:
          /^PROCESS {2}RANKS {2}HOSTS {2}REACHED {2}TIME\n0 {8}0 {6}h0 {5}here {5}\d+\.\d{3} ms\n1 {8}1 {6}h1 {5}yes {6}\d+\.\d{3} ms\n(\d .* ms\n){4}$/,
      },
      {
        args: ['overlay', 'ring', '2'],
        stdout: /^rank 2 \(h2, process 2\) is reached in \d+\.\d{3} ms, by way of process 1\n$/,
      },
      { args: ['overlay', 'ring', 'h5'], stdout: /^rank 5 \(h5, process 5\) is reached in \S+ ms, directly\n$/ },
      { args: ['overlay', 'ring', '0'], stdout: /^rank 0 \(h0, process 0\) is reached in \S+ ms, in this process\n$/ },
      {
        args: ['overlay', 'ring', '--json', '5'],
        stdout:
          /^\{\n {2}"process": 5,\n[\s\S]*"reached": true,\n {2}"response_ms": \d[\s\S]*"way": \[\n {4}0,\n {4}5\n/,
      },
      { args: ['overlay', 'ring', '6'], stderr: /this instance has no rank 6/, exit: 1 },
      { args: ['overlay', 'ring', '-t', 'soon'], stderr: /duration/, exit: 1 },
      {
        args: ['ping', '--ring', '-c2', '-i0', '5'],
        stdout: /^flux-ping 5!broker\n(5!broker\.ping pad=0 seq=[01] time=\d+\.\d{3} ms \(0!5\)\n){2}$/,
      },
      {
        args: ['ping', '--ring', '-c1', '-u', '-p', '1k', '-r', 'h4', 'heartbeat'],
        stdout:
          /^flux-ping h4!heartbeat \(rank 4\)\n4!heartbeat\.ping pad=1024 userid=\d+ rolemask=0x1 seq=0 time=\S+ ms \(0!5!4\)\n$/,
      },
      {
        args: ['ping', '--ring', '-c3', '-i0', '-b', '0'],
        stdout: /^flux-ping 0!broker\n(0!broker\.ping .* \(0\)\n){3}$/,
      },
      { args: ['ping', '--ring', '-c200', '-i0', '-b', '-p', '20k', '3'], stdout: /seq=199 / },
      {
        args: ['ping', '--ring', '-c1', '4!nosuch'],
        stdout: 'flux-ping 4!nosuch\n',
        stderr: /^flux-ping: 4!nosuch\.ping: No service matching nosuch\.ping is registered\n$/,
        exit: 1,
      },
      { args: ['ping', '--ring', '9'], stdout: /./, stderr: /9!broker\.ping: there is no rank 9/, exit: 1 },
      { args: ['ping', '--ring', 'heartbeat'], stderr: /--ring wants a rank or a host/, exit: 1 },
      { args: ['ping', '--ring', '-r', 'upstream', 'broker'], stderr: /--ring wants a rank or a host/, exit: 1 },
    ]));

  test('a rank asks another by the ring, for the owner alone', () =>
    withHandle(instance.uri, async (handle) => {
      const request = { rank: 3, topic: 'attr.get', payload: { name: 'rank' } };
      const answer = await handle.rpc('overlay.ring', request);
      assert.deepEqual(answer, { payload: { value: '3', flags: 1 }, way: [0, 1, 2, 3] });
      const guest = { userid: 4242, rolemask: Role.user };
      await assert.rejects(handle.rpc('overlay.ring', request, { credentials: guest }), { code: 'EPERM' });
      await assert.rejects(handle.rpc('overlay.ring', { rank: 3 }), { code: 'EPROTO' });
      const missing = { rank: 2, topic: 'attr.get', payload: { name: 'nosuch' } };
      await assert.rejects(handle.rpc('overlay.ring', missing), { code: 'ENOENT' });
      const { next, previous } = await handle.rpc<Record<string, object>>('overlay.ring-list');
      assert.deepEqual(next, { process: 1, ranks: '1', status: 'connected' });
      assert.deepEqual(previous, { process: 5, ranks: '5', status: 'connected' });
    }));

  test('a process that stands still cuts the tree; the ranks behind it are reached by the ring', async () => {
    const pid = await pidOf(instance, 2);
    process.kill(pid, 'SIGSTOP');
    try {
      const probes = await untilReached((args) => instance.flux(args), [0, 1, 3, 4, 5]);
      assert.match(probes[2]!.error!, /neither process 1 nor process 3 reaches process 2/);
      assert.deepEqual(probes[3]!.way, [0, 1, 0, 5, 4, 3]);
      await checkRows(instance, [
        { args: ['ping', '--ring', '-c1', '5'], stdout: /5!broker\.ping .* \(0!5\)\n$/ },
        { args: ['ping', '--ring', '-c1', '3'], stdout: /3!broker\.ping .* \(0!1!0!5!4!3\)\n$/ },
        {
          args: ['ping', '--ring', '-c1', '2'],
          stdout: /./,
          stderr:
            /2!broker\.ping: rank 2 is not reached over the ring: neither process 1 nor process 3 reaches process 2/,
          exit: 1,
        },
        {
          args: ['overlay', 'ring', '2'],
          stdout: 'rank 2 (h2, process 2) is not reached: neither process 1 nor process 3 reaches process 2\n',
          exit: 1,
        },
        {
          args: ['overlay', 'ring'],
          stdout: /^2 +2 +h2 +no +neither process 1 nor process 3 reaches process 2$/m,
          exit: 1,
        },
      ]);
    } finally {
      process.kill(pid, 'SIGCONT');
    }
    await untilReached((args) => instance.flux(args), [0, 1, 2, 3, 4, 5]);
    await checkRows(instance, [{ args: ['ping', '-c1', '5'], stdout: /5!broker\.ping/ }]);
  });

  // The last: ranks below one that is dead end, too.
  test('a process that is killed is not reached, nor those that end because of it; the others are', async () => {
    process.kill(await pidOf(instance, 3), 'SIGKILL');
    const probes = await untilReached((args) => instance.flux(args), [0, 1, 2]);
    assert.match(probes[3]!.error!, /process 2 does not reach process 3, and process 0 not process 5/);
    await checkRows(instance, [{ args: ['ping', '--ring', '-c1', '2'], stdout: /2!broker\.ping .* \(0!1!2\)\n$/ }]);
  });
});

test('an instance of one process is a ring of its own, and one of two has two ways', async () => {
  const alone = await startInstance(4, ['--test-hosts=h[0-3]', '-Slog-stderr-level=0']);
  await checkRows(alone, [
    { args: ['overlay', 'ring'], stdout: /^PROCESS .*\n0 {8}0-3 {4}h\[0-3\] {2}here {5}\S+ ms\n$/ },
    { args: ['overlay', 'ring', '3'], stdout: /^rank 3 \(h3, process 0\) is reached in \S+ ms, in this process\n$/ },
    { args: ['ping', '--ring', '-c1', '3'], stdout: /3!broker\.ping .* \(0\)\n$/ },
  ]);
  await alone.stop();
  const two = await startInstance(8, ['--procs=2', '-Slog-stderr-level=0']);
  await untilReached((args) => two.flux(args), [0, 1]);
  await checkRows(two, [{ args: ['ping', '--ring', '-c1', '7'], stdout: /7!broker\.ping .* \(0!1\)\n$/ }]);
  const { exit } = await two.stop();
  assert.equal(exit, 0);
});

const folder = temporaryFolder();

async function freePort(): Promise<number> {
  const server = net.createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address() as net.AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** Hosts of which some listen, and all but the first are below it. */
async function writeConfig(name: string, hosts: readonly (readonly [host: string, listens: boolean])[]) {
  const uris: string[] = [];
  const entries: string[] = [];
  for (const [host, listens] of hosts) {
    const uri = `tcp://127.0.0.1:${await freePort()}`;
    uris.push(uri);
    entries.push(listens ? `{ host = "${host}", bind = "${uri}", connect = "${uri}" }` : `{ host = "${host}" }`);
  }
  const names = hosts.map(([host]) => host).join();
  const path = `${folder}/${name}.toml`;
  fs.writeFileSync(
    path,
    `[bootstrap]\ncurve_cert = "${folder}/cert"\nhosts = [${entries}]\n[resource]\nnoverify = true\n[[resource.config]]\nhosts = "${names}"\ncores = "0-1"\n`,
  );
  return { path, uris };
}

describe('hosts that the configuration names', () => {
  const certificate = { metadata: new Map(), ...makeKeyPair() };
  const brokers: RunningProgram[] = [];
  const start = (path: string, host: string, ...words: string[]) => {
    const broker = startProgram(flux, ['broker', '-c', path, `-Shostname=${host}`, ...words]);
    brokers.push(broker);
    return broker;
  };
  /** Starts the first host; what runs commands there, and what ends it. */
  const lead = async (
    path: string,
  ): Promise<{ readonly leader: RunningProgram; readonly uri: string; readonly run: Flux }> => {
    const leader = start(path, 'a', '-Sbroker.quorum=1', 'sh', '-c', 'echo $FLUX_URI; exec cat');
    await until(() => leader.stdout().includes('\n'), 'the leader runs');
    const uri = leader.stdout().trim();
    return { leader, uri, run: (args) => run(flux, args, { env: { FLUX_URI: uri } }) };
  };
  before(() => writeCertificate(`${folder}/cert`, certificate));
  after(() => {
    for (const { child } of brokers) child.kill('SIGKILL');
  });

  test('a host joins the ring when it comes, late or again; who has another certificate never does', async () => {
    const { path, uris } = await writeConfig('whole', [
      ['a', true],
      ['b', true],
      ['c', true],
    ]);
    const { leader, run } = await lead(path);
    const [, b, c] = await untilReached(run, [0]);
    for (const { error } of [b!, c!]) assert.match(error!, /process 0 reaches neither process 1 nor process 2/);
    const second = start(path, 'b');
    await untilReached(run, [0, 1]);
    start(path, 'c');
    await untilReached(run, [0, 1, 2]);
    second.child.kill('SIGKILL');
    await untilReached(run, [0, 2]);
    start(path, 'b');
    // Around the other way at first; some seconds later by the wire that was lost.
    await until(async () => (await probe(run))[1]!.way?.join() === '0,1', 'process 0 has found process 1', 20_000);
    await untilReached(run, [0, 1, 2]);
    const stranger = { metadata: new Map(), ...makeKeyPair() };
    const wires = new ZmqWires({ certificate: stranger, timeout: 20, connectTimeout: 10, log: () => {} });
    const why = await new Promise<string>((resolve) => {
      wires.connect(uris[1]!, { onFrame: () => {}, onLost: resolve }, 3);
    });
    assert.match(why, /another certificate/);
    wires.close();
    leader.child.stdin.end();
    assert.equal(await leader.exited, 0);
  });

  test('a host that nobody can connect to leaves a gap, and is reached the other way', async () => {
    const { path } = await writeConfig('gap', [
      ['a', true],
      ['b', false],
      ['c', true],
    ]);
    const { leader, uri, run } = await lead(path);
    start(path, 'b');
    start(path, 'c');
    const probes = await untilReached(run, [0, 1, 2]);
    assert.deepEqual(
      probes.map(({ way }) => way),
      [[0], [0, 2, 1], [0, 2]],
    );
    const log = await withHandle(uri, async (handle) => [...(await readLog(handle)), ...(await readLog(handle, 1))]);
    assert.ok(log.some((line) => /gap behind process 0: the next one has no address/.test(line)));
    assert.ok(log.some((line) => /gap before process 1: .*neither 'bind' nor 'default_bind'/.test(line)));
    leader.child.stdin.end();
    assert.equal(await leader.exited, 0);
  });

  test('two hosts that would listen at one address: the tree works, and the ring has a gap', async () => {
    const { path, uris } = await writeConfig('same', [
      ['a', true],
      ['b', true],
      ['c', true],
    ]);
    fs.writeFileSync(path, fs.readFileSync(path, 'utf8').replaceAll(uris[2]!, uris[1]!));
    const { leader, uri, run } = await lead(path);
    start(path, 'b');
    await untilReached(run, [0, 1]);
    start(path, 'c');
    const { stdout } = await run(['overlay', 'status', '--wait=full', '--timeout=10s', '--summary']);
    assert.equal(stdout, 'full\n');
    await untilReached(run, [0, 1, 2]);
    const log = await withHandle(uri, (handle) => readLog(handle, 2));
    assert.ok(log.some((line) => /gap before process 2: cannot bind to .*in use/.test(line)));
    leader.child.stdin.end();
    assert.equal(await leader.exited, 0);
  });
});
