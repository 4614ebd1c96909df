/** What files in Lua can do, and what is said when they do it wrong. */

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { file, folder, run } from './lua-run.ts';
import type { FakeShell } from './shell.ts';

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
