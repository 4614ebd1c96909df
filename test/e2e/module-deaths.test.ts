/**
 * Modules that die, and modules that do not end: those who wait for them learn it, the log says why, what is to follow by
 * RFC 5 follows, and nobody else notices.
 */

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { FluxError } from '../../core/errno.ts';
import { Handle } from '../../core/handle/handle.ts';
import { refused } from '../errors.ts';
import { type Instance, startInstance } from './instance.ts';
import { load, moduleNames, remove, writeModule } from './module-files.ts';
import { checkAnswers, until, untilLogged } from './support.ts';

const mortal = writeModule(
  'mortal',
  `const soon = (action) => ({ handler: () => { setTimeout(action, 0); return { pid: process.pid }; } });
  export default { start: () => ({ methods: {
    throw: soon(() => { throw new Error('out of the blue'); }),
    reject: soon(() => { void Promise.reject(new Error('nobody waits')); }),
    exit: soon(() => process.exit(3)),
    leave: soon(() => process.exit(0)),
    kill: soon(() => process.kill(process.pid, 'SIGKILL')),
    memory: soon(() => { for (const all = []; ; ) all.push({ length: all.length }); }),
    loop: { handler: () => { for (;;); } },
    wait: { handler: () => LATER },
    swallow: { raw: true, handler: () => LATER },
  } }) };`,
);
const survivor = writeModule('survivor', 'export default { start: () => ({}) };');

interface Death {
  readonly exec: boolean;
  /** The method that it dies of. */
  readonly method: string;
  /** What the log says. */
  readonly text: RegExp;
  /** What stderr shows of where it happened. */
  readonly stack?: RegExp;
}

const deaths: Death[] = [
  { exec: false, method: 'throw', text: /died: out of the blue/, stack: /Error: out of the blue\n +at .*mortal\.mjs/ },
  { exec: false, method: 'reject', text: /died: nobody waits/, stack: /Error: nobody waits\n +at .*mortal\.mjs/ },
  { exec: false, method: 'exit', text: /ended with code 3/ },
  { exec: false, method: 'leave', text: /ended with code 0/ },
  { exec: false, method: 'memory', text: /memory limit/ },
  { exec: true, method: 'throw', text: /exit code 1/, stack: /Error: out of the blue\n +at .*mortal\.mjs/ },
  { exec: true, method: 'reject', text: /exit code 1/, stack: /Error: nobody waits\n +at .*mortal\.mjs/ },
  { exec: true, method: 'exit', text: /exit code 3/ },
  { exec: true, method: 'kill', text: /killed by SIGKILL/ },
  { exec: true, method: 'memory', text: /killed by SIGABRT/ },
];

describe('with broker.module-nopanic', () => {
  let instance: Instance;
  let handle: Handle;
  let follower: Handle;
  before(async () => {
    const env = { ...process.env, NODE_OPTIONS: '--max-old-space-size=64' };
    instance = await startInstance(2, ['-Sbroker.module-nopanic=1'], { env });
    handle = await Handle.open(instance.uri);
    follower = await Handle.open(await handle.attribute('local-uri', { nodeid: 1 }));
    await load(handle, survivor);
  });
  after(async () => {
    await follower.close();
    await handle.close();
    const { exit, stderr } = await instance.stop();
    assert.equal(exit, 0, stderr);
  });

  for (const { exec, method, text, stack } of deaths)
    test(`a ${exec ? 'process' : 'thread'} of a module that dies of ${method} is told of, and nothing else ends`, async () => {
      await handle.rpc('log.clear');
      const shown = instance.stderr().length;
      for (const nodeid of [0, 1]) await load(handle, mortal, { exec, nodeid });
      const answers = [handle.rpc('mortal.wait'), follower.rpc('mortal.wait', {}, { nodeid: 0 })];
      await Promise.all([handle.rpc('mortal.ping', {}), follower.rpc('mortal.ping', {}, { nodeid: 0 })]);
      handle.notify(`mortal.${method}`);
      await Promise.all(answers.map((answer) => refused(answer, 'ENOSYS', /mortal/)));
      await untilLogged(handle, new RegExp(`module mortal failed: .*${text.source}`));
      if (stack) await until(() => stack.test(instance.stderr().slice(shown)), 'the stack is shown');

      assert.ok(!(await moduleNames(handle)).includes('mortal'));
      // Ranks share the thread of a file; a process each has for itself.
      const isOnOther = async () => (await moduleNames(handle, 1)).includes('mortal');
      if (exec) assert.ok(await isOnOther());
      else await until(async () => !(await isOnOther()), 'it is gone from rank 1, too');
      await handle.rpc('survivor.ping', {});
      await checkAnswers(instance.uri);

      await load(handle, mortal, { exec });
      await handle.rpc('mortal.ping', {});
      await remove(handle, 'mortal');
      if (exec) await remove(handle, 'mortal', { nodeid: 1 });
    });

  for (const exec of [false, true])
    test(`a ${exec ? 'process' : 'thread'} that never ends holds up its removal alone, until it is ended`, async () => {
      await load(handle, mortal, { exec });
      handle.notify('mortal.loop');
      const answer = refused(handle.rpc('mortal.wait'), 'ENOSYS');
      let isGone = false;
      const removal = remove(handle, 'mortal').then(() => {
        isGone = true;
      });
      await handle.rpc('survivor.ping', {});
      await checkAnswers(instance.uri);
      assert.ok(!isGone);
      await remove(handle, 'mortal', { cancel: true });
      await Promise.all([removal, answer]);
      await load(handle, mortal, { exec });
      await handle.rpc('mortal.ping', {});
      await remove(handle, 'mortal');
    });

  test('a thread that is ended takes none with it that is started meanwhile', async () => {
    for (let i = 0; i < 5; i++) {
      await load(handle, mortal);
      const other = writeModule(`other${i}`, 'export default { start: () => ({}) };');
      await Promise.all([remove(handle, 'mortal', { cancel: true }), load(handle, other)]);
      await load(handle, mortal);
      for (const name of [`other${i}`, 'mortal']) {
        await handle.rpc(`${name}.ping`, {});
        await remove(handle, name);
      }
    }
  });

  test('a thread that takes nothing holds up nobody, and whoever floods it is told', async () => {
    await load(handle, mortal);
    handle.notify('mortal.loop');
    await moduleNames(handle);
    const flooder = await Handle.open(instance.uri);
    const bytes = Buffer.alloc(1_000_000);
    const codes = Array.from({ length: 100 }, () =>
      flooder.rpc('mortal.swallow', bytes).catch((error: FluxError) => error.code),
    );
    // The last of them: those before it have come, too.
    assert.equal(await codes.at(-1), 'EAGAIN');
    await checkAnswers(instance.uri);
    await remove(handle, 'mortal', { cancel: true });
    const all = await Promise.all(codes);
    assert.ok(all.filter((code) => code === 'ENOSYS').length >= 60, String(all));
    await load(handle, mortal);
    await handle.rpc('mortal.ping', {});
    await remove(handle, 'mortal');
    await flooder.close();
  });
});

