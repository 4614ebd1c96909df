import assert from 'node:assert/strict';
import { jobKey, jobNamespace } from '../../../core/formats/job-keys.ts';
import type { JsonObject } from '../../../core/json.ts';
import { guest, inWorld, type JobOptions } from '../../job-world.ts';

const ID = 1n;
const RELEASE = 'release {"ranks":"all","final":true}';

inWorld('a job: what the job manager is told, and what its log has', {}, async (world) => {
  const job = world.startJob(ID);
  assert.deepEqual(await world.whenReleased(job), ['start', 'finish {"status":0}', RELEASE]);
  assert.deepEqual(world.events(ID, 'exec.eventlog'), [
    'init',
    'starting',
    'shell.init {"service":"100-shell-f2","leader-rank":0,"size":1}',
    'shell.start {"taskmap":{"version":1,"map":[[0,1,1,1]]}}',
    'shell.task-exit {"localid":0,"rank":0,"state":"Exited","pid":1,"wait_status":0,"signaled":0,"exitcode":0}',
    'shell-exit {"rank":0,"wait_status":0}',
    'complete {"status":0}',
    'done',
  ]);
});

for (const [command, status] of [
  [['exit', '3'], 3 << 8],
  [['die', '9'], 137 << 8],
  [['exit', '300'], 300 << 8],
] as const)
  inWorld(`${command.join(' ')}: the wait status of the shell`, {}, async (world) => {
    const said = await world.runJob(ID, { command });
    assert.equal(said[1], `finish {"status":${status & 0xff00}}`);
  });

inWorld('a program that is not there is an exception and exit code 127', {}, async (world) => {
  const said = await world.runJob(ID, { command: ['nosuch'] });
  assert.deepEqual(said, ['start', `finish {"status":${127 << 8}}`, RELEASE]);
  const raised = world.asked.filter(({ topic }) => topic === 'job-manager.raise');
  assert.equal(raised.length, 1);
  assert.match(
    JSON.stringify(raised[0]!.payload, (_, value) => (typeof value === 'bigint' ? Number(value) : value)),
    /start failed: nosuch/,
  );
});

inWorld('several ranks: shells wait for each other, and the highest exit code counts', { ranks: 3 }, async (world) => {
  const said = await world.runJob(ID, { ranks: '0-2', tasks: 3, command: ['print', 'rank {{taskid}}'] });
  assert.deepEqual(said, ['start', 'finish {"status":0}', RELEASE]);
  assert.deepEqual(
    world
      .events(ID, 'output')
      .filter((event) => event.includes('rank '))
      .sort(),
    [0, 1, 2].map((rank) => `data {"stream":"stdout","rank":"${rank}","data":"rank ${rank}\\n"}`),
  );
});

inWorld('an exception ends a job: SIGTERM, SIGKILL to the tasks', { ranks: 1 }, async (world) => {
  const matchtag = world.startJob(ID, { command: ['stay'] });
  await world.until(() => world.programs.running.length === 1);
  await world.pass(0.1);
  world.exception({ id: ID, type: 'cancel', severity: 0 });
  await world.pass(4.9);
  assert.equal(world.programs.running.length, 1);
  await world.pass(0.2);
  // The job manager has the exception already.
  assert.deepEqual(await world.whenReleased(matchtag), ['start', `finish {"status":${137 << 8}}`, RELEASE]);
});

inWorld('a job that is canceled while its namespace is made has no link to it afterwards', {}, async (world) => {
  const matchtag = world.startJob(ID);
  world.exception({ id: ID, type: 'cancel', severity: 0 });
  assert.equal((await world.whenReleased(matchtag)).at(-1), RELEASE);
  assert.deepEqual(world.events(ID, 'exec.eventlog'), ['init', 'done']);
  await world.pass(1);
  assert.equal(world.kvs.get('primary')!.get(jobKey(ID, 'guest')), undefined);
});

inWorld(
  'what cannot be killed has its node drained, and the job is over',
  { config: { exec: { 'kill-timeout': '1s', 'max-kill-count': 3 } } },
  async (world) => {
    const matchtag = world.startJob(ID, { command: ['immortal'] });
    await world.until(() => world.programs.running.length === 1);
    await world.pass(0.1);
    world.exception({ id: ID, type: 'cancel', severity: 0 });
    // Five intervals to the first signal to the shell, then twice as long each time.
    await world.pass(5 + 2 + 3.9);
    assert.ok(!world.asked.some(({ topic }) => topic === 'resource.drain'));
    await world.pass(0.2);
    assert.deepEqual(await world.whenReleased(matchtag), ['start', 'finish {"status":1}', RELEASE]);
    const { payload } = world.asked.find(({ topic }) => topic === 'resource.drain')!;
    assert.deepEqual(payload, {
      targets: '0',
      reason: 'unkillable user processes for job ƒ2',
      mode: 'update',
    });
  },
);

