/** Terminals of tasks: who may attach when, what passes, and when a session is over; then with a real terminal. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { JsonObject, JsonValue } from '../../../core/json.ts';
import type { ProcessSpec } from '../../../native/index.ts';
import { spawnProcess } from '../../../native/index.ts';
import { ptyPlugin } from '../../../workers/shell/plugins/pty.ts';
import { until } from '../native/support.ts';
import { FakeProcess, FakeShell, type FakeTask } from './shell.ts';

const attach = (mode = 'rw'): JsonObject => ({ type: 'attach', mode, winsize: { rows: 40, cols: 100 } });

async function loaded(pty: JsonValue | undefined, tasks = 1): Promise<FakeShell> {
  return new FakeShell({ tasks, options: pty === undefined ? {} : { pty } }).load(ptyPlugin);
}

/** Starts a task as a shell does. */
function start(shell: FakeShell, task: FakeTask): FakeProcess {
  shell.hooks['task.exec']?.(task);
  task.process = new FakeProcess();
  shell.hooks['task.fork']?.(task);
  return task.process;
}

/** What the terminal shows; null when it is closed. */
function show(task: FakeTask, text: string | null): void {
  task.takers.get(0)!(text === null ? null : Buffer.from(text));
}

function exit(shell: FakeShell, task: FakeTask, status: number): void {
  task.status = status;
  shell.hooks['task.end']?.(task);
}

test('without the option tasks have pipes, and there is a list of no terminals', async () => {
  const shell = await loaded(undefined);
  assert.deepEqual(shell.tasks[0]!.spec.stdio, ['input', 'output', 'output']);
  assert.equal(shell.getEnv('FLUX_TERMINUS_SESSION'), '0');
  const [list] = shell.ask('terminus.list', {}) as [{ sessions: JsonValue; server: { service: string } }];
  assert.deepEqual([list.sessions, list.server.service], [[], '1000-shell-fo.terminus']);
  assert.deepEqual([...shell.methods.keys()], ['terminus.list']);
});

test('a terminal is captured: what it shows is standard output, and nothing is standard error', async () => {
  const shell = await loaded(1, 2);
  const [task, other] = shell.tasks as [FakeTask, FakeTask];
  assert.equal(shell.holds, 2);
  assert.deepEqual(task.spec.stdio, ['terminal', { sameAs: 0 }, { sameAs: 0 }]);
  assert.deepEqual([task.getEnv('FLUX_TERMINUS_SESSION'), other.getEnv('FLUX_TERMINUS_SESSION')], ['0', '1']);
  const child = start(shell, task);
  assert.deepEqual(task.spec.windowSize, { rows: 25, columns: 80 });
  assert.equal(child.isPaused, false);
  show(task, 'shown\r\n');
  show(task, null);
  assert.deepEqual(task.outputs, { 1: 'shown\r\n|', 2: '|' });
  exit(shell, task, 0);
  assert.equal(shell.holds, 1);
  assert.deepEqual(shell.eventContexts, {});
});

test('an interactive one waits for a client, whose terminal it becomes', async () => {
  const shell = await loaded({ interactive: 1 }, 2);
  const [task, other] = shell.tasks as [FakeTask, FakeTask];
  assert.deepEqual(shell.eventContexts, { 'shell.init': { pty: 'terminus.0' } });
  assert.deepEqual(other.spec.stdio, ['input', 'output', 'output']);
  const child = start(shell, task);
  assert.equal(child.isPaused, true);
  assert.deepEqual(task.outputs, { 1: '|', 2: '|' });
  const seen = shell.ask('terminus.0', attach(), 'me', true);
  assert.deepEqual([seen, child.isPaused, child.sizes], [[{ type: 'attach' }], false, [{ rows: 40, columns: 100 }]]);
  show(task, 'ü');
  task.takers.get(0)!(Buffer.from([0xff, 0]));
  assert.deepEqual(shell.ask('terminus.0', { type: 'data', data: 'typed' }, 'me'), [null]);
  assert.deepEqual(shell.ask('terminus.0', { type: 'data', encoding: 'base64', data: 'AwQ=' }, 'me'), [null]);
  assert.deepEqual(child.written, ['typed', '\x03\x04']);
  assert.deepEqual(shell.ask('terminus.0', { type: 'resize', winsize: { rows: 1, cols: 2 } }, 'me'), [null]);
  assert.deepEqual(child.sizes.at(-1), { rows: 1, columns: 2 });
  exit(shell, task, 256);
  assert.equal(shell.holds, 1, 'it waits for what the terminal shows yet');
  show(task, null);
  assert.equal(shell.holds, 0);
  assert.deepEqual(seen, [
    { type: 'attach' },
    { type: 'data', data: 'ü' },
    { type: 'data', encoding: 'base64', data: '/wA=' },
    { type: 'exit', message: 'session exiting', status: 256 },
    'error ENODATA',
  ]);
});

