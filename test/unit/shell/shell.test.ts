import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { JsonObject } from '../../../core/json.ts';
import { guest, inWorld, type JobOptions, type JobWorld } from '../../job-world.ts';
import type { SimulatedProcess } from '../../sim/programs.ts';

const ID = 1n;
const STDIN = '100-shell-f2.stdin';

inWorld(
  'standard output and error become events',
  {
    programs: {
      talk: (process) => {
        process.print('one\ntwo');
        process.print('oops\n', 2);
        process.print('!\n');
        process.print(Buffer.from([0, 255]));
        process.exit();
      },
    },
  },
  async (world) => {
    await world.runJob(ID, { command: ['talk'] });
    assert.deepEqual(world.events(ID, 'output'), [
      'header {"version":1,"encoding":{"stdout":"UTF-8","stderr":"UTF-8"},"count":{"stdout":1,"stderr":1},"options":{}}',
      'data {"stream":"stdout","rank":"0","data":"one\\n"}',
      'data {"stream":"stderr","rank":"0","data":"oops\\n"}',
      'data {"stream":"stdout","rank":"0","data":"two!\\n"}',
      'data {"stream":"stdout","rank":"0","encoding":"base64","data":"AP8="}',
      'data {"stream":"stdout","rank":"0","eof":true}',
      'data {"stream":"stderr","rank":"0","eof":true}',
    ]);
  },
);

inWorld('output goes to files, with labels', { ranks: 2 }, async (world) => {
  const path = join(world.folder, 'out-{{id.dec}}');
  const options = { output: { stdout: { type: 'file', path, label: true } } };
  await world.runJob(ID, { command: ['print', 'hello'], ranks: '0-1', options });
  const lines = readFileSync(join(world.folder, 'out-1'), 'utf8').split('\n').sort();
  assert.deepEqual(lines, ['', '0: hello', '1: hello']);
  assert.deepEqual(world.output(ID), []);
  assert.match(world.events(ID, 'output')[1]!, /^redirect .*"stream":"stdout","rank":"\[0-1\]"/);
});

inWorld('a file for each task', { ranks: 2 }, async (world) => {
  const path = join(world.folder, 'out-{{task.id}}');
  await world.runJob(ID, { command: ['print', 'x'], ranks: '0-1', options: { output: { stdout: { path } } } });
  for (const rank of [0, 1]) assert.equal(readFileSync(join(world.folder, `out-${rank}`), 'utf8'), 'x\n');
});

inWorld('a task that ends while others start is told of when all have', { ranks: 2 }, async (world) => {
  await world.runJob(ID, { command: ['exit'], ranks: '0-1' });
  const names = world.events(ID, 'exec.eventlog').map((event) => event.split(' ')[0]);
  assert.deepEqual(names.slice(2, 5), ['shell.init', 'shell.start', 'shell.task-exit']);
});

inWorld(
  'the KVS takes so much output and no more',
  {
    programs: {
      talk: (process) => {
        for (let i = 0; i < 5; i++) process.print('1234567\n');
        process.exit();
      },
    },
  },
  async (world) => {
    await world.runJob(ID, { command: ['talk'], options: { output: { limit: 16 } } });
    assert.equal(world.output(ID).length, 2);
    const logged = world.events(ID, 'output').filter((event) => event.startsWith('log'));
    assert.match(logged[0]!, /stdout will be truncated, 16 limit exceeded/);
    assert.match(logged[1]!, /stdout: 24 of 40 bytes truncated/);
  },
);

inWorld('who writes faster than the KVS takes waits', {}, async (world) => {
  const matchtag = world.startJob(ID, { command: ['sleep'] });
  await world.until(() => world.programs.running.length === 1);
  const [process] = world.programs.running as [SimulatedProcess];
  world.isKvsStuck = true;
  const chunk = Buffer.alloc(1 << 20, 'x');
  chunk[chunk.length - 1] = 10;
  let written = 0;
  while (process.paused.size === 0 && written < 100) {
    process.print(chunk);
    written++;
    await world.pass(0.001);
  }
  assert.ok(written >= 8 && written < 16, `${written} MiB were taken`);
  world.unstick();
  await world.until(() => process.paused.size === 0);
  process.exit();
  await world.whenReleased(matchtag);
  assert.equal(world.output(ID).length, written);
});

