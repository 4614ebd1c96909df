/** Files that a job names: plugins in JavaScript, and files in Lua. */

import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { type JsonObject, parseJson, stringifyJson } from '../../../core/json.ts';
import { inWorld, type JobOptions, type JobWorld, type JobWorldOptions } from '../../job-world.ts';
import type { SimulatedProcess } from '../../sim/programs.ts';

const ID = 1n;

inWorld('plugins of an rc file', {}, async (world) => {
  const path = join(world.folder, 'rc.mjs');
  const trace = join(world.folder, 'trace');
  writeFileSync(
    path,
    `
    import { appendFileSync } from 'node:fs';
    const note = (what) => appendFileSync(${JSON.stringify(trace)}, what + '\\n');
    export default [{ name: 'mine', load: (shell) => ({
      tags: { mine: () => 'tag' },
      'shell.init': () => note('init'),
      'shell.post-init': async () => note('post-init'),
      'task.init': (task) => note('task.init ' + task.rank),
      'task.fork': (task) => note('task.fork ' + task.isRunning),
      'shell.start': () => note('start'),
      'task.exit': (task) => note('task.exit ' + task.status),
      'shell.finish': () => note('finish'),
      'shell.tasks-complete': () => note('tasks-complete'),
      'shell.exit': () => note('exit'),
      destroy: () => note('destroy'),
    }) }];
  `,
  );
  await world.runJob(ID, { command: ['print', 'a {{mine}}'], options: { userrc: path } });
  assert.ok(existsSync(trace));
  assert.deepEqual(readFileSync(trace, 'utf8').trim().split('\n'), [
    'init',
    'post-init',
    'task.init 0',
    'task.fork true',
    'start',
    'task.exit 0',
    'finish',
    'tasks-complete',
    'exit',
    'destroy',
  ]);
  assert.deepEqual(world.output(ID), ['data {"stream":"stdout","rank":"0","data":"a tag\\n"}']);
});

/** Runs a job whose working directory holds the files given, by their names. */
async function runWithFiles(world: JobWorld, files: Readonly<Record<string, string>>, job: JobOptions): Promise<void> {
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(world.folder, name)), { recursive: true });
    writeFileSync(join(world.folder, name), text);
  }
  await world.runJob(ID, { ...job, system: { cwd: world.folder, ...job.system } });
}

function logged(world: JobWorld): string[] {
  return world
    .events(ID, 'output')
    .filter((event) => event.startsWith('log'))
    .map((event) => (parseJson(event.slice(4)) as JsonObject).message as string);
}

const printsEnv: JobWorldOptions = {
  programs: {
    env: (process) => {
      process.print(
        `${process.spec.env
          .filter((entry) => entry.startsWith('RC_'))
          .sort()
          .join(' ')}\n`,
      );
      process.exit();
    },
  },
};

inWorld('a Lua file: the environment, and handlers at their moments', printsEnv, async (world) => {
  const rc = `
    shell.setenv ("RC_JOB", shell.info.jobid)
    plugin.register { name = "moments", handlers = {
      { topic = "*", fn = function (topic) if topic ~= "shell.log" then shell.log (topic) end end },
    } }
    plugin.register { name = "tasks", handlers = {
      { topic = "task.init", fn = function () task.setenv ("RC_TASK", task.info.rank) end },
      { topic = "task.exit", fn = function () shell.log ("exit code " .. task.info.exitcode) end },
    } }`;
  await runWithFiles(world, { 'rc.lua': rc }, { command: ['env'], options: { userrc: 'rc.lua' } });
  assert.deepEqual(world.output(ID), ['data {"stream":"stdout","rank":"0","data":"RC_JOB=1 RC_TASK=0\\n"}']);
  assert.deepEqual(logged(world), [
    'shell.init',
    'shell.post-init',
    'task.init',
    'task.exec',
    'task.fork',
    'shell.start',
    'task.exit',
    'exit code 0',
    'shell.finish',
    'shell.tasks-complete',
    'shell.exit',
  ]);
});

