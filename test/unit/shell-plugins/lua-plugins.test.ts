/** Plugins that files in Lua register and load, and what ends those that go on without end. */

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { LuaFiles } from '../../../workers/shell/lua/lua-files.ts';
import type { LuaLimits } from '../../../workers/shell/lua/state.ts';
import { file, folder, run, setup } from './lua-run.ts';
import { FakeShell } from './shell.ts';

const tight: LuaLimits = { seconds: 0.1, bytes: 4 << 20 };
const small: LuaLimits = { seconds: 60, bytes: 4 << 20 };

/** What would go on without end, and what is said of it. */
const endless: [text: string, limits: LuaLimits, message: RegExp][] = [
  ['\nwhile true do end', tight, /rc.lua:2: Lua ran for more than 0.1 seconds/],
  ['while true do pcall (function () while true do end end) end', tight, /rc.lua:1: Lua ran for more than/],
  ['local function f () return f () end f ()', tight, /Lua ran for more than/],
  ['coroutine.wrap (function () while true do end end) ()', tight, /Lua ran for more than/],
  [
    'while true do coroutine.resume (coroutine.create (function () while true do end end)) end',
    tight,
    /Lua ran for more than/,
  ],
  ['local t = {} for i = 1, 1e9 do t[i] = i .. "text" end', small, /Lua needs more than 4 MiB of memory/],
  ['local s = ("x"):rep (1e9)', small, /Lua needs more than 4 MiB of memory/],
];
for (const [text, limits, message] of endless)
  test(`Lua: ${JSON.stringify(text)} is ended`, async () => {
    await assert.rejects(run(text, limits), { code: 'EINVAL', message });
  });

test('Lua: a handler that goes on without end is ended, and none is called any more', async () => {
  const text = `plugin.register { name = "slow", handlers = {
    { topic = "shell.init", fn = function () while true do end end },
    { topic = "shell.exit", fn = function () shell.log "exit" end },
  } }`;
  const { hooks, shell, lua } = await run(text, tight);
  assert.throws(() => void hooks['shell.init']?.(), /rc.lua:2: Lua ran for more than/);
  hooks['shell.exit']?.();
  assert.deepEqual(shell.logged, []);
  lua.close();
});

test('Lua: when a shell of the job has taken too long, the others on its thread do not try', async () => {
  const job = {};
  const path = file('slow.lua', 'shell.log "tried" while true do end');
  const shells = [1, 2, 3].map(() => new FakeShell(setup));
  for (const shell of shells) {
    const lua = await LuaFiles.open(shell, job, tight);
    await assert.rejects(lua.run(path), /slow.lua:1: Lua ran for more than/);
  }
  assert.deepEqual(
    shells.map(({ logged }) => logged.length),
    [1, 0, 0],
  );
  const other = await LuaFiles.open(new FakeShell(setup), {}, tight);
  await other.run(file('quick.lua', 'shell.log "quick"'));
});

for (const where of ['', 'pcall (function () ', 'coroutine.wrap (function () '])
  test(`Lua: ${where}shell.die ends the shell, and what comes after it is not done`, async () => {
    const { shell, logged } = await run(
      `${where} shell.die "no use" ${where && 'end)'} ${where.startsWith('c') ? '()' : ''}
      for i = 1, 1e6 do end
      shell.log "still there"`,
    );
    assert.deepEqual(shell.failed, ['no use']);
    assert.deepEqual(logged(), []);
  });

test('Lua: handlers are called for their topics, with the task', async () => {
  const { hooks, shell, logged, plugins, lua } = await run(`
    local function tell (topic) shell.log (topic) end
    plugin.register { name = "mine", handlers = {
      { topic = "shell.init", fn = tell },
      { topic = "shell.*", fn = function (topic) shell.log ("any " .. topic) end },
      { topic = "task.init", fn = function ()
        shell.log ("task " .. task.info.rank)
        task.setenv ("A", "1") task.setenv ("B", 2) task.setenv ("A", "x", false) task.unsetenv "B"
        shell.log (task.getenv "A" .. tostring (task.getenv "B"))
      end },
    } }`);
  assert.deepEqual(
    plugins.map(({ name }) => name),
    ['mine'],
  );
  const [, task] = shell.tasks;
  hooks['shell.init']?.();
  hooks['shell.start']?.();
  hooks['task.init']?.(task!);
  hooks['shell.lost']?.(1, 0);
  assert.equal(hooks['task.exec'], undefined);
  assert.deepEqual(logged(), ['shell.init', 'any shell.start', 'task 1', '1nil', 'any shell.lost']);
  assert.deepEqual(
    [...task!.env],
    [
      ['A', '1'],
      ['B', undefined],
    ],
  );
  assert.equal(shell.tasks[0]!.env.size, 0);
  lua.close();
  hooks['shell.exit']?.();
  assert.equal(logged().length, 5);
});

