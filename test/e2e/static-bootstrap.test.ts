// Instances whose hosts the configuration names: each rank is a process that somebody starts, and starts again.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { makeKeyPair } from '../../core/formats/certificate.ts';
import { writeCertificate } from '../../core/node/certificate-file.ts';
import { ZmqWires } from '../../core/node/zmq-wires.ts';
import { decodeJsonFrame, encodeJsonFrame, FrameType } from '../../core/overlay/node-frames.ts';
import { flux, run } from './instance.ts';
import { freePort, type RunningProgram, startProgram, temporaryFolder, until } from './support.ts';

const folder = temporaryFolder();
const certificate = { metadata: new Map(), ...makeKeyPair() };
writeCertificate(`${folder}/cert`, certificate);
writeCertificate(`${folder}/other`, { metadata: new Map(), ...makeKeyPair() });

interface Config {
  readonly path: string;
  readonly uri: string;
}

/** a above b above c, each with two cores. */
async function writeConfig(name: string, more = '', curve = `${folder}/cert`): Promise<Config> {
  const [first, second] = [await freePort(), await freePort()];
  const uri = (port: number) => `tcp://127.0.0.1:${port}`;
  const path = `${folder}/${name}.toml`;
  const hosts = [
    `{ host = "a", bind = "${uri(first)}", connect = "${uri(first)}" }`,
    `{ host = "b", bind = "${uri(second)}", connect = "${uri(second)}" }`,
    '{ host = "c", parent = "b" }',
  ];
  const bootstrap = `[bootstrap]\ncurve_cert = "${curve}"\nhosts = [${hosts.join()}]\n`;
  fs.writeFileSync(
    path,
    `${bootstrap}[resource]\nnoverify = true\n[[resource.config]]\nhosts = "a,b,c"\ncores = "0-1"\n${more}`,
  );
  return { path, uri: uri(first) };
}

function start({ path }: Config, host: string, ...words: string[]): RunningProgram {
  return startProgram(flux, ['broker', '-c', path, `-Shostname=${host}`, ...words]);
}

describe('three hosts', () => {
  let config: Config;
  let leader: RunningProgram;
  const brokers = new Map<string, RunningProgram>();
  let env: Record<string, string>;

  const inInstance = async (...args: string[]) => (await run(flux, args, { env })).stdout;
  const startAgain = (host: string) => brokers.set(host, start(config, host));

  before(async () => {
    config = await writeConfig('three');
    // In any order: who comes first waits for those above.
    startAgain('c');
    startAgain('b');
    leader = start(config, 'a', '-Sbroker.quorum=1', 'sh', '-c', 'echo $FLUX_URI; exec cat');
    await until(() => leader.stdout().includes('\n'), 'the leader runs');
    env = { FLUX_URI: leader.stdout().trim() };
    await inInstance('overlay', 'status', '--wait=full', '--timeout=20s');
  });
  after(async () => {
    leader.child.stdin.end();
    await leader.exited;
    for (const broker of brokers.values()) await broker.exited;
  });

  const status = () => inInstance('overlay', 'status', '--no-pretty');
  const pidOf = async (rank: number) =>
    Number(await inInstance('exec', '-r', String(rank), 'flux', 'getattr', 'broker.pid'));

  test('each has its rank and its place, and runs jobs', async () => {
    assert.equal(await status(), '0 a: full\n1 b: full\n2 c: full\n');
    assert.equal(await inInstance('getattr', 'broker.boot-method'), 'config\n');
    assert.equal(await inInstance('getattr', 'tbon.topo'), 'custom\n');
    assert.equal(await inInstance('getattr', 'hostlist'), 'a,b,c\n');
    const output = await inInstance('run', '-N3', '-n3', 'flux', 'getattr', 'hostname');
    assert.deepEqual(output.trim().split('\n').sort(), ['a', 'b', 'c']);
  });

  test('a leaf that dies is lost, and comes back', async () => {
    process.kill(await pidOf(2), 'SIGKILL');
    await until(async () => (await status()).includes('2 c: lost'), 'c is lost');
    const { exit, stderr } = await run(flux, ['ping', '--count=1', '2'], { env });
    assert.ok(exit !== 0 && stderr.includes('No route to host'), stderr);
    startAgain('c');
    await inInstance('overlay', 'status', '--wait=full', '--timeout=20s');
    assert.equal(await inInstance('run', '-N3', '-n3', 'echo', 'x'), 'x\nx\nx\n');
  });

  test('a router that dies takes those below with it, and all come back', async () => {
    const below = brokers.get('c')!;
    process.kill(await pidOf(1), 'SIGKILL');
    await until(async () => (await status()).includes('1 b: lost'), 'b is lost');
    await below.exited;
    assert.match(below.stderr(), /b \(rank 1\): the connection broke/);
    startAgain('c');
    startAgain('b');
    await inInstance('overlay', 'status', '--wait=full', '--timeout=20s');
    assert.equal(await inInstance('run', '-N3', '-n3', 'echo', 'x'), 'x\nx\nx\n');
  });

  test('a broker that is told to end leaves the instance, and may come back', async () => {
    const leaving = brokers.get('c')!;
    leaving.child.kill('SIGTERM');
    assert.equal(await leaving.exited, 0);
    assert.equal(await status(), '0 a: partial\n1 b: partial\n2 c: offline\n');
    startAgain('c');
    await inInstance('overlay', 'status', '--wait=full', '--timeout=20s');
  });

  test('another broker with the same rank is refused, and nobody is disturbed', async () => {
    const second = start(config, 'c');
    assert.equal(await second.exited, 1);
    assert.match(second.stderr(), /another process hosts ranks 2/);
    const { stderr, exit } = await run(flux, ['broker', '-c', config.path, '-Shostname=b', 'true']);
    assert.equal(exit, 1);
    assert.match(stderr, /cannot bind to tcp:\S+: Address already in use/);
    assert.equal(await status(), '0 a: full\n1 b: full\n2 c: full\n');
  });

  test('who has another certificate is not let in', async () => {
    const bad = { ...config, path: `${folder}/bad.toml` };
    fs.writeFileSync(bad.path, fs.readFileSync(config.path, 'utf8').replace('/cert"', '/other"'));
    const stranger = start(bad, 'c');
    assert.equal(await stranger.exited, 1);
    assert.match(stranger.stderr(), /does not let this process in: it has another certificate/);
  });

  const instance = createHash('sha1').update('a,b,c').update(certificate.publicKey).digest('hex');
  for (const [what, hello, text] of [
    ['another version', { version: '0.1.0' }, /version 0\.1\.0 is not/],
    ['another instance', { instance: 'other' }, /another instance/],
    ['other ranks', { ranks: '1-2' }, /ranks 1-2 are not those of process 1/],
    ['a process that there is not', { node: 7 }, /ranks 1 are not those of process 7/],
    ['who knows what', { process: 5 }, /bad payload/],
  ] as const) {
    test(`a process of ${what} is told why it may not join`, async () => {
      const wires = new ZmqWires({ certificate, timeout: 20, connectTimeout: 10, log: () => {} });
      const answer = await new Promise<{ errstr?: string }>((resolve, reject) => {
        const wire = wires.connect(config.uri, { onFrame: (frame) => resolve(decodeJsonFrame(frame)), onLost: reject });
        const usual = { version: '0.88.0', instance, node: 1, ranks: '1', process: 'p', events: true, machine: {} };
        wire.send(encodeJsonFrame(FrameType.hello, { ...usual, ...hello }));
      });
      wires.close();
      assert.match(answer.errstr ?? '', text);
    });
  }

  test('frames that are none end their connection, and no other', async () => {
    const wires = new ZmqWires({ certificate, timeout: 20, connectTimeout: 10, log: () => {} });
    const wire = wires.connect(config.uri, { onFrame: () => {}, onLost: () => {} });
    for (const bytes of [[], [1], [1, 0, 0, 0], [1, 0, 0, 0, 123], [5, 0, 0, 0], [9, 9, 9, 9, 9, 9, 9, 9]])
      wire.send(Buffer.from(bytes));
    wires.close();
    assert.equal(await status(), '0 a: full\n1 b: full\n2 c: full\n');
    await inInstance('ping', '--count=1', '2');
  });
});

