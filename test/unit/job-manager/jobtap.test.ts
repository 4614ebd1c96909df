// Plugins: how they are loaded and removed, what they are told, and what they may do.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FluxError } from '../../../core/errno.ts';
import { JobState } from '../../../core/formats/job-state.ts';
import type { JsonObject, JsonValue } from '../../../core/json.ts';
import { Role } from '../../../core/message/credentials.ts';
import type { ActiveJob } from '../../../workers/job-manager/job.ts';
import {
  type JobtapContext,
  type JobtapHooks,
  type JobtapPlugin,
  PRIORITY_UNAVAILABLE,
} from '../../../workers/job-manager/plugin.ts';
import { throwsCode } from '../../errors.ts';
import { Fixture, guest, plain, settled, storedJob, submitted } from './fixture.ts';

/** A plugin that notes what it is told. */
function recorder(name: string, told: string[], more: (tap: JobtapContext) => JobtapHooks = () => ({})): JobtapPlugin {
  return {
    name,
    start(tap, conf) {
      if (conf.refuse) throw new FluxError('EINVAL', String(conf.refuse));
      const note = (what: string) => (job: { readonly id: bigint }) => {
        told.push(`${what} ${job.id}`);
        return undefined;
      };
      return {
        create: note('create'),
        validate: note('validate'),
        new: note('new'),
        state: {
          '*': (job, { entry }) => {
            told.push(`${job.state} ${job.id} by ${entry.name}`);
            return undefined;
          },
        },
        inactiveAdd: note('inactive'),
        inactiveRemove: note('removed'),
        destroy: note('destroy'),
        stop: () => told.push(`stop ${tap.name}`),
        ...more(tap),
      };
    },
  };
}

const plugins = (manager: Fixture) => manager.call('jobtap', { query_only: true });

test('plugins are loaded, listed, asked, and removed', async () => {
  const told: string[] = [];
  const a = recorder('a', told, () => ({
    query: () => ({ more: 1 }),
    methods: { hello: { allow: Role.user, handler: () => ({ hi: 'there' }) } },
  }));
  const loadable = new Map([
    ['a.so', a],
    ['b.so', recorder('b', told)],
  ]);
  const manager = await Fixture.start({ loadable });
  assert.deepEqual(plain(await plugins(manager)), { plugins: ['.priority-default'] });
  await manager.call('jobtap', { load: 'a.so', conf: null });
  await manager.call('jobtap', { load: 'b.so', conf: { x: 1 } });
  assert.deepEqual(plain(await plugins(manager)), { plugins: ['.priority-default', 'a.so', 'b.so'] });
  assert.deepEqual(plain(await manager.call('jobtap-query', { name: 'a.so' })), {
    name: 'a.so',
    path: 'builtin',
    more: 1,
  });
  assert.deepEqual(plain(await manager.call('a.hello', undefined, { user: guest })), { hi: 'there' });
  await manager.call('jobtap', { remove: 'all', load: 'a.so' });
  assert.deepEqual(plain(await plugins(manager)), { plugins: ['.priority-default', 'a.so'] });
  await manager.call('jobtap', { remove: '[ab]*' });
  await manager.call('jobtap', { remove: 'all' });
  assert.deepEqual(plain(await plugins(manager)), { plugins: ['.priority-default'] });
  assert.equal((await manager.ask('a.hello')).errno, 'ENOSYS');
  assert.deepEqual(told, ['stop a.so', 'stop b.so', 'stop a.so']);
  await manager.call('jobtap', { remove: '.priority-*' });
  assert.deepEqual(plain(await plugins(manager)), { plugins: [] });
  await manager.call('jobtap', { load: '.priority-default' });
  await manager.call('jobtap', {});
});

