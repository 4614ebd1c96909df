/** Hosts that are namespaces of this machine, and programs that launchers start on all of them. */

import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { flux, type Outcome, run } from './instance.ts';
import { type Hosts, lacksHydra, lacksNamespaces, type Place, startHosts } from './namespaces.ts';
import { lacksSlurm, startSlurm } from './slurm.ts';
import { type RunningProgram, startProgram, until } from './support.ts';

/** Answers each line with the line, to whoever connects. */
const echoServer = "net.createServer((each) => each.pipe(each)).listen(7000, () => console.log('listening'))";
const echoClient =
  'exec 3<>/dev/tcp/h3/7000; while read -r line; do echo "$line" >&3; read -r line <&3; echo "$line"; done';

describe('hosts', { skip: lacksNamespaces() }, () => {
  let hosts: Hosts;
  before(async () => {
    hosts = await startHosts();
  });
  after(() => hosts?.stop());

  /** What a script prints there. */
  async function print(place: Place, script: string): Promise<string> {
    const { stdout, stderr, exit } = await hosts.run(place, ['sh', '-c', script]);
    assert.deepEqual([stderr, exit], ['', 0]);
    return stdout.trim();
  }

  /** A program that goes on there. */
  function startOn(place: Place, words: readonly string[]): RunningProgram {
    const [file = '', ...args] = [...hosts.enter(place), ...words];
    return startProgram(file, args);
  }

  const isReached = async (from: number, name: string) => {
    const { exit } = await hosts.run(from, ['timeout', '0.2', 'bash', '-c', `exec 3<>/dev/tcp/${name}/7000`]);
    return exit === 0;
  };

  test('each has its name, its address, its processes and its temporary files', async () => {
    assert.equal(await print('login', 'hostname'), 'login');
    await print(0, 'echo here >$TMPDIR/file');
    for (const [host, name] of hosts.names.entries()) {
      assert.equal(await print(host, 'hostname'), name);
      assert.match(await print(host, 'ip -4 -oneline address show eth0'), new RegExp(` ${hosts.address(host)}/24 `));
      assert.equal(await print(host, 'cat /proc/1/cmdline | tr "\\0" " "'), `sh ${hosts.folder}/keep ${name}`);
      assert.equal(await print(host, 'ls $TMPDIR'), host === 0 ? 'file' : '');
    }
  });

  test('an instance of brokers that nobody launched, by the configuration', async () => {
    const config = path.join(hosts.folder, 'flux.toml');
    const certificate = path.join(hosts.folder, 'curve.cert');
    await run(flux, ['keygen', certificate]);
    const bootstrap = [
      `curve_cert = "${certificate}"`,
      'default_port = 8050',
      'default_bind = "tcp://*:%p"',
      'default_connect = "tcp://%h:%p"',
      'hosts = [{ host = "h[0-2]" }, { host = "h3", parent = "h1" }]',
    ];
    fs.writeFileSync(config, ['[bootstrap]', ...bootstrap].join('\n'));
    const broker = [flux, 'broker', '-c', config];
    const others = [3, 1, 2].map((host) => startOn(host, broker));
    const script = 'flux overlay status --no-pretty; flux resource list -no {nodelist}; flux run -N4 hostname | sort';
    const { stdout, stderr, exit } = await hosts.run(0, [...broker, 'sh', '-c', script]);
    assert.deepEqual([stderr, exit], ['', 0]);
    assert.equal(stdout, '0 h0: full\n1 h1: full\n3 h3: full\n2 h2: full\nh[0-3]\nh0\nh1\nh2\nh3\n');
    for (const other of others) assert.equal(await other.exited, 0, other.stderr());
  });

  test('they reach each other by name, unless one is cut off', async () => {
    const server = startOn(3, [process.execPath, '--eval', echoServer]);
    await until(() => server.stdout() !== '', 'the server listens');
    const client = startOn(0, ['bash', '-c', echoClient]);
    client.child.stdin.write('one\n');
    await until(() => client.stdout() === 'one\n', 'the first line is back');

    await hosts.cut(3);
    client.child.stdin.write('two\n');
    assert.deepEqual([await isReached(1, 'h3'), client.stdout()], [false, 'one\n']);
    await hosts.mend(3);
    await until(() => client.stdout() === 'one\ntwo\n', 'the second line is back');
    assert.ok(await isReached(1, 'h3'));

    client.child.stdin.end();
    assert.equal(await client.exited, 0);
    await hosts.powerOff(3);
    assert.notEqual(await server.exited, 0);
    assert.equal(await isReached(1, 'h3'), false);
  });

  test('a way leads to them as ssh does', async () => {
    const ssh = path.join(hosts.folder, 'ssh');
    const runBySsh = (...words: string[]) => hosts.run('login', [ssh, ...words], { env: { SECRET: 'x' } });
    assert.equal((await runBySsh('-x', '-p', '22', 'kim@h1', 'hostname; echo "$SECRET"')).stdout, 'h1\n\n');
    assert.equal((await runBySsh('h2', 'exit', '3')).exit, 3);
    assert.match((await runBySsh('h9', 'true')).stderr, /Could not resolve hostname h9/);
  });
});

