// Ranks that move in the tree: because their router's process died, because a connection broke, or because somebody wants it.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import { after, before, describe, test } from 'node:test';
import type { Handle } from '../../core/handle/handle.ts';
import { untilEnd } from '../../core/handle/rpc.ts';
import { Flag } from '../../core/message/message.ts';
import { flux, type Instance, run, startInstance } from './instance.ts';
import { isAlive, temporaryFolder, until, withHandle } from './support.ts';

/** Asks a rank what it says of something. */
async function ask(instance: Instance, rank: number, ...args: string[]): Promise<string> {
  return (await instance.flux(['exec', '-r', String(rank), 'flux', ...args])).stdout.trim();
}

const attribute = (instance: Instance, rank: number, name: string) => ask(instance, rank, 'getattr', name);

const members = async (handle: Handle) =>
  ((await handle.rpc('groups.get', { name: 'broker.online' })) as { members: string }).members;

async function parents(instance: Instance, ranks: readonly number[]): Promise<string> {
  const texts = await Promise.all(ranks.map((rank) => instance.flux(['overlay', 'parentof', String(rank)])));
  return texts.map(({ stdout }) => stdout.trim()).join(' ');
}

/** Runs a program on a rank; resolves to the error that ends its stream. */
function execute(handle: Handle, rank: number, ...cmdline: string[]) {
  const cmd = { cmdline, env: {}, opts: {}, channels: [], cwd: '/' };
  return untilEnd(handle.request('rexec.exec', { cmd, flags: 0 }, { nodeid: rank, flags: Flag.streaming }), () => {});
}

const rewiring = ['-Stbon.topo=kary:1', '-Stbon.policy=rewire', '-Slog-stderr-level=0'];