test('captured as well, its event says so; a task that ended waits for its client', async () => {
  const shell = await loaded({ interactive: 1, capture: 1 });
  const [task] = shell.tasks as [FakeTask];
  assert.deepEqual(shell.eventContexts, { 'shell.init': { pty: 'terminus.0', capture: 1 } });
  const child = start(shell, task);
  assert.equal(child.isPaused, true);
  exit(shell, task, 0);
  assert.equal(shell.holds, 1);
  const seen = shell.ask('terminus.0', attach('ro'), 'late', true);
  show(task, 'last words');
  show(task, null);
  assert.equal(shell.holds, 0);
  assert.deepEqual(seen.length, 4);
  assert.equal(task.outputs[1], 'last words|');
});

test('a client that attaches before the task is started sets the size', async () => {
  const shell = await loaded(1);
  const [task] = shell.tasks as [FakeTask];
  shell.ask('terminus.0', attach(), 'me', true);
  shell.ask('terminus.0', { type: 'data', data: 'early' }, 'me');
  const child = start(shell, task);
  assert.deepEqual([task.spec.windowSize, child.written], [{ rows: 40, columns: 100 }, ['early']]);
});

test('what is typed waits for room', async () => {
  const shell = await loaded(1);
  const [task] = shell.tasks as [FakeTask];
  const child = start(shell, task);
  child.room = 3;
  shell.ask('terminus.0', attach('wo'), 'me', true);
  shell.ask('terminus.0', { type: 'data', data: 'abcde' }, 'me');
  shell.ask('terminus.0', { type: 'data', data: 'f' }, 'me');
  assert.deepEqual(child.written, ['abc']);
  child.room = 100;
  task.onRoom!();
  assert.deepEqual(child.written, ['abc', 'de', 'f']);
  const much = 'x'.repeat(1 << 19);
  child.room = 0;
  for (let count = 0; count < 4; count++) shell.ask('terminus.0', { type: 'data', data: much }, 'me');
  child.room = Number.POSITIVE_INFINITY;
  task.onRoom!();
  assert.equal(child.written.join('').length, 6 + 2 * much.length, 'what is beyond the capacity is lost');
});

test('clients come, go and are gone', async () => {
  const shell = await loaded({ interactive: 1 });
  const [task] = shell.tasks as [FakeTask];
  const child = start(shell, task);
  const first = shell.ask('terminus.0', attach(), 'first', true);
  const reader = shell.ask('terminus.0', attach('ro'), 'reader', true);
  const writer = shell.ask('terminus.0', attach('wo'), 'writer', true);
  shell.ask('terminus.0', { type: 'data', data: 'no' }, 'reader');
  shell.ask('terminus.0', { type: 'data', data: 'yes' }, 'writer');
  assert.deepEqual(child.written, ['yes']);
  show(task, 'x');
  assert.deepEqual([first.length, reader.length, writer.length], [2, 2, 1]);
  const [list] = shell.ask('terminus.list', {}) as [{ sessions: JsonObject[] }];
  assert.deepEqual([list.sessions[0]!.clients, list.sessions[0]!.pid, list.sessions[0]!.name], [3, 4242, 'task0']);
  assert.deepEqual(shell.ask('terminus.0', { type: 'detach' }, 'first'), [null]);
  assert.deepEqual(first.slice(2), [{ type: 'exit', message: 'Client requested detach', status: 0 }, 'error ENODATA']);
  shell.ask('disconnect', {}, 'reader');
  assert.equal(child.isPaused, true, 'nobody would read');
  assert.equal(shell.ask('terminus.0', attach(), 'first', true).length, 1, 'who left may come back');
  assert.equal(child.isPaused, false);
  shell.hooks.destroy?.();
  assert.equal(shell.holds, 0);
});