/** What handlers return or do wrong, and what is said of it. */
const handlers: [body: string, message: RegExp | undefined][] = [
  ['', undefined],
  ['return true', undefined],
  ['return 0', undefined],
  ['return shell.log "x"', undefined],
  ['return false', /rc.lua:1: the handler of shell.init returned false/],
  ['return nil', /rc.lua:1: the handler of shell.init returned nil/],
  ['error "my fault"', /rc.lua:1: my fault/],
  ['return task.info', /rc.lua:1: attempt to access task outside of task context/],
];
for (const [body, message] of handlers)
  test(`Lua: a handler that does "${body}"`, async () => {
    const { hooks } = await run(
      `plugin.register { handlers = { { topic = "shell.*", fn = function () ${body} end } } }`,
    );
    const call = () => void hooks['shell.init']?.();
    if (message) assert.throws(call, message);
    else call();
  });

test('Lua: handlers that fail when there is nobody to throw to', async () => {
  const { hooks, shell } = await run(`plugin.register { name = "x", handlers = {
    { topic = "shell.log", fn = function () return false end },
    { topic = "shell.lost", fn = function () error "oops" end },
  } }`);
  hooks['shell.log']?.({ level: 5, message: 'a', rank: 0 });
  assert.deepEqual(shell.failed, []);
  assert.match(
    shell.logged.join(),
    /plugin 'x': shell.log failed: .*rc.lua:2: the handler of shell.log returned false$/,
  );
  hooks['shell.lost']?.(1, 0);
  assert.match(shell.failed.join(), /^plugin 'x': shell.lost failed: .*rc.lua:3: oops$/);
});

test('Lua: a handler of shell.log that goes on without end ends the job', async () => {
  const { hooks, shell } = await run(
    'plugin.register { handlers = { { topic = "shell.log", fn = function () while true do end end } } }',
    tight,
  );
  hooks['shell.log']?.({ level: 5, message: 'a', rank: 0 });
  assert.match(shell.failed.join(), /rc.lua:1: Lua ran for more than/);
});

test('Lua: what Lua logs itself is not told to its handlers', async () => {
  const { hooks, shell, logged } = await run(`plugin.register { handlers = {
    { topic = "shell.log", fn = function () shell.log "heard" end },
    { topic = "shell.init", fn = function () shell.log "said" end },
  } }`);
  const log = shell.log.bind(shell);
  shell.log = (level, message) => {
    log(level, message);
    hooks['shell.log']?.({ level, message, rank: 0 });
  };
  hooks['shell.init']?.();
  assert.deepEqual(logged(), ['said']);
});

test('Lua: a plugin without a name has that of its file', async () => {
  const { plugins } = await run('plugin.register { handlers = { { topic = "*", fn = print } } }');
  assert.deepEqual(
    plugins.map(({ name }) => name),
    [join(folder, 'rc.lua')],
  );
});

test('Lua: plugins in JavaScript are loaded, in the order of the file', async () => {
  const js = (name: string) =>
    `export default { name: '${name}', load: (shell, conf) => ({ 'shell.init': () => shell.setEnv('CONF', JSON.stringify(conf) ?? 'none') }) };`;
  file('plugins/a.mjs', js('a'));
  file('plugins/b.mjs', js('b'));
  file('compiled/c.so', 'ELF');
  const { plugins, hooks, shell } = await run(`
    plugin.searchpath = "/nowhere:${folder}/plugins"
    plugin.load "b.mjs"
    plugin.register { name = "lua", handlers = { { topic = "shell.init", fn = print } } }
    plugin.load "nosuch*.js"
    plugin.load { file = "*.mjs", conf = { list = { "x" }, n = 1 } }`);
  assert.deepEqual(
    plugins.map(({ name }) => name),
    ['b', 'lua', 'a', 'b'],
  );
  hooks['shell.init']?.();
  assert.deepEqual(JSON.parse(shell.env.get('CONF')!), { list: ['x'], n: 1 });
  await assert.rejects(
    run(`plugin.load "${folder}/compiled/*"`),
    /rc.lua:1: plugin.load: .*c.so: not a plugin in JavaScript/,
  );
  file('plugins/broken.mjs', 'export default 1');
  await assert.rejects(run(`plugin.load "${folder}/plugins/broken.mjs"`), /rc.lua:1: plugin.load: .*no plugin/);
});

test('Lua: files share one state, which others do not see', async () => {
  const shell = new FakeShell(setup);
  const lua = await LuaFiles.open(shell, shell);
  const other = await LuaFiles.open(new FakeShell(setup), {});
  await lua.run(file('first.lua', 'shared = 1 shell.common = 2'));
  await lua.run(file('second.lua', 'shell.log (shared + shell.common)'));
  await other.run(file('third.lua', 'assert (shared == nil and shell.common == nil)'));
  assert.deepEqual(shell.logged, ['5 undefined: 3']);
  lua.close();
  lua.close();
  await other.run(file('fourth.lua', 'shell.setenv ("A", "b")'));
});