/** Runs commands, a line each, and says when one has ended. */
const commands = 'while read -r line; do eval "$line"; echo .; done';

interface Launcher {
  /** Words that run a program as one process on each host. */
  words(program: readonly string[]): readonly string[];
  stop(): Promise<void>;
}

async function startHydra(hosts: Hosts): Promise<Launcher> {
  const words = [...hosts.enter('login'), ...hosts.hydra, '-n', '4'];
  return { words: (program) => [...words, ...program], stop: async () => {} };
}

async function startSlurmOn(hosts: Hosts): Promise<Launcher> {
  const slurm = await startSlurm(hosts);
  const options = ['--quiet', '--nodes=4', '--ntasks=4'];
  return { words: (program) => slurm.words('srun', [...options, ...program]), stop: slurm.stop };
}

for (const [name, start, skip] of [
  ['Hydra', startHydra, lacksHydra()],
  ['Slurm', startSlurmOn, lacksNamespaces() || lacksSlurm()],
] as const)
  describe(`on four hosts, by ${name}`, { skip }, () => {
    let hosts: Hosts;
    let launcher: Launcher;
    before(async () => {
      hosts = await startHosts();
      launcher = await start(hosts);
    });
    after(async () => {
      await launcher?.stop();
      await hosts?.stop();
    });

    function launch(...program: string[]): Promise<Outcome> {
      const [file = '', ...args] = launcher.words(program);
      return run(file, args);
    }

    /** What the processes print; they must not fail. */
    async function print(...program: string[]): Promise<string> {
      const { stdout, stderr, exit } = await launch(...program);
      assert.deepEqual([stderr, exit], ['', 0]);
      return stdout;
    }

    test('each has one process', async () => {
      assert.deepEqual((await print('hostname')).trim().split('\n').sort(), hosts.names);
      assert.equal(await print(flux, 'pmi', 'get', 'PMI_process_mapping'), '(vector,(0,4,1))\n');
    });

    test('they find each other by PMI', async () => {
      for (const command of [[flux], ['node', `${flux}.cjs`]])
        assert.match(
          await print(...command, 'pmi', 'exchange'),
          /^0: completed pmi exchange on 4 tasks in \d\.\d{3}s\.\n$/,
        );
    });

    test('one has all ended', async () => {
      // What it says then may be lost: launchers kill it, too.
      const { exit } = await launch(flux, 'pmi', 'barrier', '--test-abort=2');
      assert.notEqual(exit, 0);
    });

    test('an instance has a rank on each, and runs programs and jobs there', async () => {
      const script = 'flux getattr size; flux getattr hostlist; flux exec -r all hostname; flux run -N4 -n4 hostname';
      const [size, list, ...lines] = (await print(flux, 'start', 'sh', '-c', script)).trim().split('\n');
      assert.deepEqual([size, list], ['4', 'h[0-3]']);
      assert.deepEqual([lines.slice(0, 4).sort(), lines.slice(4).sort()], [hosts.names, hosts.names]);
    });

    test('an instance ends as its program does', async () => {
      assert.equal((await launch(flux, 'start', 'sh', '-c', 'exit 3')).exit, 3);
    });

    test('a host that is cut off is lost to the instance, which goes on without it', async () => {
      // Launchers wait for what they cannot reach, so it is the instance whose end is waited for.
      const [file = '', ...args] = launcher.words([flux, 'start', '-Stbon.tcp_user_timeout=1s', 'sh', '-c', commands]);
      const program = startProgram(file, args);
      const ask = async (line: string) => {
        const from = program.stdout().length;
        program.child.stdin.write(`${line}\n`);
        await until(() => program.stdout().endsWith('.\n') && program.stdout().length > from, `${line} is answered`);
        return program.stdout().slice(from);
      };
      assert.equal(await ask('flux getattr size'), '4\n.\n');
      await hosts.cut(3);
      await until(async () => /h3: lost/.test(await ask('flux overlay status')), 'h3 is lost');
      assert.match(await ask('flux exec -r 2 hostname'), /^h2$/m);
      program.child.stdin.end();
      const processes = async (host: number) => (await hosts.run(host, ['pgrep', '-fc', 'flux.*start'])).stdout;
      for (const host of hosts.names.keys())
        await until(async () => (await processes(host)) === '0\n', `nothing is left on ${hosts.names[host]}`);
      program.child.kill('SIGKILL');
    });
  });
