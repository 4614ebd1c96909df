// What is wrong with a job is said to whoever submits it or looks at it; what a plugin does wrong ends its job and nothing
// else; modules go and come back while there are jobs; an instance that ends takes its jobs along.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { flux, type Instance, run, startInstance } from './instance.ts';
import { checkRows, type Row } from './rows.ts';
import { temporaryFolder } from './support.ts';

const folder = temporaryFolder();
let instance: Instance;
before(async () => {
  instance = await startInstance(1, ['--conf=exec.kill-timeout=0.3s']);
});
after(async () => {
  const { exit, stderr } = await instance.stop();
  assert.equal(exit, 0, stderr);
});

async function shell(script: string): Promise<string> {
  const { stdout, stderr, exit } = await instance.shell(`set -e; ${script}`);
  assert.equal(exit, 0, `${script}: ${stdout}${stderr}`);
  return stdout.trim();
}

const fails = (line: string, exit: number, stderr: RegExp): Row => ({ args: line.split(' '), exit, stderr });

test('programs that cannot be run, and options that make no sense', () =>
  checkRows(instance, [
    fails('run /nonexistent/prog', 127, /start failed: \/nonexistent\/prog: No such file or directory/),
    fails('run nosuchprog', 127, /start failed: nosuchprog: No such file or directory/),
    fails('run /etc/passwd', 126, /start failed: \/etc\/passwd: Permission denied/),
    {
      args: ['run', '--cwd=/nonexistent', 'pwd'],
      stdout: '/tmp\n',
      stderr: /Could not change dir to \/nonexistent: No such file or directory. Going to \/tmp instead/,
    },
    fails('run --output=/nonexistent/x true', 1, /open: \/nonexistent\/x: No such file or directory/),
    fails('run --input=/nonexistent/x cat', 1, /error opening input file '\/nonexistent\/x'/),
    fails('run -o output.limit=foo true', 1, /Invalid KVS output.limit=foo/),
    fails('run -n 100000 true', 1, /unsatisfiable request: need 100000 slot/),
    fails('run -N 2 true', 1, /unsatisfiable request: need 2 exclusive node\(s\), only 1 eligible/),
    fails('run --requires=nosuch true', 1, /unsatisfiable request/),
    fails('submit -q nosuch true', 1, /'nosuch' is not a valid queue/),
    fails('submit --urgency=99 true', 1, /urgency range is \[0:31\]/),
    fails('submit --dependency=nosuch:1 true', 1, /dependency scheme "nosuch" not supported/),
    fails('submit --dependency=afterok:1 true', 1, /afterok: id 1: job not found/),
  ]));

const core = { type: 'slot', count: 1, label: 'task', with: [{ type: 'core', count: 1 }] };
const task = { command: ['true'], slot: 'task', count: { per_slot: 1 } };
const jobspec = (changes: object): string =>
  JSON.stringify({ version: 1, resources: [core], tasks: [task], attributes: { system: { duration: 0 } }, ...changes });

const malformed: readonly [stdin: string, stderr: RegExp][] = [
  ['', /the jobspec is empty/],
  ['{', /jobspec: invalid JSON/],
  ['[]', /the jobspec must be an object/],
  ['{}', /the key resources is missing/],
  [jobspec({ version: 2 }), /version must be 1/],
  [jobspec({ resources: [{ ...core, count: 0 }] }), /resources\[0\]\.count must be at least 1/],
  [jobspec({ resources: [{ ...core, count: 1e30 }] }), /resources\[0\]\.count must be an integer/],
  [jobspec({ tasks: [{ ...task, command: [] }] }), /tasks\[0\]\.command must not be empty/],
  [jobspec({ attributes: { system: { duration: 'x' } } }), /attributes\.system\.duration must be a number/],
];

test('jobspecs that are none: what is wrong, and where', () =>
  checkRows(
    instance,
    malformed.map(([stdin, stderr]) => ({ args: ['job', 'submit'], exit: 1, stderr, options: { stdin } })),
  ));