inWorld('a job whose time is over', {}, async (world) => {
  const now = world.agenda.clock('test').now();
  const matchtag = world.startJob(ID, { command: ['sleep'], starttime: now, expiration: now + 10 });
  await world.until(() => world.programs.running.length === 1);
  await world.pass(9);
  assert.equal(world.programs.running.length, 1);
  await world.pass(1.1);
  assert.deepEqual(await world.whenReleased(matchtag), [
    'start',
    'exception {"severity":0,"type":"timeout","note":"resource allocation expired"}',
    `finish {"status":${142 << 8}}`,
    RELEASE,
  ]);
});

inWorld('a later end, and a start that was late', {}, async (world) => {
  const now = world.agenda.clock('test').now();
  const running = world.startJob(ID, { command: ['sleep'], starttime: now, expiration: now + 10 });
  // Five of ten seconds are gone already: as many are added.
  const late = world.startJob(2n, { command: ['sleep'], starttime: now - 5, expiration: now + 5 });
  await world.until(() => world.programs.running.length === 2);
  assert.equal((await world.ask('job-exec.expiration', { id: ID, expiration: now + 100 })).errno, '');
  await world.pass(9.9);
  assert.equal(world.programs.running.length, 2);
  await world.pass(1);
  assert.deepEqual((await world.whenReleased(late)).at(-1), RELEASE);
  assert.deepEqual(world.said(running), ['start']);
  assert.equal((await world.ask('job-exec.expiration', { id: 7n, expiration: 1 })).errno, 'ENOENT');
});

inWorld('signals by the event of the job', {}, async (world) => {
  const matchtag = world.startJob(ID, { command: ['sleep'] });
  await world.until(() => world.programs.running.length === 1);
  world.event('shell-1.kill', { signum: 10 });
  const said = await world.whenReleased(matchtag);
  assert.equal(said[1], `finish {"status":${138 << 8}}`);
});

const mocks: readonly (readonly [name: string, test: JobOptions['system'], said: readonly string[]])[] = [
  ['runs for a while', { exec: { test: { run_duration: '5s' } } }, ['start', 'finish {"status":0}', RELEASE]],
  [
    'ends with a status',
    { exec: { test: { run_duration: '1s', wait_status: 9 } } },
    ['start', 'finish {"status":9}', RELEASE],
  ],
  [
    'fails at once',
    { exec: { test: { mock_exception: 'init' } } },
    ['exception {"severity":0,"type":"exec","note":"mock initialization exception generated"}', RELEASE],
  ],
  [
    'fails when it runs',
    { exec: { test: { run_duration: '10s', mock_exception: 'run' } } },
    [
      'start',
      'exception {"severity":0,"type":"exec","note":"mock run exception generated"}',
      'finish {"status":15}',
      RELEASE,
    ],
  ],
];
for (const [name, system, said] of mocks)
  inWorld(`a mock job ${name}`, {}, async (world) => {
    const matchtag = world.startJob(ID, { ...(system && { system }) });
    await world.pass(6);
    assert.deepEqual(await world.whenReleased(matchtag), said);
    assert.equal(world.programs.running.length, 0);
  });

inWorld('a mock job that does as it is told', {}, async (world) => {
  const matchtag = world.startJob(ID, { system: { exec: { test: { run_duration: '0s', override: 1 } } } });
  const override = (event: string, status = 0) =>
    world.ask('job-exec.override', { event, jobid: ID, status }).then(({ errno, text }) => text ?? errno);
  await world.pass(0.1);
  assert.equal(await override('finish'), 'Job not running');
  assert.equal(await override('start'), '');
  assert.equal(await override('start'), 'Job already running');
  assert.equal(await override('later'), 'Invalid event');
  assert.equal(await override('finish', 256), '');
  assert.deepEqual(await world.whenReleased(matchtag), ['start', 'finish {"status":256}', RELEASE]);
  assert.equal(await override('start'), 'Job not found');
});

inWorld('a guest has no jobs without an IMP', {}, async (world) => {
  const said = await world.runJob(ID, { userid: guest.userid });
  assert.deepEqual(said, [
    'exception {"severity":0,"type":"exec","note":"failed to initialize implementation: Invalid argument"}',
    RELEASE,
  ]);
});