inWorld(
  'standard input comes to the tasks it is for, on whatever rank',
  {
    ranks: 2,
    programs: {
      cat: (process) => {
        process.onInputEnd = () => {
          process.print(process.input());
          process.exit();
        };
      },
    },
  },
  async (world) => {
    const matchtag = world.startJob(ID, { command: ['cat'], ranks: '0-1' });
    await world.until(() => world.programs.running.length === 2);
    await world.pass(0.1);
    const send = async (io: JsonObject, user = {}) => (await world.ask(STDIN, { stream: 'stdin', ...io }, user)).errno;
    assert.equal(await send({ rank: 'all', data: 'to all\n' }), '');
    assert.equal(await send({ rank: '1', data: 'to one\n', eof: true }), '');
    assert.equal(await send({ rank: '1', data: 'late' }), 'EPIPE');
    assert.equal(await send({ rank: '0', eof: true }, { user: guest }), 'EPERM');
    assert.equal(await send({ rank: 'all', eof: true }), '');
    await world.whenReleased(matchtag);
    assert.deepEqual(world.output(ID).sort(), [
      'data {"stream":"stdout","rank":"0","data":"to all\\n"}',
      'data {"stream":"stdout","rank":"1","data":"to all\\n"}',
      'data {"stream":"stdout","rank":"1","data":"to one\\n"}',
    ]);
    assert.equal(world.events(ID, 'input').length, 4);
  },
);

/** A job whose program is being started, which takes ten seconds. */
async function startSlowly(world: JobWorld, command: readonly string[]): Promise<number> {
  world.programs.startSeconds = 10;
  const matchtag = world.startJob(ID, { command });
  await world.until(() => world.programs.starting === 1);
  return matchtag;
}

async function finishStatus(world: JobWorld, matchtag: number): Promise<string | undefined> {
  await world.pass(10);
  await world.whenReleased(matchtag);
  return world.said(matchtag).find((text) => text.startsWith('finish'));
}

inWorld('a task is signaled that is being started', {}, async (world) => {
  const matchtag = await startSlowly(world, ['sleep']);
  world.event('shell-1.kill', { signum: 10 });
  await world.pass(1);
  assert.equal(world.programs.running.length, 0);
  assert.equal(await finishStatus(world, matchtag), 'finish {"status":35328}');
});

inWorld('a job ends whose task is being started: it never runs on', {}, async (world) => {
  const matchtag = await startSlowly(world, ['stay']);
  world.exception({ id: ID, type: 'cancel', severity: 0 });
  await world.pass(9);
  assert.equal(world.programs.starting, 1);
  assert.deepEqual(world.said(matchtag), ['start']);
  await world.pass(60);
  await world.whenReleased(matchtag);
  assert.equal(world.programs.running.length, 0);
});

inWorld(
  'a task gets the standard input that came while it was being started',
  {
    programs: {
      cat: (process) => {
        process.print(process.input());
        process.onInputEnd = () => process.exit();
      },
    },
  },
  async (world) => {
    const matchtag = await startSlowly(world, ['cat']);
    assert.equal((await world.ask(STDIN, { stream: 'stdin', rank: 'all', data: 'early\n' })).errno, '');
    await world.pass(11);
    assert.equal((await world.ask(STDIN, { stream: 'stdin', rank: 'all', eof: true })).errno, '');
    await world.whenReleased(matchtag);
    assert.deepEqual(world.output(ID), ['data {"stream":"stdout","rank":"0","data":"early\\n"}']);
  },
);

inWorld('a program that cannot be run, seen only when it is started', {}, async (world) => {
  const matchtag = await startSlowly(world, ['no-such-program']);
  world.event('shell-1.kill', { signum: 10 });
  assert.equal(await finishStatus(world, matchtag), 'finish {"status":32512}');
});

