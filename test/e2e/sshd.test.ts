// Brokers that are reached by a real sshd, when one is installed (Debian: openssh-server): it listens on a port of loopback.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { flux, type Instance, run, startInstance } from './instance.ts';
import { freePort, isAlive, type RunningProgram, startProgram, temporaryFolder, until } from './support.ts';

const SSHD = '/usr/sbin/sshd';
const folder = temporaryFolder();
const at = (name: string) => path.join(folder, name);

/** Starts an sshd that lets in whoever has the key in the folder; `ssh` is one that has it, `stranger` one that has not. */
async function startSshd(port: number): Promise<RunningProgram> {
  for (const name of ['host', 'key'])
    execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', at(name)], { stdio: 'ignore' });
  const settings = [
    'ListenAddress 127.0.0.1',
    `HostKey ${at('host')}`,
    `AuthorizedKeysFile ${at('key.pub')}`,
    `PidFile ${at('pid')}`,
    'StrictModes no',
    'UsePAM no',
  ];
  fs.writeFileSync(at('config'), `${settings.join('\n')}\n`);
  if (process.getuid!() === 0) fs.mkdirSync('/run/sshd', { recursive: true, mode: 0o755 });
  const sshd = startProgram(SSHD, ['-D', '-e', '-f', at('config'), '-p', String(port)]);
  await until(() => /listening/.test(sshd.stderr()), 'sshd listens');
  const options = ['BatchMode=yes', 'StrictHostKeyChecking=no', `UserKnownHostsFile=${at('known')}`, 'LogLevel=ERROR'];
  for (const [name, key] of [
    ['ssh', 'key'],
    ['stranger', 'host'],
  ] as const) {
    const words = ['exec ssh -F none -i', at(key), ...options.map((each) => `-o${each}`), '"$@"'];
    fs.writeFileSync(at(name), `#!/bin/sh\n${words.join(' ')}\n`, { mode: 0o755 });
  }
  return sshd;
}

/** The ssh that a proxy has started. */
function sshOf(proxy: number): number | undefined {
  const children = (pid: number): number[] =>
    fs.readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ').filter(Boolean).map(Number);
  const isSsh = (pid: number) => fs.readFileSync(`/proc/${pid}/comm`, 'utf8').trim() === 'ssh';
  const look = (pid: number): number | undefined =>
    isSsh(pid)
      ? pid
      : children(pid)
          .map(look)
          .find((each) => each !== undefined);
  return look(proxy);
}

describe('by sshd', { skip: !fs.existsSync(SSHD) && 'there is no sshd' }, () => {
  let instance: Instance;
  let sshd: RunningProgram;
  let env: Record<string, string>;
  let far: string;

  before(async () => {
    const port = await freePort();
    sshd = await startSshd(port);
    instance = await startInstance(4, ['--procs=2']);
    far = instance.uri.replace('local://', `ssh://127.0.0.1:${port}`);
    env = { FLUX_SSH: at('ssh'), PATH: `${path.dirname(flux)}:${process.env.PATH}`, TMPDIR: folder };
  });
  after(async () => {
    await instance?.stop();
    sshd?.child.kill('SIGTERM');
    await sshd?.exited;
  });

  test('a command connects by itself', async () => {
    const { stdout, stderr } = await run(flux, ['exec', '-r', 'all', 'flux', 'getattr', 'size'], {
      env: { ...env, FLUX_URI: far },
    });
    assert.deepEqual([stdout, stderr], ['4\n'.repeat(4), '']);
  });

  test('who is not let in is told so', async () => {
    const { exit, stderr } = await run(flux, ['proxy', far, 'true'], { env: { ...env, FLUX_SSH: at('stranger') } });
    assert.equal(exit, 1);
    assert.match(stderr, /^flux-proxy: cannot connect to ssh:\S+: .*Permission denied/m);
  });

  for (const options of [[], ['--reconnect']])
    test(`when ssh is killed, flux proxy ${options.join(' ')}`, async () => {
      const script = 'echo up; while read -r line; do flux getattr size; done; echo end';
      const proxy = startProgram(flux, ['proxy', ...options, far, script], { ...env, SHELL: '/bin/bash' });
      await until(() => proxy.stdout().includes('up'), `it is connected: ${proxy.stderr()}`);
      proxy.child.stdin.write('\n');
      await until(() => proxy.stdout() === 'up\n4\n', 'a command has an answer');
      const ssh = sshOf(proxy.child.pid!)!;
      process.kill(ssh, 'SIGKILL');
      await until(() => /lost the connection to Flux/.test(proxy.stderr()), 'the loss is seen');
      if (options.length) {
        // It waits until there is a connection again.
        proxy.child.stdin.end('\n');
        assert.equal(await proxy.exited, 0);
        assert.equal(proxy.stdout(), 'up\n4\n4\nend\n', proxy.stderr());
        assert.match(proxy.stderr(), /reconnected/);
      } else {
        assert.equal(await proxy.exited, 129);
        assert.match(proxy.stderr(), /sending SIGHUP to the program/);
      }
      assert.ok(!isAlive(ssh));
      assert.deepEqual(
        fs.readdirSync(folder).filter((name) => name.startsWith('flux-proxy-')),
        [],
      );
    });
});