inWorld('a rank that is lost: an exception for a critical one, a word for another', { ranks: 3 }, async (world) => {
  const matchtag = world.startJob(ID, { command: ['sleep'], ranks: '0-2' });
  await world.until(() => world.programs.running.length === 3);
  assert.equal((await world.ask('job-exec.critical-ranks', { id: ID, ranks: '0' }, { user: guest })).errno, 'EPERM');
  assert.equal((await world.ask('job-exec.critical-ranks', { id: ID, ranks: '0-1' })).errno, '');
  world.loseRank(2);
  await world.until(() => world.said(matchtag).length > 1);
  assert.deepEqual(world.said(matchtag).slice(1), [
    'exception {"severity":2,"type":"node-failure","note":"node failure on node2 (shell rank 2)"}',
  ]);
  world.loseRank(1);
  await world.until(() => world.said(matchtag).length > 2);
  assert.equal(
    world.said(matchtag)[2],
    'exception {"severity":0,"type":"exec","note":"node failure on node1 (rank 1)"}',
  );
});

inWorld('jobs of an instance that went down', {}, async (world) => {
  const running = world.startJob(ID, { command: ['sleep'] });
  world.startJob(2n, { command: ['sleep'] });
  await world.pass(1);
  assert.deepEqual(world.said(running), ['start']);
  world.kvs.delete(jobNamespace(ID));
  world.kvs.delete(jobNamespace(2n));
  await world.restart();
  const lost = 'exception {"severity":0,"type":"exec","note":"the tasks of the job ended when the instance went down"}';
  assert.deepEqual(await world.runJob(ID, { command: ['sleep'], reattach: true }), [lost, RELEASE]);
  assert.deepEqual(world.events(ID, 'exec.eventlog'), ['reattach', 'done']);
  // The job manager does not know that this one was started: it must not run twice.
  const then = world.agenda.clock('test').now() - 1;
  assert.deepEqual(await world.runJob(2n, { command: ['sleep'], starttime: then }), [
    'exception {"severity":0,"type":"exec","note":"failed to create guest ns: the instance went down while the job was started: it may have run"}',
    RELEASE,
  ]);
  // This one was never begun.
  assert.deepEqual(await world.runJob(3n, { starttime: then }), ['start', 'finish {"status":0}', RELEASE]);
});

for (const [config, rusage] of [
  [{}, ''],
  [{ exec: { 'report-rusage': true } }, ',"rusage":{"utime":6.0,"stime":1.0,"maxrss":4000}'],
] as const)
  inWorld(
    `what the tasks have used is ${rusage ? '' : 'not '}told with their end by ${JSON.stringify(config)}`,
    {
      ranks: 2,
      config,
      programs: {
        work: (process) => {
          process.usage = { utime: 1.5, stime: 0.25, maxrss: 1000 };
          process.exit();
        },
      },
    },
    async (world) => {
      const said = await world.runJob(ID, { command: ['work'], ranks: '0-1', tasks: 4, cores: '0-1' });
      assert.equal(said[1], `finish {"status":0${rusage}}`);
    },
  );

inWorld('a short job costs no commit of its own, a longer one few', {}, async (world) => {
  const short = world.startJob(ID);
  await world.until(() => world.said(short).length === 3, 0.001);
  assert.equal(world.commits, 0);
  assert.equal(world.guestRoot(short), undefined);
  const longer = world.startJob(2n, { command: ['sleep'] });
  await world.until(() => world.programs.running.length === 1);
  await world.pass(0.1);
  world.programs.running[0]!.exit();
  await world.whenReleased(longer);
  // What there was in the first moment, that of its shell, its link, and all the rest.
  assert.equal(world.commits, 4);
  assert.equal(world.guestRoot(longer), `${jobNamespace(2n)}-root`);
  assert.deepEqual(
    world
      .events(2n, 'exec.eventlog')
      .slice(0, 3)
      .map((event) => event.split(' ')[0]),
    ['init', 'starting', 'shell.init'],
  );
});

inWorld('what job-exec tells of itself', { config: { exec: { 'kill-timeout': '2s' } } }, async (world) => {
  world.startJob(ID, { command: ['sleep'] });
  await world.until(() => world.programs.running.length === 1);
  const { payload } = await world.ask('job-exec.stats-get');
  const { jobs, method, 'effective-max-kill-timeout': most } = payload as JsonObject;
  assert.equal(method, 'bulk-exec');
  assert.equal(Number(most), 10 + 2 + 4 + 8 + 16 + 32 + 64 + 128);
  assert.deepEqual(Object.keys(jobs as JsonObject), ['ƒ2']);
  assert.equal((await world.ask('job-exec.stats-get', {}, { user: guest })).errno, 'EPERM');
});
