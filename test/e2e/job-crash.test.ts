// An instance that is killed by SIGKILL while jobs wait, run and end; `npm run soak -- --jobs` does that for as long as one
// wants.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { JobResult, JobState } from '../../core/formats/job-state.ts';
import type { Handle } from '../../core/handle/handle.ts';
import { SeededRandom } from '../sim/random.ts';
import { KillableInstance } from '../soak/instance.ts';
import { soakJobKills } from '../soak/job-kills.ts';
import { type Outcome, SoakJobs, tasksLeft } from '../soak/jobs.ts';
import { flux, run } from './instance.ts';
import { isAlive, temporaryFolder, until } from './support.ts';

const seed = Number(process.env.TEST_SEED ?? Math.floor(Math.random() * 2 ** 31));

test(`no job is lost or run twice by a kill (seed ${seed})`, { timeout: 120_000 }, async () => {
  const { jobs } = await soakJobKills({ flux, kills: 3, seed });
  assert.ok(jobs > 0);
});

test('what ran is told that it died, and what waited is run', { timeout: 60_000 }, async () => {
  const folder = temporaryFolder();
  const statedir = path.join(folder, 'state');
  fs.mkdirSync(statedir);
  const start = async () => {
    const instance = new KillableInstance({ flux, statedir, folder, checkpointSeconds: undefined });
    await instance.ready();
    const env = { FLUX_URI: `local://${instance.rundir}/local-0` };
    const shell = (script: string) =>
      run('bash', ['-c', script], { env: { ...env, PATH: `${path.dirname(flux)}:${process.env.PATH}` } });
    return { instance, shell };
  };
  const first = await start();
  const pids = path.join(folder, 'pids');
  // A child in a session of its own, too.
  const task = `echo $$ >> ${pids}; setsid sleep 1000 & echo $! >> ${pids}; wait`;
  const submitted = await first.shell(
    `flux submit -n1 -c$(nproc) sh -c '${task}'; flux submit -c$(nproc) echo waited; flux submit --urgency=0 true`,
  );
  const [running, waiting, held] = submitted.stdout.trim().split('\n');
  assert.ok(held, JSON.stringify(submitted));
  const readPids = () => (fs.existsSync(pids) ? fs.readFileSync(pids, 'utf8').trim().split('\n').map(Number) : []);
  await until(() => readPids().length === 2, 'the task runs');
  await first.shell(`flux job wait-event ${running} start`);
  await first.instance.kill();
  await until(() => !readPids().some(isAlive), 'the task and its child are gone');

  const second = await start();
  const outcome = await second.shell(
    `flux job attach ${running}; echo "exit $?"; flux job attach ${waiting}; flux cancel ${held}; flux submit true`,
  );
  const [exit, waited, later] = outcome.stdout.trim().split('\n');
  assert.match(outcome.stderr, /the tasks of the job ended when the instance went down/);
  assert.match(exit!, /^exit [1-9]/);
  assert.equal(waited, 'waited');
  assert.ok(later, JSON.stringify(outcome));
  const listed = await second.shell('flux queue drain; flux jobs -ano "{id.f58} {result}"');
  assert.deepEqual(
    listed.stdout.trim().split('\n').sort(),
    [`${running} FAILED`, `${waiting} COMPLETED`, `${held} CANCELED`, `${later} COMPLETED`].sort(),
  );
  second.instance.end();
  await second.instance.ended();
});

test('jobs of the past are listed as before, after an end and after a kill', { timeout: 60_000 }, async () => {
  const statedir = temporaryFolder();
  const list =
    'flux jobs -ano "{id.f58} {name} {ntasks} {nnodes} {ranks} {nodelist} {result} {t_submit} {t_inactive} {returncode}"';
  const live = async (script: string) =>
    (await run(flux, ['start', `-Sstatedir=${statedir}`, 'bash', '-c', `${script}; ${list}`])).stdout
      .trim()
      .split('\n');
  const before = await live(
    'flux submit --quiet --cc=1-20 true; flux submit --quiet -n2 --job-name=x false; flux queue drain',
  );
  assert.equal(before.length, 21);
  assert.deepEqual(await live(':'), before);
  const killed = live('flux run true; kill -KILL $(flux getattr broker.pid); exit');
  await killed;
  const after = await live(':');
  assert.deepEqual([after.length, after.slice(1)], [22, before]);
  assert.deepEqual((await live('flux job purge --force --num-limit=1 >/dev/null')).length, 1);
  assert.deepEqual(await live(':'), after.slice(0, 1));
});

test('processes of other instances are not taken for tasks', () => {
  assert.deepEqual(tasksLeft('/nowhere'), []);
});

/** Jobs that were submitted to something that answers with ids from 1 on. */
async function submitted(runs: string): Promise<SoakJobs> {
  const file = path.join(temporaryFolder(), 'runs');
  const jobs = new SoakJobs(file);
  let id = 0;
  const handle = {
    rpc: async (topic: string) => (topic === 'job-ingest.submit' ? { id: ++id } : {}),
    stream: async function* () {},
  } as unknown as Handle;
  await jobs.submit(handle, new SeededRandom(1), () => id < 2);
  fs.writeFileSync(file, runs);
  return jobs;
}

const over = { state: JobState.inactive, result: JobResult.completed, exception: '' };
const waits = { state: JobState.sched, result: 0, exception: '' };

const judged: readonly { note: string; runs: string; found: readonly Outcome[]; error: RegExp }[] = [
  { note: 'a job that is lost', runs: '', found: [{ id: 1n, ...waits }], error: /is lost/ },
  {
    note: 'a job that was run twice',
    runs: 'ƒ2\nƒ3\nƒ3\n',
    found: [
      { id: 1n, ...over },
      { id: 2n, ...over },
    ],
    error: /was run 2 times/,
  },
  {
    note: 'a job that was never run',
    runs: 'ƒ3\n',
    found: [
      { id: 1n, ...over },
      { id: 2n, ...over },
    ],
    error: /is completed and was run 0 times/,
  },
];

for (const { note, runs, found, error } of judged)
  test(`the kill test finds ${note}`, async () => {
    const jobs = await submitted(runs);
    assert.throws(() => jobs.settle(found), error);
  });