test('a job is canceled in each of its states, and only once', async () => {
  const busy = await shell('flux submit -c$(nproc) sleep 1000');
  const jobs = {
    depend: await shell(`flux submit --dependency=afterany:${busy} true`),
    priority: await shell('flux submit --urgency=0 true'),
    sched: await shell('flux submit true'),
    run: busy,
  };
  await shell(`flux job wait-event ${busy} start`);
  for (const [state, id] of Object.entries(jobs)) {
    await shell(`flux cancel ${id}; flux job wait-event -t 10 ${id} clean`);
    assert.equal(await shell(`flux jobs -no '{status}' ${id}`), 'CANCELED', state);
    await checkRows(instance, [fails(`cancel ${id}`, 1, /job is inactive/)]);
  }
  await checkRows(instance, [fails('cancel 1234', 1, /1234: unknown job id/)]);
});

test('a task that takes no SIGTERM is killed', async () => {
  const id = await shell(`flux submit sh -c 'trap "" TERM; echo deaf; while :; do sleep 0.1; done'`);
  await shell(`flux job wait-event -t 10 -p output ${id} data`);
  await shell(`flux cancel ${id}; flux job wait-event -t 10 ${id} clean`);
  assert.equal(await shell(`flux job wait-event -f json ${id} finish | grep -c '"status":35072'`), '1');
});

test('a plugin of the shell that throws ends its job; one that never ends does not keep it from being canceled', async () => {
  const plugin = path.join(folder, 'plugin.mjs');
  fs.writeFileSync(
    plugin,
    `export default {
      name: 'bad',
      load: (shell) => ({
        [shell.option('where')]: () => {
          if (shell.option('throws')) throw new Error('a fault of mine');
          return new Promise(() => {});
        },
      }),
    };`,
  );
  const options = (where: string) => `-o userrc=${plugin} -o where=${where}`;
  for (const where of ['shell.init', 'task.init', 'task.exec', 'task.exit', 'shell.exit']) {
    const { exit, stderr } = await instance.shell(`flux run -o throws ${options(where)} true`);
    assert.equal(exit, 1, where);
    assert.match(stderr, /a fault of mine/);
  }
  for (const where of ['shell.init', 'task.init', 'shell.start', 'shell.exit']) {
    const id = await shell(`flux submit ${options(where)} true`);
    await shell(`flux job wait-event -t 10 ${id} start; flux cancel ${id}; flux job wait-event -t 10 ${id} clean`);
  }
  const { stderr } = await instance.shell('flux run -o userrc=/nonexistent.mjs true');
  assert.match(stderr, /loading rc file \/nonexistent.mjs/);
});

test('modules go and come back while there are jobs', async () => {
  const running = await shell('flux submit sleep 1000');
  await shell(`flux job wait-event ${running} start`);
  await shell('flux module reload job-list; flux module reload job-info; flux module reload job-ingest');
  assert.match(await shell('flux jobs'), /sleep/);

  await shell('flux module remove sched-simple');
  const canceled = await shell('flux submit true');
  const waiting = await shell('flux submit echo waited');
  await shell(`flux cancel ${canceled}; flux job wait-event -t 10 ${canceled} clean; flux module load sched-simple`);
  assert.equal(await shell(`flux job attach ${waiting}`), 'waited');

  await shell('flux module remove job-exec');
  const started = await shell('flux submit echo started');
  await shell('flux module load job-exec');
  assert.equal(await shell(`flux job attach ${started}`), 'started');
  // Its tasks ended with the service that ran it.
  await shell(`flux job wait-event -t 10 ${running} clean`);
  assert.equal(await shell(`flux jobs -no '{status}' ${running}`), 'FAILED');
});

test('an instance whose initial program ends cancels its jobs, and waits for them', async () => {
  const notes = path.join(folder, 'notes');
  const task = `trap "sleep 0.2; echo canceled >> ${notes}; exit" TERM; echo started >> ${notes}; while :; do sleep 0.1; done`;
  const script = `flux submit sh -c '${task}'; until grep -q started ${notes}; do sleep 0.1; done; flux submit true`;
  for (const rc1 of ['', '-Sbroker.rc1_path=flux modprobe rc1 ']) {
    const args = ['start', ...(rc1 ? [rc1] : []), 'bash', '-c', script];
    const env = { PATH: `${path.dirname(flux)}:${process.env.PATH}` };
    const { exit, stderr } = await run(flux, args, { env });
    assert.equal(exit, 0, stderr);
    assert.equal(fs.readFileSync(notes, 'utf8'), 'started\ncanceled\n');
    fs.rmSync(notes);
  }
});
