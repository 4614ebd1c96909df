/** What files in Lua can do: they run with a shell that keeps what it was told. */

import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, test } from 'node:test';
import { LuaFiles } from '../../../workers/shell/lua/lua-files.ts';
import type { LuaLimits } from '../../../workers/shell/lua/state.ts';
import type { ShellHooks, ShellPlugin } from '../../../workers/shell/plugin.ts';
import { FakeShell, type ShellSetup } from './shell.ts';

const folder = mkdtempSync(join(tmpdir(), 'flux-lua-'));
after(() => rmSync(folder, { recursive: true }));

function file(name: string, text: string): string {
  const path = join(folder, name);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text);
  return path;
}

const setup: ShellSetup = {
  options: { mpi: 'openmpi@5', mine: { deep: [1, 'two', { three: true }] }, none: null },
  env: { HOME: folder, LIST: '/a:/b', FOO_1: '1', FOO_2: '2', BAR: '3', FLUX_SHELL_RC_PATH: join(folder, 'site') },
  jobspec: { version: 1, attributes: { system: { shell: { options: { mine: 1 } } } } },
  R: { version: 1 },
  attributes: { 'conf.shell_pluginpath': '/no/plugins' },
  tasks: 2,
  cores: '0-3',
  gpus: '1',
  verbosity: 1,
};

interface Ran {
  readonly shell: FakeShell;
  readonly plugins: readonly ShellPlugin[];
  readonly lua: LuaFiles;
  /** Hooks of the last plugin. */
  readonly hooks: ShellHooks;
  /** What was logged, without level and component. */
  logged(): string[];
}

async function run(text: string, limits?: LuaLimits): Promise<Ran> {
  const shell = new FakeShell(setup);
  const lua = await LuaFiles.open(shell, limits);
  const plugins = await lua.run(file('rc.lua', text));
  const hooks = plugins.at(-1)?.load(shell) ?? {};
  return { shell, plugins, lua, hooks, logged: () => shell.logged.map((line) => line.replace(/^\d undefined: /, '')) };
}

file('site/one.lua', 'shell.log "site one"');
file('site/two.lua', 'shell.log "site two"');
file('site/mpi/openmpi.lua', 'shell.log "any openmpi"');
file('site/mpi/openmpi@5.lua', 'shell.log "openmpi 5"');
file('lua.d/own.lua', 'shell.log "own"');
file('home.lua', '#!/usr/bin/lua\nshell.log (debug.getinfo (1, "l").currentline)');

/** Expressions, and what Lua makes text of. */
const values: [expression: string, expected: string][] = [
  ['shell.info.jobid', '42'],
  ['math.type (shell.info.jobid)', 'integer'],
  ['shell.info.rank', '0'],
  ['shell.info.size', '1'],
  ['shell.info.ntasks', '2'],
  ['shell.info.service', '1000-shell-fo'],
  ['shell.info.instance_owner', '500'],
  ['shell.info.options.mine', '1'],
  ['shell.info.options.verbose', '1'],
  ['shell.info.jobspec.version', '1'],
  ['shell.info.R.version', '1'],
  ['shell.rankinfo.name', 'node0'],
  ['shell.get_rankinfo (0).broker_rank', '0'],
  ['shell.get_rankinfo ().ntasks', '2'],
  ['shell.rankinfo.taskids', '0-1'],
  ['shell.rankinfo.resources.ncores', '4'],
  ['shell.rankinfo.resources.cores', '0-3'],
  ['shell.rankinfo.resources.gpus', '1'],
  ['shell.get_rankinfo (7)', 'nil'],
  ['shell.options.mpi', 'openmpi@5'],
  ['shell.options.mine.deep[2]', 'two'],
  ['shell.options.mine.deep[3].three', 'true'],
  ['shell.options.nosuch', 'nil'],
  ['shell.options.none', 'nil'],
  ['shell.options.verbose', '1'],
  ['select (2, shell.getopt_with_version "mpi")', '5'],
  ['(shell.getopt_with_version "mpi")', 'openmpi'],
  ['shell.getopt_with_version "nosuch"', 'nil'],
  ['shell.getenv "BAR"', '3'],
  ['shell.getenv "NOSUCH"', 'nil'],
  ['shell.getenv ().LIST', '/a:/b'],
  ['os.getenv "BAR"', '3'],
  ['shell.verbose', 'true'],
  ['shell.rcpath', folder],
  ['plugin.searchpath', '/no/plugins'],
  ['require "flux.shell"', 'true'],
  ['type (os.time ())', 'number'],
  ['type (os.date ())', 'string'],
  ['io.open', 'nil'],
  ['os.execute', 'nil'],
  ['os.remove', 'nil'],
  ['debug.sethook', 'nil'],
  ['dofile', 'nil'],
  ['load "return 6 * 7" ()', '42'],
];
for (const [expression, expected] of values)
  test(`Lua: ${expression} is ${expected.replace(folder, 'the folder')}`, async () => {
    const { logged } = await run(`shell.log (tostring ((${expression})))`);
    assert.deepEqual(logged(), [expected]);
  });