const refused: readonly (readonly [string, JsonObject, string, string])[] = [
  ['jobtap', { load: 'nosuch.so' }, 'ENOENT', 'nosuch.so: No such plugin found'],
  ['jobtap', { load: '.nosuch' }, 'ENOENT', '.nosuch: No such plugin found'],
  ['jobtap', { load: '/no/such.js' }, 'ENOENT', '/no/such.js: No such file or directory'],
  ['jobtap', { load: 'a.so' }, 'EEXIST', 'a.so already loaded'],
  ['jobtap', { load: 'b.so', conf: [1] }, 'EINVAL', 'jobptap: plugin conf must be a JSON object'],
  ['jobtap', { load: 'b.so', conf: { refuse: 'not so' } }, 'EINVAL', 'not so'],
  ['jobtap', { remove: 'nosuch' }, 'ENOENT', 'Failed to find plugin to remove'],
  ['jobtap', { remove: '*default' }, 'ENOENT', 'Failed to find plugin to remove'],
  ['jobtap-query', { name: 'nosuch' }, 'EINVAL', 'nosuch: plugin not found'],
];
for (const [method, payload, errno, text] of refused)
  test(`${method} ${JSON.stringify(payload)} is refused`, async () => {
    const loadable = new Map([
      ['a.so', recorder('a', [])],
      ['b.so', recorder('b', [])],
    ]);
    const manager = await Fixture.start({ loadable });
    await manager.call('jobtap', { load: 'a.so' });
    const answer = await manager.ask(method, payload);
    assert.deepEqual([answer.errno, answer.text], [errno, text]);
    assert.deepEqual(plain(await plugins(manager)), { plugins: ['.priority-default', 'a.so'] });
  });

test('the configuration says what is loaded at the start', async () => {
  const confs: JsonValue[] = [];
  const plugin: JobtapPlugin = {
    start: (_, conf) => {
      confs.push(conf);
      return {};
    },
  };
  const loadable = new Map([['a.so', plugin]]);
  const start = (entries: JsonValue) => Fixture.start({ loadable, config: { 'job-manager': { plugins: entries } } });
  const manager = await start([{ load: 'a.so', conf: { x: 1 } }, { remove: '.priority-default' }]);
  assert.deepEqual(plain(await plugins(manager)), { plugins: ['a.so'] });
  assert.deepEqual(confs, [{ x: 1 }]);
  for (const [entries, text] of [
    [{}, /\[job-manager.plugins\] config must be an array/],
    [[5], /\[job-manager.plugins\]\[0\]/],
    [[{ load: 5 }], /\[0\]: load is not a string/],
    [[{ load: 'x.so' }], /\[0\]: load: x.so: No such plugin found/],
    [[{ remove: 'x.so' }], /\[0\]: remove x.so: Failed to find plugin to remove/],
  ] as const)
    await assert.rejects(start(entries as JsonValue), text);
});

test('a plugin is told what happens to jobs, in order', async () => {
  const told: string[] = [];
  const manager = await Fixture.start({ plugins: [recorder('.r', told)] });
  await manager.schedulerComes();
  await manager.executorComes();
  await manager.complete({ id: 1n });
  await manager.call('purge-id', { id: 1, force: 1 });
  assert.deepEqual(told, [
    'create 1',
    'validate 1',
    'new 1',
    '2 1 by validate',
    '4 1 by depend',
    '8 1 by priority',
    '16 1 by alloc',
    '32 1 by finish',
    '64 1 by clean',
    'inactive 1',
    'destroy 1',
    'removed 1',
  ]);
});

test('one that is loaded later is told of active jobs, in the order that it wants', async () => {
  const told: string[] = [];
  const a: JobtapPlugin = { ...recorder('a', told), order: '-state' };
  const hold: JobtapPlugin = {
    name: '.hold',
    start: (tap) => ({ dependency: { hold: (job) => tap.addDependency(job, 'held') } }),
  };
  const manager = await Fixture.start({ plugins: [hold], loadable: new Map([['a.so', a]]) });
  await manager.submit({ id: 1n, system: { dependencies: [{ scheme: 'hold', value: '1' }] } }, { id: 2n });
  await manager.call('jobtap', { load: 'a.so' });
  assert.deepEqual(told, ['create 2', 'new 2', 'create 1', 'new 1', '2 1 by validate']);
});