inWorld(
  'too much standard input ends the job, and is told once; what the task writes then goes nowhere',
  {
    programs: {
      linger: (process) => {
        process.onSignal = () => process.exitEarly(1);
      },
    },
  },
  async (world) => {
    const matchtag = world.startJob(ID, { command: ['linger'], options: { input: { limit: 4 } } });
    await world.until(() => world.programs.running.length === 1);
    await world.pass(0.1);
    const [process] = world.programs.running as [SimulatedProcess];
    const tooMuch = { stream: 'stdin', rank: 'all', data: '12345' };
    const answers = [world.ask(STDIN, tooMuch), world.ask(STDIN, tooMuch)];
    for (const { errno } of await Promise.all(answers)) assert.equal(errno, 'EPIPE');
    await world.whenReleased(matchtag);
    const { commits } = world;
    process.print('late\n');
    process.finish();
    await world.pass(1);
    assert.equal(world.commits, commits);
    assert.match(world.raisedNotes[0]!, /^stdin exceeds 4 limit/);
    assert.equal(world.events(ID, 'output').filter((event) => event.includes('stdin exceeds')).length, 1);
  },
);

inWorld('standard input is a file', {}, async (world) => {
  const path = join(world.folder, 'input');
  writeFileSync(path, 'text');
  await world.runJob(ID, { options: { input: { stdin: { type: 'file', path } } } });
  assert.deepEqual(world.events(ID, 'input').slice(1), [`redirect {"stream":"stdin","rank":"all","path":"${path}"}`]);
});

inWorld(
  'the variables of a task',
  {
    programs: {
      env: (process) => {
        for (const name of [
          'FLUX_TASK_RANK',
          'FLUX_TASK_LOCAL_ID',
          'FLUX_JOB_SIZE',
          'FLUX_JOB_NNODES',
          'FLUX_JOB_ID',
          'FLUX_JOB_ID_PATH',
          'FLUX_URI',
          'FLUX_KVS_NAMESPACE',
          'HOSTNAME',
          'MINE',
          'FLUX_PROXY_REMOTE',
          'WHERE',
        ])
          process.print(`${name}=${process.variable(name)}\n`);
        process.exit();
      },
    },
  },
  async (world) => {
    await world.runJob(ID, {
      command: ['env'],
      system: { environment: { HOSTNAME: 'elsewhere', MINE: 'yes', FLUX_PROXY_REMOTE: 'x' } },
      options: { 'env-expand': { WHERE: '{{node.name}} {{task.id}}' } },
    });
    const text = world
      .output(ID)
      .map((event) => (JSON.parse(event.slice(5)) as { data: string }).data)
      .join('');
    assert.deepEqual(text.trim().split('\n'), [
      'FLUX_TASK_RANK=0',
      'FLUX_TASK_LOCAL_ID=0',
      'FLUX_JOB_SIZE=1',
      'FLUX_JOB_NNODES=1',
      'FLUX_JOB_ID=ƒ2',
      'FLUX_JOB_ID_PATH=/ƒ2',
      'FLUX_URI=local://rank-0',
      'FLUX_KVS_NAMESPACE=job-1',
      'HOSTNAME=node0',
      'MINE=yes',
      'FLUX_PROXY_REMOTE=undefined',
      'WHERE=node0 0',
    ]);
  },
);

const faults: readonly (readonly [what: string, job: JobOptions, note: RegExp])[] = [
  [
    'an unknown scheme of task maps',
    { options: { taskmap: { scheme: 'nosuch' } } },
    /failed to map tasks with scheme=nosuch/,
  ],
  [
    'a task map of another job',
    { options: { taskmap: { scheme: 'manual', value: '[[0,1,2,1]]' } } },
    /got 2 total tasks, expected 1/,
  ],
  ['an output limit that is none', { options: { output: { limit: 'lots' } } }, /Invalid KVS output.limit=lots/],
  [
    'a folder for output that is not there',
    { options: { output: { stdout: { path: '/no/such/o' } } } },
    /open: \/no\/such\/o: No such file/,
  ],
  [
    'standard input from nowhere',
    { options: { input: { stdin: { type: 'file', path: '/no/such' } } } },
    /error opening input file '\/no\/such'/,
  ],
  [
    'an unknown kind of standard input',
    { options: { input: { stdin: { type: 'pipe' } } } },
    /input.stdin.type=pipe invalid/,
  ],
  [
    'a timeout that is none',
    { options: { 'exit-timeout': 'soon' } },
    /exit-timeout is not a valid Flux Standard Duration/,
  ],
  ['a pty option that is none', { options: { pty: { nosuch: 1 } } }, /invalid shell pty option/],
  ['an rc file that is not there', { options: { userrc: '/no/such.js' } }, /loading rc file \/no\/such.js/],
];
for (const [what, job, note] of faults)
  inWorld(`${what} is an exception and is logged`, {}, async (world) => {
    await world.runJob(ID, job);
    assert.match(world.raisedNotes.join(), note);
    assert.equal(world.programs.running.length, 0);
    assert.match(world.events(ID, 'output').join('\n'), /^(header [^\n]*\n(redirect [^\n]*\n)*)?log [^\n]*$/);
  });

