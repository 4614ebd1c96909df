/**
 * Threads of the engine that die, which takes a bug or, as here, no memory: without a router its ranks are gone, and the
 * instance ends at once; without a thread that runs programs, the ranks that it ran them for have none.
 */

import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { describe, test } from 'node:test';
import { Handle } from '../../core/handle/handle.ts';
import { Flag } from '../../core/message/message.ts';
import { refused } from '../errors.ts';
import { type Instance, startInstance } from './instance.ts';
import { moduleNames } from './module-files.ts';
import { isAlive, temporaryFolder, until, untilLogged } from './support.ts';

const folder = temporaryFolder();
const HEAP_MEGABYTES = 64;

/** An instance of two ranks, each of its threads with little memory. */
function start(options: readonly string[]): Promise<Instance> {
  const env = { ...process.env, NODE_OPTIONS: `--max-old-space-size=${HEAP_MEGABYTES}`, TMPDIR: folder };
  return startInstance(2, ['--conf=engine.routers=2', '--conf=engine.exec-workers=2', ...options], { env });
}

/** Has rank `nodeid` keep more than fits into its memory. */
async function exhaustRouter(handle: Handle, nodeid: number): Promise<void> {
  for (let i = 0; i < 2 * HEAP_MEGABYTES; i++)
    await handle.rpc('attr.set', { name: `test.${i}`, value: String(i % 10).repeat(1_000_000) }, { nodeid });
}

/** Has rank `nodeid` run programs with long names until it can no more; returns their process ids. */
async function exhaustPrograms(handle: Handle, nodeid: number): Promise<number[]> {
  const pids: number[] = [];
  for (let i = 0; i < 2 * HEAP_MEGABYTES; i++) {
    const cmd = { cmdline: ['sleep', '60'], env: {}, opts: {}, channels: [], label: `${i} ${'ā'.repeat(2_000_000)}` };
    const first = await handle.request('rexec.exec', { cmd, flags: 0 }, { nodeid, flags: Flag.streaming }).next();
    if (first.errnum) throw Object.assign(first.error(), { pids });
    pids.push(first.unpack({ pid: 'i' }).pid);
  }
  return pids;
}

describe('a thread that dies', { concurrency: 2 }, () => {
  for (const rank of [0, 1])
    test(`with rank ${rank} ends the instance at once, and leaves nothing behind`, async () => {
      const instance = await start([]);
      const handle = await Handle.open(instance.uri);
      await assert.rejects(exhaustRouter(handle, rank));
      assert.equal((await handle.closed)?.code, 'ECONNRESET');
      const { exit, stderr } = await instance.stop();
      assert.equal(exit, 1, stderr);
      assert.match(
        stderr,
        new RegExp(`^thread ${rank + 1} \\(router ${rank}\\) died: Error.*memory limit.*\\n +at `, 'm'),
      );
      assert.ok(
        !fs.existsSync(path.dirname(instance.uri.slice('local://'.length))),
        'the run directory is still there',
      );
    });

  test('and ran programs takes with it those of its ranks', async () => {
    const instance = await start(['-Sbroker.module-nopanic=1']);
    const handle = await Handle.open(instance.uri);
    const failed = await exhaustPrograms(handle, 1).catch((error: { code: string; pids: number[] }) => error);
    assert.ok('pids' in failed, 'it has not died');
    assert.equal(failed.code, 'ENOSYS');
    await untilLogged(handle, /module rexec failed: .*thread exec 1 died: .*memory limit/, 1);
    assert.match(instance.stderr(), /^thread \d+ \(exec 1\) died: Error.*\n +at /m);
    await until(() => failed.pids.every((pid) => !isAlive(pid)), 'its programs have ended');
    assert.ok(!(await moduleNames(handle, 1)).includes('rexec'));
    await refused(handle.rpc('rexec.list', {}, { nodeid: 1 }), 'ENOSYS');
    const again = handle.rpc('module.load', { path: 'rexec', args: [] }, { nodeid: 1 });
    await refused(again, 'EHOSTUNREACH', /thread exec 1 has died/);
    await handle.rpc('broker.ping', {}, { nodeid: 1 });
    const outcome = await instance.flux(['exec', '-r0', 'echo', 'still here']);
    assert.deepEqual([outcome.stdout, outcome.exit], ['still here\n', 0], outcome.stderr);
    await handle.close();
    assert.equal((await instance.stop()).exit, 0);
  });
});