test('after a restart it is told of all jobs again', async () => {
  const told: string[] = [];
  const kvs = new Map([
    ...storedJob(1n, [submitted, 'validate', 'depend', ['priority', { priority: 16 }]]),
    ...storedJob(2n, [submitted, 'validate', ['exception', { type: 'x', severity: 0 }], 'clean']),
  ]);
  await Fixture.start({ kvs, plugins: [recorder('.r', told)] });
  assert.deepEqual(told, ['inactive 2', 'create 1', 'new 1', '4 1 by flux-restart', '8 1 by priority']);
});

test('what is refused leaves nothing behind, whoever refuses it and however', async () => {
  const hooks: readonly [string, () => JobtapHooks, string][] = [
    ['create', () => ({ create: () => fail('not that') }), 'not that'],
    ['validate', () => ({ validate: () => fail('nor that') }), 'nor that'],
    ['a bug', () => ({ validate: () => JSON.parse('{') }), 'rejected by job-manager plugin'],
    ['dependency', () => ({ dependency: { x: () => fail('no x') } }), 'no x'],
  ];
  for (const [what, make, text] of hooks) {
    const told: string[] = [];
    const manager = await Fixture.start({ plugins: [{ name: '.p', start: make }, recorder('.r', told)] });
    const errors = await manager.submit({ id: 1n, system: { dependencies: [{ scheme: 'x', value: '1' }] } });
    assert.deepEqual(errors, [[1, text]], what);
    assert.equal(told.at(-1), 'destroy 1');
    assert.equal((await manager.call('stats-get')).active_jobs, 0);
  }
});

function fail(text: string): never {
  throw new FluxError('EINVAL', text);
}

test('a plugin that has a bug does not hold up jobs', async () => {
  const hooks = () => ({
    new: () => JSON.parse('{'),
    state: { '*': () => JSON.parse('{') },
    inactiveAdd: () => JSON.parse('{'),
    destroy: () => JSON.parse('{'),
  });
  const manager = await Fixture.start({ plugins: [{ name: '.bug', start: hooks }] });
  await manager.schedulerComes();
  await manager.executorComes();
  await manager.complete({ id: 1n });
  assert.equal(manager.names(1n).split(' ').at(-1), 'clean');
  assert.ok(manager.logs.filter((line) => line.startsWith('bug in jobtap plugin .bug')).length >= 7);
});

// ---- what hooks may change

test('hooks change priorities and annotations; what the last says prevails', async () => {
  const late: JobtapPlugin = {
    name: '.late',
    start: () => ({
      new: () => ({ annotations: { user: { at: 'new' } } }),
      state: { priority: () => ({ priority: 1000, annotations: { sched: { why: 'late' } } }) },
      priority: () => 2000,
    }),
  };
  const manager = await Fixture.start({ plugins: [late] });
  await manager.schedulerComes();
  const journal = manager.stream('events-journal', {});
  await manager.taken(journal);
  await manager.submit({ id: 1n }, { id: 2n, urgency: 0 }, { id: 3n, urgency: 31 });
  const priorities = [1n, 2n, 3n].map((id) => manager.contextOf(id, 'priority')?.priority);
  assert.deepEqual(priorities, [1000, 0, 4294967295], 'hold and expedite are not for plugins to change');
  assert.deepEqual(manager.core.active(1n)!.annotations, { user: { at: 'new' }, sched: { why: 'late' } });
  assert.deepEqual([...manager.takeAsked('sched.alloc').keys()], [3n, 1n]);
  await manager.call('jobtap', { load: '.priority-default' }).catch(() => {});
  const names = (await manager.taken(journal))
    .map(({ payload }) => plain(payload as JsonObject))
    .map((each) => each.id);
  assert.ok(names.length > 0);
});