inWorld('what a plugin says that fails before there is output has a header before it', {}, async (world) => {
  await world.runJob(ID, { options: { pty: { nosuch: 1 } } });
  const names = world.events(ID, 'output').map((event) => event.split(' ')[0]);
  assert.deepEqual(names, ['header', 'log']);
});

inWorld(
  'tasks that outlive the first by exit-timeout end',
  {
    ranks: 2,
    programs: { mixed: (process) => (process.variable('FLUX_TASK_RANK') === '1' ? process.exit(0) : undefined) },
  },
  async (world) => {
    const matchtag = world.startJob(ID, { command: ['mixed'], ranks: '0-1', options: { 'exit-timeout': '10s' } });
    await world.until(() => world.programs.running.length === 1);
    await world.pass(9.5);
    assert.equal(world.programs.running.length, 1);
    await world.pass(1);
    await world.whenReleased(matchtag);
    assert.deepEqual(world.raisedNotes, [
      'mixed: task rank 1 on host node1 exited (Exit 0) and exit-timeout=10s has expired',
    ]);
  },
);

inWorld(
  'exit-on-error',
  {
    ranks: 2,
    programs: { mixed: (process) => (process.variable('FLUX_TASK_RANK') === '1' ? process.exit(6) : undefined) },
  },
  async (world) => {
    const said = await world.runJob(ID, { command: ['mixed'], ranks: '0-1', options: { 'exit-on-error': 1 } });
    assert.deepEqual(world.raisedNotes, ['mixed: task rank 1 on host node1 failed (Exit 6) and exit-on-error is set']);
    assert.equal(said[1], `finish {"status":${6 << 8}}`);
  },
);

inWorld(
  'PMI: what a task puts another gets, whatever ranks they are on',
  {
    ranks: 5,
    programs: {
      pmi: (process) => {
        const fd = Number(process.variable('PMI_FD'));
        const rank = Number(process.variable('PMI_RANK'));
        const lines: string[] = [];
        const steps = [
          'cmd=init pmi_version=1 pmi_subversion=1',
          `cmd=put kvsname=ƒ2 key=k${rank} value=v${rank}`,
          'cmd=barrier_in',
          `cmd=get kvsname=ƒ2 key=k${(rank + 1) % 5}`,
        ];
        const next = () => {
          const step = steps.shift();
          if (step !== undefined) process.print(`${step}\n`, fd);
          else {
            process.print(`${lines.at(-1)}\n`);
            process.exit();
          }
        };
        process.onInput = () => {
          lines.splice(0, lines.length, ...process.input(fd).trimEnd().split('\n'));
          process.clock.after(0, next);
        };
        next();
      },
    },
  },
  async (world) => {
    await world.runJob(ID, { command: ['pmi'], ranks: '0-4' });
    assert.deepEqual(
      world
        .output(ID)
        .map((event) => /value=(\w+)/.exec(event)?.[1])
        .sort(),
      ['v0', 'v1', 'v2', 'v3', 'v4'],
    );
  },
);

inWorld('who may ask a shell, and what', {}, async (world) => {
  world.startJob(ID, { command: ['sleep'] });
  await world.until(() => world.programs.running.length === 1);
  const { payload } = await world.ask('100-shell-f2.proctable');
  assert.deepEqual((payload as JsonObject).ids, [0]);
  assert.equal((await world.ask('100-shell-f2.proctable', {}, { user: guest })).errno, 'EPERM');
  assert.equal((await world.ask('100-shell-f2.nosuch')).errno, 'ENOSYS');
});