const rcFiles = {
  'init.lua': 'shell.log "init" shell.options.userrc = "other.lua"',
  'init.mjs': 'export default (shell) => void shell.log(5, "init")',
  'user.lua': 'shell.log "user"',
  'other.lua': 'shell.log "other"',
  'site/b.lua': 'shell.log "site b"',
  'site/a.mjs': 'export default (shell) => void shell.log(5, "site a")',
  'site/mpi/mine.lua': 'shell.log "mine"',
  'site/mpi/mine@2.lua': 'shell.log "mine 2"',
};
const orders: [options: JsonObject, expected: string[]][] = [
  [{}, ['site a', 'site b']],
  [{ userrc: 'user.lua' }, ['site a', 'site b', 'user']],
  [{ mpi: 'mine', userrc: 'user.lua' }, ['site a', 'site b', 'mine', 'user']],
  [{ mpi: 'mine@2' }, ['site a', 'site b', 'mine', 'mine 2']],
  [{ initrc: 'init.mjs', userrc: 'user.lua' }, ['init', 'site a', 'site b', 'user']],
  [{ initrc: 'init.lua', userrc: 'user.lua' }, ['init']],
  [{ initrc: '/dev/null' }, []],
];
for (const [options, expected] of orders)
  inWorld(`rc files of ${stringifyJson(options)}, in order`, {}, async (world) => {
    const system = { environment: { FLUX_SHELL_RC_PATH: 'site' } };
    await runWithFiles(world, rcFiles, { options, system });
    assert.deepEqual(world.raisedNotes, []);
    assert.deepEqual(logged(world), expected);
  });

/** Lua files that end the job, what is said, and how many programs have run. */
const luaFaults: [what: string, text: string, note: RegExp, started: number][] = [
  ['a mistake', '\nshell.nosuch ()', /^loading rc file .*\/rc.lua: .*rc.lua:2: attempt to call a nil value/, 0],
  ['no Lua', '=', /^loading rc file .*rc.lua:1: unexpected symbol near '='/, 0],
  ['shell.die', 'shell.die "no use"', /^no use$/, 0],
  ['an endless loop', 'while true do end', /rc.lua:1: Lua ran for more than 2 seconds/, 0],
  ['a handler', handlerOf('shell.init', 'error "mine"'), /^plugin 'p': shell.init failed: .*rc.lua:1: mine/, 0],
  [
    'a handler that refuses',
    handlerOf('*.init', 'return false'),
    /^plugin 'p': shell.init failed: .*returned false/,
    0,
  ],
  ['a handler of a task', handlerOf('task.exec', 'error "mine"'), /rc.lua:1: mine/, 0],
  ['shell.die in a handler', handlerOf('shell.init', 'shell.die "no use"'), /^no use$/, 0],
  ['shell.die before a task', handlerOf('task.exec', 'shell.die "no use"'), /^no use$/, 0],
  ['shell.die after a task', handlerOf('task.exit', 'shell.die "no use"'), /^no use$/, 1],
  ['shell.die at the end', handlerOf('shell.tasks-complete', 'error "mine"'), /rc.lua:1: mine/, 1],
];
for (const [what, text, note, started] of luaFaults) {
  let starts = 0;
  const count = (process: SimulatedProcess) => {
    starts++;
    process.exit();
  };
  inWorld(`in a Lua file: ${what}`, { programs: { count } }, async (world) => {
    await runWithFiles(world, { 'rc.lua': text }, { command: ['count'], options: { userrc: 'rc.lua' } });
    const notes = world.raisedNotes;
    assert.equal(notes.length, 1);
    assert.match(notes[0]!, note);
    assert.deepEqual(logged(world), notes);
    assert.equal(starts, started);
  });
}

function handlerOf(topic: string, body: string): string {
  return `plugin.register { name = "p", handlers = { { topic = "${topic}", fn = function () ${body} end } } }`;
}
