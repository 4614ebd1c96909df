// Instances of several processes of one machine: everything works as in one, and the others survive one that dies.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { IdSet } from '../../core/formats/idset.ts';
import type { Handle } from '../../core/handle/handle.ts';
import { untilEnd } from '../../core/handle/rpc.ts';
import { Flag } from '../../core/message/message.ts';
import { flux, type Instance, run, startInstance } from './instance.ts';
import { isAlive, startProgram, temporaryFolder, until, withHandle } from './support.ts';

const processesOf = async (pid: number): Promise<number[]> => {
  const { stdout } = await run('pgrep', ['-P', String(pid), '-f', 'broker']);
  return stdout.trim().split('\n').filter(Boolean).map(Number);
};

/** Where a rank listens; it does so once it is asked. */
async function uriOf(instance: Instance, rank: number): Promise<string> {
  const args = ['exec', '-r', String(rank), 'flux', 'getattr', 'local-uri'];
  return (await instance.flux(args)).stdout.trim();
}

for (const [size, procs, ...options] of [
  [8, 3],
  [40, 4],
  [16, 5, '-Stbon.topo=kary:2', '-Stbon.prefertcp=1'],
  [6, 6, '-Stbon.topo=kary:1'],
] as [number, number, ...string[]][]) {
  describe(`${size} ranks in ${procs} processes ${options.join(' ')}`, () => {
    let instance: Instance;
    let handles: Handle[];
    const last = size - 1;

    before(async () => {
      instance = await startInstance(size, [`--procs=${procs}`, '-Slog-stderr-level=0', ...options]);
      await instance.flux(['overlay', 'status', '--wait=full', '--timeout=10s']);
    });
    after(() => instance.stop());

    test('there are so many processes, and each rank knows the same of the instance', async () => {
      assert.equal((await processesOf(instance.pid)).length, procs - 1);
      const { stdout } = await instance.flux(['exec', '-r', 'all', 'flux', 'getattr', 'size']);
      assert.equal(stdout, `${size}\n`.repeat(size));
      const pids = await instance.flux(['exec', '-r', 'all', 'flux', 'getattr', 'broker.pid']);
      assert.equal(new Set(pids.stdout.trim().split('\n')).size, procs);
    });

    test('any rank answers any other', async () => {
      const ranks = [0, 1, Math.floor(size / 2), last];
      for (const from of ranks)
        await withHandle(await uriOf(instance, from), async (handle) => {
          for (const to of ranks)
            assert.equal(
              ((await handle.rpc('attr.get', { name: 'rank' }, { nodeid: to })) as { value: string }).value,
              String(to),
            );
        }).catch((error: Error) => assert.fail(`from ${from}: ${error.message}`));
    });

    test('events reach all ranks in order, whoever publishes them', async () => {
      const uris = await Promise.all([0, 1, last].map((rank) => uriOf(instance, rank)));
      await withHandle(uris[0]!, async (leader) =>
        withHandle(uris[1]!, async (middle) =>
          withHandle(uris[2]!, async (end) => {
            handles = [leader, middle, end];
            const seen: number[][] = [[], [], []];
            const done = handles.map(async (handle, i) => {
              for await (const event of await handle.subscribe('test.')) {
                seen[i]!.push((event.json as { n: number }).n);
                if (seen[i]!.length === 300) return;
              }
            });
            await Promise.all(handles.map((handle) => handle.rpc('attr.get', { name: 'rank' })));
            for (let n = 0; n < 100; n++)
              for (const [i, handle] of handles.entries()) {
                await handle.publish('test.x', { n: n * 3 + i });
              }
            await Promise.all(done);
            for (const each of seen)
              assert.deepEqual(
                each,
                Array.from({ length: 300 }, (_, n) => n),
              );
          }),
        ),
      );
    });

    test('what one rank commits another reads, once it has waited for that version', async () => {
      const { stdout } = await instance.flux(['exec', '-r', '0', 'flux', 'kvs', 'put', 'a=1']);
      assert.equal(stdout, '');
      for (const rank of [1, last]) {
        const uri = await uriOf(instance, rank);
        await instance.flux(['kvs', 'put', `from.${rank}=${rank}`], { env: { FLUX_URI: uri } });
        assert.equal((await instance.flux(['kvs', 'get', `from.${rank}`])).stdout, `${rank}\n`);
        assert.equal((await instance.flux(['kvs', 'get', 'a'], { env: { FLUX_URI: uri } })).stdout, '1\n');
      }
    });

    test('jobs run on all ranks, and their input and output come through', async () => {
      const args = [
        'run',
        `-N${size}`,
        `-n${size}`,
        '-o',
        'cpu-affinity=off',
        'sh',
        '-c',
        'read x; echo $x $FLUX_TASK_RANK',
      ];
      const { stdout, stderr } = await instance.flux(args, { stdin: 'hello\n'.repeat(size) });
      const lines = stdout.trim().split('\n').sort();
      assert.equal(lines.length, size, stderr);
      assert.ok(lines.every((line) => line.startsWith('hello ')));
    });

    test('large messages pass', async () => {
      const uri = await uriOf(instance, last);
      const value = 'x'.repeat(5_000_000);
      await instance.flux(['kvs', 'put', '--raw', 'large=-'], { stdin: value, env: { FLUX_URI: uri } });
      assert.equal((await instance.flux(['kvs', 'get', '--raw', 'large'], { env: { FLUX_URI: uri } })).stdout, value);
    });
  });
}

