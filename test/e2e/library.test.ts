/**
 * The library: instances that a program starts, uses and stops in its own process, and starts that fail.
 */

import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { describe, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { flux, run } from './instance.ts';
import { library } from './library.ts';
import { temporaryFolder } from './support.ts';

const { start, Handle, FluxError } = library;
const folder = temporaryFolder();
const environment = { ...process.env, TMPDIR: folder };
/** What instances have left behind. */
const leftovers = () => fs.readdirSync(folder).filter((name) => name.startsWith('flux-'));

test('an instance is started, used and stopped, and leaves nothing behind', async () => {
  const instance = await start({ size: 3, environment });
  assert.equal(instance.size, 3);
  assert.equal(leftovers().length, 2, 'a run directory and a state directory');
  const handle = await instance.open();
  assert.equal(await handle.attribute('size'), '3');
  assert.deepEqual(await handle.rpc('attr.get', { name: 'rank' }, { nodeid: 2 }), { value: '2', flags: 1 });
  const other = await Handle.open(instance.uri);
  await other.close();
  await handle.close();
  assert.equal(await instance.stop(), 0);
  assert.equal(await instance.exited, 0);
  assert.deepEqual(leftovers(), []);
});

test('two instances live in one process, and end for themselves', async () => {
  const [one, two] = await Promise.all([start({ size: 2, environment }), start({ size: 4, environment })]);
  assert.notEqual(one.uri, two.uri);
  const [first, second] = await Promise.all([one.open(), two.open()]);
  assert.deepEqual([await first.attribute('size'), await second.attribute('size')], ['2', '4']);
  assert.equal(await one.stop(), 0);
  assert.equal((await first.closed)?.code, 'ECONNRESET');
  assert.equal((await second.rpc<{ rank: number }>('broker.ping', {}, { nodeid: 3 })).rank, 3);
  await second.close();
  assert.equal(await two.stop(), 0);
  assert.deepEqual(leftovers(), []);
});

test('an instance can be stopped and started many times', async () => {
  const before = process.listenerCount('exit');
  for (let i = 0; i < 5; i++) {
    const instance = await start({ environment });
    assert.equal(await instance.stop(), 0);
  }
  assert.equal(process.listenerCount('exit'), before, 'each takes its listeners with it');
  assert.deepEqual(leftovers(), []);
});

test('stopping twice is stopping', async () => {
  const instance = await start({ environment });
  assert.deepEqual(await Promise.all([instance.stop(), instance.stop()]), [0, 0]);
  assert.equal(await instance.stop(), 0);
});

test('what is pending ends when the instance stops', async () => {
  const instance = await start({ environment });
  const handle = await instance.open();
  const events = await handle.subscribe('x.');
  const loop = (async () => {
    for await (const event of events) assert.fail(`${event.topic}`);
  })();
  const server = await instance.open();
  await server.serve('never', { answer: { handler: () => library.LATER } });
  const answer = handle.rpc('never.answer', {});
  const stream = (async () => {
    for await (const { members } of handle.stream<{ members: string }>('groups.get', { name: 'y' }))
      assert.equal(members, '');
  })();
  const rejected = [assert.rejects(answer), assert.rejects(stream)];
  assert.equal(await instance.stop(), 0);
  await Promise.all([loop, ...rejected]);
  await assert.rejects(handle.rpc('broker.ping', {}), { code: 'ECONNRESET' });
});

test('what is pending ends when the handle is closed', async () => {
  const instance = await start({ environment });
  const handle = await instance.open();
  const events = await handle.subscribe('x.');
  const answer = assert.rejects(handle.rpc('groups.get', {}, { nodeid: 0 }).then(() => handle.rpc('never.ask', {})));
  await handle.close();
  for await (const event of events) assert.fail(`${event.topic}`);
  await answer;
  await assert.rejects(handle.rpc('broker.ping', {}), { code: 'ECONNABORTED' });
  assert.equal(await instance.stop(), 0);
});

const failures: [what: string, options: Parameters<typeof start>[0], error: { code?: string; message: RegExp }][] = [
  ['a bad size', { size: 0 }, { code: 'EINVAL', message: /0 is no size/ }],
  ['a size that is no integer', { size: 1.5 }, { code: 'EINVAL', message: /1\.5 is no size/ }],
  ['an unknown attribute', { attributes: { nosuch: '1' } }, { code: 'ENOENT', message: /nosuch: unknown attribute/ }],
  ['a bad configuration', { config: { engine: { routers: 'x' } } }, { code: 'EINVAL', message: /'routers'/ }],
  [
    'no run directory',
    { attributes: { rundir: '/nonexistent/run' } },
    { code: 'ENOENT', message: /rundir: .*no such file/i },
  ],
  [
    'an rc1 that fails',
    { attributes: { 'broker.rc1_path': 'exit 5' }, stderr: () => {} },
    { code: 'ECANCELED', message: /ended in state .* with exit code 5/ },
  ],
  [
    'a configuration that a module refuses',
    { config: { heartbeat: { period: 'x' } }, stderr: () => {} },
    { code: 'ECANCELED', message: /with exit code 1/ },
  ],
];

describe('a start fails by', () => {
  for (const [what, options, error] of failures)
    test(what, async () => {
      await assert.rejects(start({ environment, ...options }), (thrown: unknown) => {
        assert.ok(thrown instanceof FluxError);
        assert.equal(thrown.code, error.code);
        assert.match(thrown.message, error.message);
        return true;
      });
      assert.deepEqual(leftovers(), []);
    });
});

test('the log goes where the program says', async () => {
  const lines: string[] = [];
  const instance = await start({
    environment,
    attributes: { 'log-stderr-level': '7', 'log-stderr-mode': 'local' },
    stderr: (line) => lines.push(line),
  });
  await instance.stop();
  assert.ok(lines.some((line) => line.includes('quorum-full: quorum->run')));
});

/** Runs a program that imports the library. */
function runProgram(name: string, source: string) {
  const index = pathToFileURL(path.join(path.dirname(flux), '../dist/index.js')).href;
  const file = path.join(folder, `${name}.mjs`);
  fs.writeFileSync(file, `import { start, Handle } from '${index}';\n${source}`);
  return run(process.execPath, [file], { env: { TMPDIR: folder } });
}

test('a program ends by itself when its instance is stopped', async () => {
  const outcome = await runProgram(
    'stops',
    `const instance = await start({ size: 2 });
     const handle = await instance.open();
     console.log(await handle.attribute('size'));
     await handle.close();
     console.log(await instance.stop());`,
  );
  assert.deepEqual([outcome.exit, outcome.stdout, outcome.stderr], [0, '2\n0\n', '']);
  assert.deepEqual(leftovers(), []);
});

test('a program that exits without stopping its instance leaves no folder behind', async () => {
  const outcome = await runProgram('exits', 'const instance = await start({ size: 2 }); process.exit(3);');
  assert.deepEqual([outcome.exit, outcome.stderr], [3, '']);
  assert.deepEqual(leftovers(), []);
});

test('a program that fails leaves no folder behind', async () => {
  const outcome = await runProgram('fails', 'await start({ size: 2 }); throw new Error("mine");');
  assert.equal(outcome.exit, 1);
  assert.match(outcome.stderr, /Error: mine/);
  assert.deepEqual(leftovers(), []);
});

test('an instance with a command ends when the command does', async () => {
  const outcome = await runProgram(
    'command',
    `const instance = await start({ size: 2, command: ['sh', '-c', 'echo rank $FLUX_URI; exit 4'] });
     process.exitCode = await instance.exited;`,
  );
  assert.equal(outcome.exit, 4);
  assert.match(outcome.stdout, /^rank local:\/\/.*\/local-0\n$/);
  assert.deepEqual(leftovers(), []);
});

test('a handle that is not to keep the program alive does not', async () => {
  const outcome = await runProgram(
    'unref',
    `const instance = await start();
     const handle = await instance.open();
     handle.ref(false);
     await handle.attribute('size');
     await instance.stop();
     console.log('over');`,
  );
  assert.deepEqual([outcome.exit, outcome.stdout], [0, 'over\n']);
});