test('a thread that misses events because it takes nothing is ended', async () => {
  const instance = await startInstance(1, ['-Sbroker.module-nopanic=1']);
  const handle = await Handle.open(instance.uri);
  const deaf = writeModule(
    'deaf',
    `export default { start: (context) => {
      context.subscribe('', () => {});
      return { methods: { loop: { handler: () => { for (;;); } } } };
    } };`,
  );
  await load(handle, deaf);
  handle.notify('deaf.loop');
  const bytes = Buffer.alloc(1_000_000);
  for (let i = 0; i < 80; i++) await handle.publish('flood', bytes);
  await until(async () => !(await moduleNames(handle)).includes('deaf'), 'the module is gone');
  await untilLogged(handle, /module deaf does not take what it is sent: it is ended/);
  await checkAnswers(instance.uri);
  await handle.close();
  const { exit, stderr } = await instance.stop();
  assert.equal(exit, 0, stderr);
});

describe('without it', { concurrency: 3 }, () => {
  for (const [exec, method] of [
    [false, 'throw'],
    [true, 'kill'],
  ] as const)
    test(`a ${exec ? 'process' : 'thread'} that dies of ${method} on rank 0 ends the instance in order`, async () => {
      const instance = await startInstance(2);
      const handle = await Handle.open(instance.uri);
      await load(handle, mortal, { exec });
      await load(handle, survivor, { exec: !exec });
      handle.notify(`mortal.${method}`);
      await handle.closed;
      const { exit, stderr } = await instance.stop();
      assert.equal(exit, 1, stderr);
      assert.match(stderr, /broker\.crit\[0\]: module mortal failed: /);
    });

  test('one that dies on another rank ends that rank, and the others go on without it', async () => {
    const instance = await startInstance(3);
    const handle = await Handle.open(instance.uri);
    await load(handle, mortal, { nodeid: 1 });
    handle.notify('mortal.throw', {}, { nodeid: 1 });
    await untilLogged(handle, /dead to Flux: .* \(rank 1\)/);
    await refused(handle.rpc('broker.ping', {}, { nodeid: 1 }), 'EHOSTUNREACH');
    await handle.rpc('broker.ping', {}, { nodeid: 2 });
    await handle.close();
    const { exit, stderr } = await instance.stop();
    assert.equal(exit, 1, stderr);
    assert.match(stderr, /broker\.crit\[1\]: module mortal failed: /);
  });

  test('one that never ends cannot keep the instance from ending, when a signal says so', async () => {
    const instance = await startInstance(1);
    const handle = await Handle.open(instance.uri);
    await load(handle, mortal);
    handle.notify('mortal.loop');
    // Its answer says that the module has been sent what came before.
    await moduleNames(handle);
    process.kill(instance.pid, 'SIGTERM');
    await until(
      async () => (await handle.rpc<{ state: string }>('state-machine.get')).state === 'finalize',
      'rc3 waits for the module',
    );
    process.kill(instance.pid, 'SIGTERM');
    const { exit, stderr } = await instance.stop();
    assert.equal(exit, 129, stderr);
    assert.match(stderr, /rc3: aborted/);
  });
});