test('attributes are those of one process', async () => {
  const own = ['broker.pid', 'broker.uuid', 'broker.starttime', 'rundir', 'statedir', 'local-uri'];
  const script = `for rank in 0 1 2 3; do flux exec -r $rank flux lsattr -v; done | grep -vwE '${own.join('|')}'`;
  const { PATH } = process.env;
  const env = { PATH: `${path.dirname(flux)}:${PATH}` };
  for (const options of [[], ['--test-hosts=h[0-3]', '--test-pmi-clique=[[0,2,1,2]]'], ['--test-pmi-clique=none']]) {
    const outcomes = [1, 3].map((procs) =>
      run(flux, ['start', '-s4', `--procs=${procs}`, ...options, 'bash', '-c', script], { env }),
    );
    const [one, several] = await Promise.all(outcomes);
    assert.equal(one!.exit, 0);
    assert.match(one!.stdout, /^hostlist/m);
    assert.deepEqual(several, one);
  }
});

test('a process that is killed takes its ranks with it, and nothing else', async () => {
  const instance = await startInstance(8, ['--procs=4', '-Slog-stderr-level=0']);
  await instance.flux(['overlay', 'status', '--wait=full', '--timeout=10s']);
  await withHandle(instance.uri, async (handle) => {
    const cmd = { cmdline: ['sleep', '100'], env: {}, opts: {}, channels: [], cwd: '/' };
    const responses = handle.request('rexec.exec', { cmd, flags: 0 }, { nodeid: 7, flags: Flag.streaming });
    const ended = untilEnd(responses, () => {});
    const members = async () =>
      ((await handle.rpc('groups.get', { name: 'broker.online' })) as { members: string }).members;
    assert.equal(await members(), '0-7');
    const [, , third] = await processesOf(instance.pid);
    process.kill(third!, 'SIGKILL');
    const start = performance.now();
    await until(async () => (await members()) === '0-5', 'the ranks are gone');
    assert.ok(performance.now() - start < 2000);
    await assert.rejects(handle.rpc('broker.ping', {}, { nodeid: 7 }), { code: 'EHOSTUNREACH' });
    assert.ok(IdSet.parse(await members()).has(5));
    assert.equal((await ended).code, 'EHOSTUNREACH');
    const { stdout } = await instance.flux(['exec', '-r', '0-5', 'flux', 'getattr', 'rank']);
    assert.equal(stdout.trim().split('\n').length, 6);
  });
  await instance.stop();
});

test('exit codes, and starts that fail', async () => {
  const start = (...args: string[]) => run(flux, ['start', ...args]);
  assert.equal((await start('-s4', '--procs=2', 'sh', '-c', 'exit 7')).exit, 7);
  for (const [args, text] of [
    [['-s2', '--procs=3'], /3 processes cannot host 2 ranks/],
    [['--procs=2'], /--procs goes only with --size/],
    [['-s2', '--procs=2', '--alone'], /--alone does not go with --size/],
    [['-s2', '--procs=2', '-Stbon.interface-hint=nosuch', '-Stbon.prefertcp=1'], /nothing fits 'nosuch'/],
    [['-s2', '--procs=2', '-Sbroker.quorum=9'], /'9' is no size between 1 and 2/],
    [['-s3', '--procs=3', '--test-hosts=a,b'], /a,b names 2 hosts for 3 ranks/],
    [['-s2', '--procs=2', '-Sbroker.rc1_path=test $(flux getattr rank) = 0'], /rank 1 failed to start/],
  ] as [string[], RegExp][]) {
    const { exit, stderr } = await start(...args, 'true');
    assert.notEqual(exit, 0, args.join(' '));
    assert.match(stderr, text);
  }
});

test('what keeps launched processes from starting is said before the launcher ends them', async (t) => {
  if (spawnSync('mpiexec.hydra', ['-version']).error) {
    t.skip('mpiexec.hydra is not installed');
    return;
  }
  const args = ['-n', '3', flux, 'start', '--alone', '-Slog-level=loud', 'true'];
  const { exit, stderr } = await run('mpiexec.hydra', args);
  assert.equal(exit, 1);
  assert.equal(stderr, "flux-start: log-level: invalid value 'loud'\n".repeat(3));
});