test('all jobs get another priority when a plugin wants it, and the scheduler is told', async () => {
  let priority = 100;
  let tap!: JobtapContext;
  const fair: JobtapPlugin = {
    name: '.fair',
    start: (context) => {
      tap = context;
      return { priority: ({ id }) => priority + Number(id), state: { priority: () => ({ priority }) } };
    },
  };
  const manager = await Fixture.start({ plugins: [fair] });
  await manager.schedulerComes({ mode: 'limited', limit: 2 });
  await manager.submit({ id: 1n }, { id: 2n }, { id: 3n });
  assert.deepEqual([...manager.takeAsked('sched.alloc').keys()], [1n, 2n]);
  priority = 500;
  tap.reprioritizeAll();
  await settled();
  assert.deepEqual([...manager.takeAsked('sched.cancel').keys()], [1n], 'the third comes before it now');
  const told = manager.asked.filter(({ topic }) => topic === 'sched.prioritize').map(({ json }) => plain(json));
  assert.deepEqual(told, [
    {
      jobs: [
        [1, 501],
        [2, 502],
      ],
    },
  ]);
  tap.reprioritize(tap.active(2n)!, 7);
  await settled();
  assert.equal(manager.contextOf(2n, 'priority')?.priority, 7);
});

test('a job waits for a priority that a plugin does not know yet', async () => {
  let tap!: JobtapContext;
  const slow: JobtapPlugin = {
    name: '.slow',
    start: (context) => {
      tap = context;
      return { state: { priority: () => ({ priority: PRIORITY_UNAVAILABLE }) }, priority: () => PRIORITY_UNAVAILABLE };
    },
  };
  const manager = await Fixture.start({ plugins: [slow] });
  await manager.submit({ id: 1n });
  assert.equal(await manager.state(1n), JobState.priority);
  tap.reprioritizeAll();
  assert.equal(await manager.state(1n), JobState.priority);
  tap.reprioritize(tap.active(1n)!, 42);
  assert.equal(await manager.state(1n), JobState.sched);
  await settled();
  assert.equal(manager.contextOf(1n, 'priority')?.priority, 42);
});

// ---- what plugins may do

/** A manager with a plugin whose context the test has. */
async function tapped(hooks: (tap: JobtapContext) => JobtapHooks = () => ({})): Promise<[Fixture, JobtapContext]> {
  let tap!: JobtapContext;
  const plugin: JobtapPlugin = {
    name: '.tap',
    start: (context) => {
      tap = context;
      return hooks(context);
    },
  };
  const manager = await Fixture.start({ plugins: [plugin] });
  await manager.schedulerComes();
  await manager.executorComes();
  return [manager, tap];
}

test('dependencies hold a job until all are removed', async () => {
  const [manager, tap] = await tapped((tap) => ({
    create: (job) => {
      tap.addDependency(job, 'a');
      tap.addDependency(job, 'b');
      tap.addDependency(job, 'a');
    },
  }));
  await manager.submit({ id: 1n });
  const job = tap.active(1n)!;
  assert.deepEqual([...job.dependencies], ['a', 'b']);
  tap.removeDependency(job, 'a');
  tap.removeDependency(job, 'a');
  assert.equal(await manager.state(1n), JobState.depend);
  tap.removeDependency(job, 'b');
  await settled();
  assert.equal(
    manager.names(1n),
    'submit dependency-add dependency-add validate dependency-remove dependency-remove depend priority',
  );
  throwsCode(() => tap.addDependency(job, 'c'), 'EINVAL');
});