/** Statements, and what they leave in the environment or the options. */
const effects: [statement: string, look: (shell: FakeShell) => unknown, expected: unknown][] = [
  ['shell.setenv ("NEW", "x")', ({ env }) => env.get('NEW'), 'x'],
  ['shell.setenv ("NEW", 5)', ({ env }) => env.get('NEW'), '5'],
  ['shell.setenv ("BAR", "x", false)', ({ env }) => env.get('BAR'), '3'],
  ['shell.setenv ("BAR", "x", 0)', ({ env }) => env.get('BAR'), '3'],
  ['shell.setenv ("BAR", "x", true)', ({ env }) => env.get('BAR'), 'x'],
  ['assert (shell.setenv ("NEW", "é"))', ({ env }) => env.get('NEW'), 'é'],
  ['shell.unsetenv "BAR"', ({ env }) => env.has('BAR'), false],
  ['shell.prepend_path ("LIST", "/c")', ({ env }) => env.get('LIST'), '/c:/a:/b'],
  ['shell.prepend_path ("LIST", "/b")', ({ env }) => env.get('LIST'), '/a:/b'],
  ['shell.prepend_path ("NEW", "/c")', ({ env }) => env.get('NEW'), '/c'],
  [
    'shell.env_strip ("^FOO_", "^L")',
    ({ env }) => [...env.keys()].filter((name) => /FOO|LIST|BAR/.test(name)),
    ['BAR'],
  ],
  ['shell.options.mpi = "none"', (shell) => shell.option('mpi'), 'none'],
  ['shell.options["cpu-affinity"] = nil', (shell) => shell.option('cpu-affinity'), undefined],
  [
    'shell.options.new = { list = { 1, 2.5 }, on = true, empty = {} }',
    (shell) => shell.option('new'),
    { list: [1, 2.5], on: true, empty: {} },
  ],
  ['shell.verbose = true', (shell) => shell.option('verbose'), 1],
  ['shell.verbose = 2', (shell) => shell.option('verbose'), 2],
  ['shell.mydata = { 1 } assert (shell.mydata[1] == 1)', ({ failed }) => failed, []],
  ['plugin.searchpath = "/x" assert (plugin.searchpath == "/x")', ({ failed }) => failed, []],
  ['coprocess.define { name = "off", command = { "x" } }', ({ failed }) => failed, []],
];
for (const [statement, look, expected] of effects)
  test(`Lua: ${statement}`, async () => {
    const { shell } = await run(statement);
    assert.deepEqual(look(shell), expected);
  });

/** Statements, and what they log. */
const logs: [statement: string, expected: string[]][] = [
  ['shell.log "a" shell.debug "b" shell.log_error "c"', ['5 undefined: a', '6 undefined: b', '3 undefined: c']],
  ['print ("a", 1, nil)', ['5 undefined: a\t1\tnil']],
  ['io.stderr:write ("a", 1, "\\n")', ['5 undefined: a1']],
  [`source "${folder}/site/*.lua"`, ['5 undefined: site one', '5 undefined: site two']],
  ['source "~/home.lua"', ['5 undefined: 2']],
  [`source "${folder}/nosuch/*.lua"`, []],
  ['source_if_exists "/no/such.lua"', []],
  [`source_if_exists "${folder}/site/one.lua"`, ['5 undefined: site one']],
  ['shell.source_rcpath "*.lua"', ['5 undefined: own', '5 undefined: site one', '5 undefined: site two']],
  ['shell.source_rcpath_option "mpi"', ['5 undefined: any openmpi', '5 undefined: openmpi 5']],
];
for (const [statement, expected] of logs)
  test(`Lua: ${statement.replace(folder, '')}`, async () => {
    const { shell } = await run(statement);
    assert.deepEqual(shell.logged, expected);
  });