for (const timeout of ['0', '100d', 'infinity'])
  test(`with tbon.connect_timeout=${timeout} a process has any time to connect`, async () => {
    const outcome = await run(flux, ['start', '-s2', '--procs=2', `-Stbon.connect_timeout=${timeout}`, 'true']);
    assert.deepEqual(outcome, { exit: 0, stdout: '', stderr: '' });
  });

describe('while processes start', () => {
  /** `flux start`, and its other processes. */
  async function begin() {
    const temporary = temporaryFolder();
    const program = startProgram(flux, ['start', '-s3', '--procs=3', 'sleep', '1000'], { TMPDIR: temporary });
    let others: number[] = [];
    await until(async () => {
      others = await processesOf(program.child.pid!);
      return others.length === 2;
    }, 'there are processes');
    return { program, others, temporary };
  }

  test('a signal ends them all, and leaves nothing', async () => {
    const { program, others, temporary } = await begin();
    program.child.kill('SIGTERM');
    assert.equal(await program.exited, 'SIGTERM');
    await until(() => !others.some(isAlive), 'they are gone');
    assert.equal(program.stderr(), '');
    assert.deepEqual(fs.readdirSync(temporary), []);
  });

  test('one that is killed ends the others', async () => {
    const { program, others, temporary } = await begin();
    process.kill(others[0]!, 'SIGKILL');
    assert.equal(await program.exited, 1);
    await until(() => !others.some(isAlive), 'they are gone');
    assert.match(program.stderr(), /process 1 ended before the instance was started/);
    assert.deepEqual(fs.readdirSync(temporary), []);
  });

  test('one that never reaches the process above ends the others', async () => {
    const args = ['start', '-s3', '--procs=3', '-Stbon.connect_timeout=1ms', 'sleep', '1000'];
    const { exit, stderr } = await run(flux, args);
    assert.equal(exit, 1);
    assert.match(stderr, /is not reached in 0\.001s/);
  });
});

test('ranks of a process that stands still are torpid until it goes on', async () => {
  const options = ['--procs=2', '-Stbon.torpid_min=0.1s', '-Stbon.torpid_max=0.5s', '-Slog-stderr-level=0'];
  const instance = await startInstance(4, options);
  await instance.flux(['overlay', 'status', '--wait=full', '--timeout=10s']);
  await withHandle(instance.uri, async (handle) => {
    const torpid = async () =>
      ((await handle.rpc('groups.get', { name: 'broker.torpid' })) as { members: string }).members;
    assert.equal(await torpid(), '');
    const [other] = await processesOf(instance.pid);
    process.kill(other!, 'SIGSTOP');
    await until(async () => (await torpid()) === '2-3', 'they are torpid');
    process.kill(other!, 'SIGCONT');
    await until(async () => (await torpid()) === '', 'they are lively');
    process.kill(other!, 'SIGSTOP');
    await until(async () => (await torpid()) === '2-3', 'they are torpid again');
    await handle.rpc('config.load', { tbon: { torpid_max: '0' } });
    await until(async () => (await torpid()) === '', 'none is torpid any more, though they stand still');
    process.kill(other!, 'SIGCONT');
    await handle.rpc('broker.ping', {}, { nodeid: 3 });
  });
  await instance.stop();
});

test('who floods ranks of a process that takes nothing is refused in the end, and nobody else is kept waiting', async () => {
  const instance = await startInstance(6, ['--procs=3', '-Slog-stderr-level=0']);
  await instance.flux(['overlay', 'status', '--wait=full', '--timeout=10s']);
  await withHandle(instance.uri, async (flooder) =>
    withHandle(instance.uri, async (other) => {
      const [stopped] = await processesOf(instance.pid);
      process.kill(stopped!, 'SIGSTOP');
      const pad = 'x'.repeat(1024 * 1024);
      const outcomes = new Map<string, number>();
      const count = (code: string) => outcomes.set(code, (outcomes.get(code) ?? 0) + 1);
      const ask = () =>
        flooder.rpc('broker.ping', { pad }, { nodeid: 2 }).then(
          () => count('ok'),
          (error: { code: string }) => count(error.code),
        );
      const asked = Array.from({ length: 48 }, ask);
      await until(async () => {
        asked.push(ask());
        return (outcomes.get('EAGAIN') ?? 0) > 0;
      }, 'requests are refused');
      const start = performance.now();
      for (const nodeid of [0, 1, 4, 5]) await other.rpc('broker.ping', {}, { nodeid });
      assert.ok(performance.now() - start < 1000, 'the others answer');
      process.kill(stopped!, 'SIGCONT');
      await Promise.all(asked);
      assert.deepEqual([...outcomes.keys()].sort(), ['EAGAIN', 'ok']);
      await until(async () => {
        await ask();
        return outcomes.get('ok')! > 48;
      }, 'it takes requests again');
      await other.rpc('broker.ping', {}, { nodeid: 2 });
    }),
  );
  await instance.stop();
});