describe('each rank below the one before, two to a process', () => {
  let instance: Instance;
  before(async () => {
    instance = await startInstance(8, ['--procs=4', ...rewiring]);
    await instance.flux(['overlay', 'status', '--wait=full', '--timeout=10s']);
  });
  after(() => instance.stop());

  test('when a router dies those below it answer again, and what was under way has failed once', async () => {
    const uri = await attribute(instance, 7, 'local-uri');
    const pid = Number(await attribute(instance, 2, 'broker.pid'));
    await withHandle(instance.uri, async (top) =>
      withHandle(uri, async (bottom) => {
        const seen: number[] = [];
        const events = (async () => {
          for await (const event of await bottom.subscribe('test.')) {
            seen.push((event.json as { n: number }).n);
            if (seen.length === 400) return;
          }
        })();
        await bottom.rpc('attr.get', { name: 'rank' });
        const up = bottom.rpc('kvs.wait-version', { namespace: 'primary', rootseq: 1_000_000 });
        const down = execute(top, 7, 'sh', '-c', 'echo $$ >/dev/null; exec sleep 1000.7');
        const beside = execute(top, 1, 'sleep', '0.2');
        const failed = assert.rejects(up, { code: 'EHOSTUNREACH' });
        for (let n = 0; n < 100; n++) await top.publish('test.x', { n });
        process.kill(pid, 'SIGKILL');
        const start = performance.now();
        for (let n = 100; n < 300; n++) await top.publish('test.x', { n });
        await until(async () => {
          const answer = await top.rpc('broker.ping', {}, { nodeid: 7 }).catch(() => undefined);
          return answer !== undefined;
        }, 'rank 7 answers');
        const seconds = (performance.now() - start) / 1000;
        assert.ok(seconds < 2, `rank 7 answered after ${seconds} s`);
        await failed;
        assert.equal((await down).code, 'EHOSTUNREACH');
        assert.equal((await beside).code, 'ENODATA');
        for (let n = 300; n < 400; n++) await bottom.publish('test.x', { n });
        await events;
        assert.deepEqual(seen, [...Array(400).keys()]);
        await until(async () => (await members(top)) === '0-1,4-7', 'all others are online');
        // Nobody reads what it would say.
        await until(async () => (await run('pgrep', ['-f', 'sleep 1000.7'])).exit === 1, 'the program was killed');
      }),
    );
  });

  test('the tree is another, and everything works in it', async () => {
    assert.equal(await parents(instance, [1, 4, 5, 6, 7]), '0 1 4 5 6');
    assert.equal(await attribute(instance, 7, 'tbon.level'), '5');
    assert.equal(await attribute(instance, 0, 'tbon.descendants'), '7');
    const { stdout } = await instance.flux(['overlay', 'status', '--no-pretty']);
    assert.match(stdout, /^1 \S+: degraded\n2 \S+: lost the connection broke\n3 \S+: lost\n4 \S+: full$/m);
    assert.equal((await instance.flux(['run', '-N6', '-n6', 'echo', 'x'])).stdout, 'x\n'.repeat(6));
    const refused = await instance.flux(['overlay', 'reparent', '6', '3']);
    assert.match(refused.stderr, /No route to host/);
  });

  test('configuration goes on to be told', async () => {
    await instance.flux(['config', 'load'], { stdin: '[tbon]\ntorpid_max = "77s"\n' });
    await until(async () => (await ask(instance, 7, 'config', 'get', 'tbon.torpid_max')) === '77s', 'rank 7 has it');
  });

  test('ranks are moved on demand, between processes and within one', async () => {
    await instance.flux(['overlay', 'reparent', '6', '1']);
    await instance.flux(['overlay', 'reparent', '5', '1']);
    assert.equal(await parents(instance, [4, 5, 6, 7]), '1 1 1 6');
    for (const rank of [5, 7]) assert.equal(await attribute(instance, rank, 'rank'), String(rank));
    assert.equal(await attribute(instance, 1, 'tbon.descendants'), '6');
    const { stdout } = await instance.flux(['exec', '-r', '0-1,4-7', 'flux', 'getattr', 'rank']);
    assert.equal(stdout.split('\n').length, 7);
  });

  for (const [args, text] of [
    [['0', '1'], /rank 0 can't be moved/],
    [['1', '1'], /rank 1 can't be moved below rank 1, which is part of its subtree/],
    [['1', '7'], /part of its subtree/],
    [['5', '1'], /rank 1 is the parent of rank 5 already/],
    [['1', '99'], /there is no rank 99/],
    [['nohost', '1'], /'nohost' is neither a rank nor a host/],
  ] as [string[], RegExp][])
    test(`refused: overlay reparent ${args.join(' ')}`, async () => {
      const { stderr, exit } = await instance.flux(['overlay', 'reparent', ...args]);
      assert.match(stderr, text);
      assert.equal(exit, 1);
    });

  test('an event that somebody else publishes moves nobody', async () => {
    await withHandle(instance.uri, async (handle) => {
      for (const payload of [{}, { rank: 1, parent: 7 }, { rank: -1, parent: 0 }, { rank: 4, parent: 1e9 }])
        await handle.publish('overlay.reparent', payload);
      assert.equal(await parents(instance, [1, 4, 5, 6, 7]), '0 1 1 1 6');
      await handle.rpc('broker.ping', {}, { nodeid: 7 });
    });
  });
});

test('tasks below a router that dies, which nobody hears any more, are killed; other jobs go on', async () => {
  const folder = temporaryFolder();
  const instance = await startInstance(6, ['--procs=3', ...rewiring]);
  await instance.flux(['overlay', 'status', '--wait=full', '--timeout=10s']);
  const submit = async (rank: number, script: string) =>
    (await instance.flux(['submit', `--requires=rank:${rank}`, 'sh', '-c', script])).stdout.trim();
  // Each says who its task is; the one waits to be killed, the other for a word.
  await instance.shell(`mkfifo ${folder}/word`);
  const lost = await submit(5, `echo $$ >${folder}/lost.new; mv ${folder}/lost.new ${folder}/lost; exec sleep 1000`);
  const kept = await submit(1, `touch ${folder}/kept; read word <${folder}/word; echo $word`);
  await until(() => ['lost', 'kept'].every((name) => fs.existsSync(`${folder}/${name}`)), 'both tasks run');
  const task = Number(fs.readFileSync(`${folder}/lost`, 'utf8'));
  process.kill(Number(await attribute(instance, 2, 'broker.pid')), 'SIGKILL');
  await until(() => !isAlive(task), 'the task of which nobody hears is killed');
  await withHandle(instance.uri, (handle) =>
    until(async () => (await members(handle)) === '0-1,4-5', 'the rank where it was is part of the instance again'),
  );
  const { stderr } = await instance.flux(['job', 'attach', lost]);
  assert.match(stderr, /node failure/);
  await instance.shell(`echo well >${folder}/word`);
  assert.deepEqual(await instance.flux(['job', 'attach', kept]), { stdout: 'well\n', stderr: '', exit: 0 });
  await instance.stop();
});

test('processes would be above each other: refused', async () => {
  const instance = await startInstance(6, ['--procs=3', '-Stbon.topo=procs:1', '-Slog-stderr-level=0']);
  await instance.flux(['overlay', 'status', '--wait=full', '--timeout=10s']);
  const { stderr } = await instance.flux(['overlay', 'reparent', '1', '2']);
  assert.match(stderr, /the process of ranks \S+ and that of ranks \S+ would be above each other/);
  await instance.stop();
});

test('without rank 0 all end', async () => {
  const { exit, stderr } = await run(
    'sh',
    [
      '-c',
      `${flux} start -s3 --procs=3 ${rewiring.join(' ')} -Stbon.rewire_timeout=0.3s sh -c 'kill -9 $PPID'; echo over`,
    ],
    { timeoutMs: 20_000 },
  );
  assert.equal(exit, 0, stderr);
});

test('ranks of one process are moved on demand', async () => {
  const instance = await startInstance(7, ['-Stbon.topo=kary:2']);
  await instance.flux(['overlay', 'reparent', '1', '2']);
  assert.equal(await parents(instance, [1, 2, 3, 4, 5, 6]), '2 0 1 1 2 2');
  assert.equal(await attribute(instance, 4, 'tbon.level'), '3');
  assert.equal((await instance.flux(['run', '-N7', '-n7', 'echo', 'x'])).stdout, 'x\n'.repeat(7));
  const { stdout } = await instance.flux(['overlay', 'status', '--summary']);
  assert.match(stdout, /full/);
  await instance.stop();
});

for (const [option, text] of [
  ['-Stbon.policy=perhaps', /tbon\.policy 'perhaps' is none of restart, rewire/],
  ['-Stbon.rewire_timeout=soon', /tbon\.rewire_timeout/],
] as const)
  test(`refused: ${option}`, async () => {
    const { exit, stderr } = await run(flux, ['start', '-s2', option, 'true']);
    assert.notEqual(exit, 0);
    assert.match(stderr, text);
  });