/** Files that are wrong, and what is said of them, behind the file's name. */
const faults: [text: string, message: RegExp][] = [
  ['shell.log "a"\n\nx = nil + 1', /^:3: attempt to perform arithmetic/],
  ['shell.log (', /^:1: unexpected symbol near <eof>/],
  ['local t = {}\nt.x.y = 1', /^:2: attempt to index a nil value/],
  ['error { "table" }', /^table: /],
  ['error (setmetatable ({}, { __tostring = function () return "own words" end }))', /^own words/],
  ['\nsource "/no/such.lua"', /^:2: source \/no\/such.lua: No such file or directory/],
  ['\nshell.getenv = 1', /^:2: attempt to set read-only field shell.getenv/],
  ['shell.info = 1', /^:1: attempt to set read-only field shell.info/],
  ['plugin.load = 1', /^:1: attempt to set read-only field plugin.load/],
  ['shell.verbose = {}', /^:1: invalid assignment to shell.verbose/],
  ['shell.setenv ("A", {})', /^:1: A is no text/],
  ['shell.setenv ("A")', /^:1: A is no text: nil/],
  ['shell.options.x = print', /^:1: a value is neither text/],
  ['local t = {} t.t = t shell.options.x = t', /^:1: a value is neither text/],
  ['\nlocal i = task.info', /^:2: attempt to access task outside of task context/],
  ['task.setenv ("A", "b")', /^:1: attempt to access task outside of task context/],
  ['plugin.register (1)', /^:1: plugin.register: a table is required/],
  ['plugin.register {}', /^:1: plugin.register: required handlers table missing/],
  ['plugin.register { handlers = { topic = "*" } }', /^:1: plugin.register: handlers table has no entries/],
  ['plugin.register { handlers = { { fn = print } } }', /^:1: plugin.register: missing or invalid 'topic'/],
  ['plugin.register { handlers = { { topic = "*" } } }', /^:1: plugin.register: missing or invalid 'fn'/],
  ['plugin.load (true)', /^:1: plugin.load: invalid argument/],
  ['plugin.load "nosuch.so"', /^:1: plugin.load: nosuch.so: File not found/],
  ['plugin.load { file = "/nosuch.js" }', /^:1: plugin.load: \/nosuch.js: File not found/],
  ['coprocess.define { name = "mine" }', /^:1: coprocess.define: mine: there are no coprocesses/],
  ['require "posix"', /^:1: module 'posix' not found/],
  ['os.exit (0)', /^:1: os.exit: a shell is not a process/],
  ['setmetatable ({}, { __gc = print })', /^:1: setmetatable: there are no finalizers/],
  ['local function f () return f () + 1 end f ()', /^:1: stack overflow/],
];
for (const [text, message] of faults)
  test(`Lua: ${JSON.stringify(text)} fails`, async () => {
    await assert.rejects(run(text), ({ code, message: told }: NodeJS.ErrnoException) => {
      assert.equal(code, 'EINVAL');
      assert.match(told.replace(join(folder, 'rc.lua'), ''), message);
      return true;
    });
  });

const tight: LuaLimits = { seconds: 0.1, bytes: 4 << 20 };

/** What would go on without end, and what is said of it. */
const endless: [text: string, message: RegExp][] = [
  ['\nwhile true do end', /rc.lua:2: Lua ran for more than 0.1 seconds/],
  ['while true do pcall (function () while true do end end) end', /rc.lua:1: Lua ran for more than/],
  ['local function f () return f () end f ()', /Lua ran for more than/],
  ['coroutine.wrap (function () while true do end end) ()', /Lua ran for more than/],
  [
    'while true do coroutine.resume (coroutine.create (function () while true do end end)) end',
    /Lua ran for more than/,
  ],
  ['local t = {} for i = 1, 1e9 do t[i] = i .. "text" end', /Lua needs more than 4 MiB of memory/],
  ['local s = ("x"):rep (1e9)', /Lua needs more than 4 MiB of memory/],
];
for (const [text, message] of endless)
  test(`Lua: ${JSON.stringify(text)} is ended`, async () => {
    const started = performance.now();
    await assert.rejects(run(text, tight), { code: 'EINVAL', message });
    assert.ok(performance.now() - started < 3000);
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
  const lua = await LuaFiles.open(shell);
  const other = await LuaFiles.open(new FakeShell(setup));
  await lua.run(file('first.lua', 'shared = 1 shell.common = 2'));
  await lua.run(file('second.lua', 'shell.log (shared + shell.common)'));
  await other.run(file('third.lua', 'assert (shared == nil and shell.common == nil)'));
  assert.deepEqual(shell.logged, ['5 undefined: 3']);
  lua.close();
  lua.close();
  await other.run(file('fourth.lua', 'shell.setenv ("A", "b")'));
});
