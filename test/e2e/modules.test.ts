/**
 * Modules that users write, in a thread and in a process: what they can do through their context, what others see of them,
 * and how they come and go.
 */

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Handle } from '../../core/handle/handle.ts';
import type { JsonObject } from '../../core/json.ts';
import { Role } from '../../core/message/credentials.ts';
import { refused } from '../errors.ts';
import { type Instance, startInstance } from './instance.ts';
import { load, moduleNames, remove, writeModule } from './module-files.ts';
import { probeText } from './probe-module.ts';
import { checkRows } from './rows.ts';
import { readLog, until, untilLogged } from './support.ts';

const file = writeModule('probe', probeText);

let instance: Instance;
let handle: Handle;
before(async () => {
  instance = await startInstance(2, ['--conf=test.setting=first']);
  handle = await Handle.open(instance.uri);
});
after(async () => {
  await handle.close();
  const { exit, stderr } = await instance.stop();
  assert.equal(exit, 0, stderr);
});

interface Context {
  readonly uuid: string;
  readonly pid: number;
}

for (const exec of [false, true])
  describe(`a module in a ${exec ? 'process' : 'thread'}`, () => {
    const loadProbe = (args: readonly string[] = [], name?: string) =>
      load(handle, file, { args, exec, ...(name !== undefined && { name }) });

    before(() => loadProbe(['loads', '--b', '', 'also=probe2'], undefined));

    test('knows its rank, its arguments, attributes and configuration', async () => {
      const { uuid, pid, ...context } = await handle.rpc<Context>('probe.context');
      assert.deepEqual(context, {
        name: 'probe',
        rank: 0,
        size: 2,
        args: ['loads', '--b', '', 'also=probe2'],
        setting: 'first',
        hostlist: await handle.attribute('hostlist'),
        nosuch: null,
      });
      assert.match(uuid, /^[\da-f-]{36}$/);
      assert.equal(pid === instance.pid, !exec);
    });

    test('calls other services, here and elsewhere', async () => {
      const ask = (topic: string, payload: JsonObject, nodeid?: number) =>
        handle.rpc<{ value: string; rank: number }>('probe.rpc', {
          topic,
          payload,
          ...(nodeid !== undefined && { nodeid }),
        });
      assert.equal((await ask('attr.get', { name: 'size' })).value, '2');
      assert.equal((await ask('broker.ping', {}, 1)).rank, 1);
      await refused(ask('nosuch.method', {}), 'ENOSYS', /nosuch/);
      await refused(ask('broker.ping', {}, 7), 'EHOSTUNREACH');
    });

    test('publishes events, and gets those that it subscribed to', async () => {
      const events = await handle.subscribe('probed.');
      await handle.rpc('probe.publish', { topic: 'probed.self', payload: { a: [1] } });
      await handle.publish('unrelated.topic', {});
      await handle.publish('probed.other');
      const topics: string[] = [];
      for await (const event of events) if (topics.push(event.topic!) === 2) break;
      assert.deepEqual(topics, ['probed.self', 'probed.other']);
      await until(
        async () => (await handle.rpc<{ seen: unknown[] }>('probe.seen')).seen.length === 2,
        'the module has seen both events',
      );
      const { seen } = await handle.rpc<{ seen: unknown[] }>('probe.seen');
      assert.deepEqual(
        seen,
        [['probed.self', { a: [1] }], ['probed.other']].map(([topic, json = null]) => [topic, json]),
      );
    });

    test('writes to the log by its own name', async () => {
      await handle.rpc('probe.log', { severity: 'warning', text: 'grüße' });
      await untilLogged(handle, /grüße/);
      await checkRows(instance, [
        { args: ['dmesg'], stdout: /probe\.notice\[0\]: hello from 0\n(.*\n)*.*probe\.warning\[0\]: grüße\n/ },
      ]);
    });

    test('answers at once, later, many times, with bytes, or with an error', async () => {
      assert.deepEqual(await handle.rpc('probe.later'), { late: true });
      assert.deepEqual(await handle.rpc('probe2.later'), { late: true });
      const numbers: number[] = [];
      for await (const { i } of handle.stream<{ i: number }>('probe.numbers', { count: 500 })) numbers.push(i);
      assert.deepEqual(
        numbers,
        Array.from({ length: 500 }, (_, i) => i),
      );
      const bytes = Buffer.alloc(3_000_000, 'bytes\0');
      assert.deepEqual(Buffer.from(await handle.rpcBytes('probe.bytes', bytes)), bytes);
      await refused(handle.rpc('probe.numbers', { count: 1 }), 'EPROTO', /streaming/);
      await refused(handle.rpc('probe.fail'), 'EXDEV', /^told to fail$/);
      await refused(handle.rpc('probe.nosuch'), 'ENOSYS', /Unknown service method/);
    });

    test('goes on after a bug, of which the log has the stack', async () => {
      await refused(handle.rpc('probe.bug'), 'EIO', /undefined/);
      await untilLogged(handle, / 0 probe - - - bug in probe\.bug: TypeError/);
      assert.ok(
        (await readLog(handle)).some((line) => /probe\.mjs/.test(line)),
        'no stack in the log',
      );
      await handle.rpc('probe.ping', {});
    });

    test('lets in whom its methods allow', async () => {
      const credentials = { userid: 12345, rolemask: Role.user };
      assert.deepEqual(await handle.rpc('probe.whoami', {}, { credentials }), credentials);
      await refused(handle.rpc('probe.count', {}, { credentials }), 'EPERM', /owner/);
    });

    test('is listed, pinged, measured, traced and debugged as any other', async () => {
      await handle.rpc('probe.count');
      await checkRows(instance, [
        { args: ['module', 'list'], stdout: /^probe +\d+ {2}R +0 +0 probe2$/m },
        { args: ['module', 'list', '-l'], stdout: new RegExp(`^probe .* ${file}$`, 'm') },
        { args: ['ping', '-c1', 'probe'], stdout: /^0!probe\.ping .*seq=0/m },
        { args: ['module', 'stats', 'probe'], stdout: /"calls": [1-9]/ },
        { args: ['module', 'stats', '--clear', 'probe'] },
        { args: ['module', 'stats', '--parse=calls', 'probe'], stdout: '0\n' },
        { args: ['module', 'stats', '-R', 'probe'], stdout: /"utime": \d+\.\d+/ },
        { args: ['module', 'debug', '--setbit', '0x10', 'probe'], stdout: '0x10\n' },
      ]);
      const tracing = instance.flux(['module', 'trace', '-T', 'probe.count', 'probe'], {
        until: (stdout) => /rx > probe\.count(.*\n)+.*tx < probe\.count \[\d+\] success/.test(stdout),
      });
      let isTraced = false;
      void tracing.then(() => {
        isTraced = true;
      });
      await until(async () => {
        await handle.rpc('probe.count');
        return isTraced;
      }, 'a call is traced');
    });

    test('takes a new configuration, or says why not', async () => {
      const config = (setting: string) => ({ test: { setting } });
      await handle.rpc('config.load', config('second'));
      assert.equal((await handle.rpc<{ setting: string }>('probe.context')).setting, 'second');
      await refused(handle.rpc('config.load', config('bad')), 'EINVAL', /dislikes/);
      assert.equal((await handle.rpc<{ setting: string }>('probe.context')).setting, 'second');
      await handle.rpc('config.load', config('first'));
      assert.deepEqual(await handle.rpc('probe.configured'), { configured: ['second', 'first'] });
    });

    test('comes twice by another name, and each is a module of its own', async () => {
      await refused(loadProbe(), 'EEXIST', /probe is loaded already/);
      await loadProbe([], 'twin');
      assert.deepEqual(await handle.rpc('twin.count'), { calls: 1 });
      assert.deepEqual(await handle.rpc('twin.count'), { calls: 2 });
      assert.deepEqual(await handle.rpc('probe.rpc', { topic: 'twin.count' }), { calls: 3 });
      await remove(handle, 'twin');
      await refused(handle.rpc('twin.count'), 'ENOSYS');
      await handle.rpc('probe.ping', {});
    });

    test('runs on several ranks at once', async () => {
      await load(handle, file, { exec, nodeid: 1, args: ['far'] });
      const contexts = await Promise.all(
        [0, 1].map((nodeid) => handle.rpc<Context & { rank: number; args: string[] }>('probe.context', {}, { nodeid })),
      );
      assert.deepEqual(
        contexts.map(({ rank }) => rank),
        [0, 1],
      );
      assert.deepEqual(contexts[1]!.args, ['far']);
      assert.notEqual(contexts[0]!.uuid, contexts[1]!.uuid);
      assert.equal(contexts[0]!.pid === contexts[1]!.pid, !exec);
      await remove(handle, 'probe', { nodeid: 1 });
      // Now the request goes up to rank 0, who has it still.
      const follower = await Handle.open(await handle.attribute('local-uri', { nodeid: 1 }));
      assert.equal((await follower.rpc<{ rank: number }>('probe.context')).rank, 0);
      await follower.close();
    });

    test('that is removed leaves nobody waiting', async () => {
      const local = [1, 2, 3].map(() => handle.rpc('probe.mute'));
      const follower = await Handle.open(await handle.attribute('local-uri', { nodeid: 1 }));
      const far = follower.rpc('probe.mute', {}, { nodeid: 0 });
      const other = handle.rpc('probe2.mute');
      await handle.rpc('probe.ping', {});
      await follower.rpc('probe.ping', {});
      await handle.rpc('log.clear');
      await Promise.all([
        ...[...local, far, other].map((answer) => refused(answer, 'ENOSYS')),
        remove(handle, 'probe'),
      ]);
      await untilLogged(handle, / 0 probe - - - the probe stops/);
      assert.ok(!(await moduleNames(handle)).includes('probe'));
      await refused(handle.rpc('probe2.ping', {}), 'ENOSYS');
      await refused(remove(handle, 'probe'), 'ENOENT', /probe is not loaded/);
      await follower.close();
    });

    test('that is ended without being asked leaves nobody waiting either', async () => {
      await loadProbe();
      const answer = handle.rpc('probe.mute');
      await handle.rpc('probe.ping', {});
      await handle.rpc('log.clear');
      await Promise.all([refused(answer, 'ENOSYS'), remove(handle, 'probe', { cancel: true })]);
      assert.deepEqual(
        (await readLog(handle)).filter((line) => /the probe stops|failed/.test(line)),
        [],
      );
    });

    test('comes again and again', async () => {
      for (let i = 0; i < 5; i++) {
        await loadProbe([String(i)]);
        assert.deepEqual((await handle.rpc<{ args: string[] }>('probe.context')).args, [String(i)]);
        await remove(handle, 'probe', { cancel: i % 2 === 0 });
      }
    });

    const refusals: [what: string, load: () => Promise<unknown>, code: 'ENOTDIR' | 'EINVAL' | 'EIO', text: RegExp][] = [
      ['throws', () => loadProbe(['throws']), 'ENOTDIR', /./],
      ['rejects', () => loadProbe(['rejects']), 'ENOTDIR', /./],
      ['has a bug', () => loadProbe(['breaks']), 'EINVAL', /./],
      ['is not there', () => load(handle, writeModule('none', ''), { exec }), 'EINVAL', /./],
      [
        'is no function',
        () => load(handle, writeModule('text', `export default { start: 'x' };`), { exec }),
        'EINVAL',
        /./,
      ],
      ['does not parse', () => load(handle, writeModule('broken', 'export default {'), { exec }), 'EINVAL', /./],
      ['throws when read', () => load(handle, writeModule('thrower', 'throw new Error(1)'), { exec }), 'EINVAL', /./],
    ];
    for (const [what, attempt, code, text] of refusals)
      test(`whose start ${what} is not loaded, and the log says why`, async () => {
        await handle.rpc('log.clear');
        const before = await moduleNames(handle);
        await refused(attempt(), code, text);
        assert.deepEqual(await moduleNames(handle), before);
        await untilLogged(handle, / 0 \w+ - - - module \w+ cannot start: /);
      });
  });