test('a prolog keeps a job from being started, an epilog keeps its resources', async () => {
  const [manager, tap] = await tapped((tap) => ({
    state: {
      run: (job) => {
        tap.startProlog(job, 'p1');
        tap.startProlog(job, 'p2');
        return undefined;
      },
      cleanup: (job) => {
        tap.startEpilog(job, 'e');
        return undefined;
      },
    },
  }));
  await manager.submit({ id: 1n });
  await manager.grantAll();
  const job = tap.active(1n)!;
  assert.equal(manager.takeAsked('job-exec.start').size, 0);
  throwsCode(() => tap.finishEpilog(job, 'e', 0), 'EINVAL');
  tap.finishProlog(job, 'p1', 0);
  assert.equal(manager.takeAsked('job-exec.start').size, 0);
  tap.finishProlog(job, 'p2', 1);
  const start = manager.takeAsked('job-exec.start').get(1n);
  throwsCode(() => tap.startProlog(job, 'late'), 'EINVAL');
  await manager.run(1n, start);
  assert.equal(manager.takeAsked('sched.free').size, 0);
  assert.equal(await manager.state(1n), JobState.cleanup);
  tap.finishEpilog(job, 'e', 0);
  await settled();
  assert.equal(manager.takeAsked('sched.free').size, 1);
  assert.equal(
    manager.names(1n),
    'submit validate depend priority alloc prolog-start prolog-start prolog-finish prolog-finish start finish ' +
      'epilog-start release epilog-finish free clean',
  );
  assert.deepEqual(manager.contextOf(1n, 'prolog-finish'), { description: 'p2', status: 1 });
  throwsCode(() => tap.finishEpilog(job, 'e', 0), 'ENOENT');
});

test('events of a job are told to who subscribes, until he does no more', async () => {
  const told: string[] = [];
  const [manager, tap] = await tapped(() => ({
    event: {
      memo: (job) => void told.push(`memo ${job.id}`),
      '*': (job, { name }) => void told.push(`other ${job.id} ${name}`),
    },
  }));
  await manager.submit({ id: 1n, urgency: 0 }, { id: 2n, urgency: 0 });
  tap.subscribe(tap.active(1n)!);
  tap.subscribe(tap.active(1n)!);
  for (const id of [1, 2]) await manager.call('memo', { id, memo: {} });
  tap.post(tap.active(1n)!, 'mine', { x: 1 });
  tap.unsubscribe(tap.active(1n)!);
  await manager.call('memo', { id: 1, memo: {} });
  assert.deepEqual(told, ['memo 1', 'other 1 mine']);
  assert.deepEqual(manager.contextOf(1n, 'mine'), { x: 1 });
});

test('exceptions, flags, annotations', async () => {
  const [manager, tap] = await tapped();
  await manager.submit({ id: 1n, urgency: 0 });
  const job = tap.active(1n)!;
  tap.setFlag(job, 'immutable');
  tap.annotate(job, { user: { a: 1 } });
  assert.equal(job.isImmutable, true);
  assert.deepEqual(job.annotations, { user: { a: 1 } });
  throwsCode(() => tap.setFlag(job, 'nosuch' as never), 'EPROTO');
  assert.deepEqual(
    [...tap.activeJobs()].map(({ id }) => id),
    [1n],
  );
  tap.raise(job, 'unhappy', 0, 'why not');
  await settled();
  const { type, note, userid } = manager.contextOf(1n, 'exception')!;
  assert.deepEqual([type, note, userid], ['unhappy', 'why not', 100]);
  assert.equal(tap.active(1n), undefined);
  assert.equal(tap.lookup(1n)!.result, 2);
  assert.equal(tap.lookup(1n)!.hasEvent('set-flags'), true);
  assert.equal(tap.lookup(1n)!.hasEvent('alloc'), false);
  assert.deepEqual(
    [...tap.inactiveJobs()].map(({ id }) => id),
    [1n],
  );
  for (const action of [
    () => tap.post(job, 'x'),
    () => tap.raise(job, 'x', 1, ''),
    () => tap.subscribe(job),
    () => tap.annotate(job, {}),
    () => tap.reprioritize(job, 5),
    () => tap.addDependency(job, 'x'),
  ])
    throwsCode(action, 'ENOENT');
});