test('a task that is stopped waits for no client', async () => {
  const shell = await loaded({ interactive: 1 });
  const [task] = shell.tasks as [FakeTask];
  const child = start(shell, task);
  exit(shell, task, 15);
  assert.equal(child.isPaused, false);
  show(task, null);
  assert.equal(shell.holds, 0);
});

const refusals: [name: string, payload: JsonValue, code: string, streaming: boolean][] = [
  ['no type', {}, 'EPROTO', true],
  ['no mode', { type: 'attach' }, 'EPROTO', true],
  ['a mode that is none', attach('xy'), 'EPROTO', true],
  ['no stream', attach(), 'EPROTO', false],
  ['no size', { type: 'attach', mode: 'rw' }, 'EPROTO', true],
  ['no rows', { type: 'attach', mode: 'rw', winsize: { rows: 0, cols: 1 } }, 'EINVAL', true],
  ['too many columns', { type: 'attach', mode: 'rw', winsize: { rows: 1, cols: 65536 } }, 'EINVAL', true],
  ['not attached', { type: 'data', data: 'x' }, 'ENOENT', false],
];

for (const [name, payload, code, streaming] of refusals) {
  test(`refused: ${name}`, async () => {
    const shell = await loaded(1);
    assert.deepEqual(shell.ask('terminus.0', payload, 'me', streaming), [`error ${code}`]);
    const [list] = shell.ask('terminus.list', {}) as [{ sessions: JsonObject[] }];
    assert.equal(list.sessions[0]!.clients, 0);
  });
}

test('refused of who is attached: to attach again, another type, data that is none', async () => {
  const shell = await loaded(1);
  shell.ask('terminus.0', attach(), 'me', true);
  assert.deepEqual(shell.ask('terminus.0', attach(), 'me', true), ['error EEXIST']);
  assert.deepEqual(shell.ask('terminus.0', { type: 'other' }, 'me'), ['error ENOSYS']);
  assert.deepEqual(shell.ask('terminus.0', { type: 'data', data: 'x', encoding: 'rot13' }, 'me'), ['error EPROTO']);
  assert.deepEqual(shell.ask('terminus.0', { type: 'data' }, 'me'), ['error EPROTO']);
});

test('task 0 gets a terminal when it is to be interactive, whatever the ranks are', async () => {
  const shell = await loaded({ interactive: 1, ranks: '1' }, 3);
  assert.deepEqual(
    shell.tasks.map(({ spec }) => spec.stdio[0]),
    ['terminal', 'terminal', 'input'],
  );
  assert.deepEqual(shell.logged, ['4 pty: pty: adding pty to rank 0 for interactive support']);
});

test('a real shell on a real terminal', async () => {
  const shell = await loaded({ interactive: 1 });
  const [task] = shell.tasks as [FakeTask];
  task.spec.argv = ['sh', '-c', 'stty size; read line; echo "<$line>"; exit 7'];
  const seen = shell.ask('terminus.0', attach(), 'me', true) as JsonObject[];
  shell.hooks['task.exec']?.(task);
  const spec: ProcessSpec = {
    ...task.spec,
    env: Object.entries(process.env).map(([name, value]) => `${name}=${value}`),
  };
  let status = 0;
  const closed = new Promise<void>((resolve) => {
    const child = spawnProcess(spec, {
      data: (stream, bytes) => task.takers.get(stream)!(bytes),
      drain: () => task.onRoom!(),
      exit: (value) => {
        status = value;
      },
      close: resolve,
    });
    // The real one in the place of the made-up.
    Object.assign(task, { process: child });
    shell.hooks['task.fork']?.(task);
  });
  const shown = () => seen.map(({ data }) => data ?? '').join('');
  await until(() => shown().includes('40 100'), 'the terminal has told its size');
  shell.ask('terminus.0', { type: 'data', data: 'a line\r' }, 'me');
  await closed;
  exit(shell, task, status);
  assert.equal(shown().replace('a line\r\n', ''), '40 100\r\n<a line>\r\n');
  assert.deepEqual(seen.at(-2), { type: 'exit', message: 'session exiting', status: 7 << 8 });
  assert.equal(shell.holds, 0);
});