test('with --procs it is not asked which hosts there are', async () => {
  const { path } = await writeConfig('procs');
  const args = ['start', '-s3', '--procs=3', '-c', path, '--test-hosts=a,b,c', 'flux', 'overlay', 'lookup', '0-2'];
  const { stdout, stderr } = await run(flux, args);
  assert.equal(stdout, 'a,b,c\n', stderr);
});

describe('what keeps a broker from starting is said', () => {
  test('a file where it would listen, which stays', async () => {
    const { path, uri } = await writeConfig('file');
    const file = `${folder}/file`;
    fs.writeFileSync(file, 'precious');
    fs.writeFileSync(path, fs.readFileSync(path, 'utf8').replaceAll(uri, `ipc://${file}`));
    const { exit, stderr } = await run(flux, ['broker', '-c', path, '-Shostname=a', 'true']);
    assert.equal(exit, 1);
    assert.match(stderr, /^flux-broker: cannot bind to ipc:\S*\/file: \S+\/file is there, and is no socket$/m);
    assert.equal(fs.readFileSync(file, 'utf8'), 'precious');
  });

  for (const [what, args, change, text] of [
    ['a host that is not named', ['-Shostname=z'], (it: string) => it, /do not name 'z'/],
    [
      'a parent that is no host',
      ['-Shostname=a'],
      (it: string) => it.replace('parent = "b"', 'parent = "q"'),
      /host c: 'parent' q is none of the hosts/,
    ],
    ['no certificate', ['-Shostname=a'], (it: string) => it.replace('/cert"', '/nosuch"'), /nosuch.*No such file/],
    [
      'several ranks of a host',
      ['-Shostname=a', '--ranks=2'],
      (it: string) => it,
      /--ranks .*not go with \[bootstrap\]/,
    ],
    ['no such table', ['-Sbroker.boot-method=config'], () => '', /the configuration has no \[bootstrap\]/],
    [
      'a name that does not resolve',
      ['-Shostname=c', '-Stbon.connect_timeout=1s'],
      (it: string) => it.replaceAll('127.0.0.1', 'no-such-host.invalid'),
      /no-such-host\.invalid/,
    ],
    ['nobody there', ['-Shostname=c', '-Stbon.connect_timeout=0.5s'], (it: string) => it, /is not reached in 0\.5s/],
  ] as [string, string[], (text: string) => string, RegExp][]) {
    test(what, async () => {
      const { path } = await writeConfig(`bad-${what.replaceAll(' ', '-')}`);
      fs.writeFileSync(path, change(fs.readFileSync(path, 'utf8')));
      const { exit, stderr } = await run(flux, ['broker', '-c', path, ...args, 'true']);
      assert.equal(exit, 1);
      assert.match(stderr, text);
    });
  }
});