test('a jobspec is changed when the hook is done with it, or at once from elsewhere', async () => {
  const seen: JsonValue[] = [];
  const [manager, tap] = await tapped((tap) => ({
    create: (job) => {
      tap.updateJobspec(job, { 'attributes.system.queue': 'a' });
      tap.updateJobspec(job, { 'attributes.system.duration': 5 });
      seen.push(job.queue ?? null);
    },
    update: (job, updates) => {
      seen.push(updates, job.queue ?? null);
    },
  }));
  await manager.submit({ id: 1n, urgency: 0 });
  const job = tap.active(1n)!;
  assert.deepEqual(seen, [null, { 'attributes.system.queue': 'a', 'attributes.system.duration': 5 }, 'a']);
  tap.updateJobspec(job, { 'attributes.system.queue': 'b' });
  await settled();
  assert.equal(job.queue, 'b');
  assert.equal(manager.names(1n), 'submit jobspec-update validate depend priority jobspec-update priority');
  throwsCode(() => tap.updateJobspec(job, { version: 2 }), 'EINVAL');
});

test('updates that users want are for plugins to accept', async () => {
  const [manager] = await tapped(() => ({
    updates: {
      'attributes.system.job.name': () => undefined,
      'attributes.system.queue': (_, { value }) => {
        if (value === 'bad') fail('no such queue');
        return { isValidated: true, needsFeasibility: true, updates: { 'attributes.system.x': 1 } };
      },
      'attributes.system.bug': () => JSON.parse('{'),
    },
    validate: (_, jobspec) => {
      if (JSON.stringify(jobspec).includes('horror')) fail('not valid');
    },
  }));
  await manager.submit({ id: 1n, urgency: 0 });
  const job = manager.core.active(1n)!;
  const check = (key: string, value: JsonValue) => manager.core.checkUpdate(job, { key, value, credentials: guest });
  assert.deepEqual(check('attributes.system.job.name', 'x'), {});
  assert.deepEqual(check('attributes.system.queue', 'good'), {
    isValidated: true,
    needsFeasibility: true,
    updates: { 'attributes.system.x': 1 },
  });
  throwsCode(() => check('attributes.system.queue', 'bad'), 'EINVAL', /^no such queue$/);
  throwsCode(() => check('attributes.system.bug', 1), 'EINVAL', /^update rejected by job-manager plugin$/);
  throwsCode(() => check('tasks', 1), 'EINVAL', /^update of tasks not supported$/);
  manager.core.validateUpdates(job, { 'attributes.system.job.name': 'fine' });
  throwsCode(
    () => manager.core.validateUpdates(job, { 'attributes.system.job.name': 'horror' }),
    'EINVAL',
    /not valid/,
  );
});

test('a job runs on what a plugin gives it, without the scheduler', async () => {
  const R = { version: 1, execution: {} };
  const [manager] = await tapped((tap) => ({
    new: (job: ActiveJob) => {
      tap.setFlag(job, 'alloc-bypass');
      return undefined;
    },
    state: {
      sched: (job) => {
        tap.post(job, 'alloc', { bypass: true });
        return { R };
      },
    },
  }));
  await manager.submit({ id: 1n });
  assert.equal(manager.takeAsked('sched.alloc').size, 0);
  const start = manager.takeAsked('job-exec.start').get(1n);
  assert.deepEqual(plain(start!.json as JsonObject).R, R);
  await manager.run(1n, start);
  assert.equal(manager.cleaned.size, 0, 'nor is it given back');
  assert.equal(manager.takeAsked('sched.free').size, 0);
});

test('a plugin may refuse a configuration', async () => {
  const [manager] = await tapped(() => ({
    configure: (config) => {
      if (config.bad) fail('not this one');
    },
  }));
  await manager.call('config-reload', { good: true });
  const { errno, text } = await manager.ask('config-reload', { bad: true });
  assert.deepEqual([errno, text], ['EINVAL', 'not this one']);
});
