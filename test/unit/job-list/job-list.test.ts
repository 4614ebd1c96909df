/** What job-list knows of jobs, and whom it tells what of it. */

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { encodeFluid } from '../../../core/formats/fluid.ts';
import { JobState } from '../../../core/formats/job-state.ts';
import { type JsonObject, parseJson, Real, stringifyJson } from '../../../core/json.ts';
import { Flag } from '../../../core/message/message.ts';
import { attributeNames } from '../../../workers/job-list/attributes.ts';
import { Fixture, guest } from './fixture.ts';
import { event, events, history, type JobOptions, jobspec, more } from './job-history.ts';

const text = (value: unknown) => stringifyJson(value as JsonObject);

// ---- attributes

interface AttributesCase {
  readonly title: string;
  readonly record: JsonObject;
  readonly more?: readonly JsonObject[];
  readonly attrs?: readonly string[];
  /** The JSON text of the job, without its id. */
  readonly job: string;
}

const nodeResources = (nodes: number, slots: number, cores: number, more: JsonObject = {}) => [
  {
    type: 'node',
    count: nodes,
    ...more,
    with: [{ type: 'slot', count: slots, label: 'task', with: [{ type: 'core', count: cores }] }],
  },
];

const perResource = (type: string, count?: number) => ({
  shell: { options: { 'per-resource': { type, ...(count && { count }) } } },
});

const counts = ['ntasks', 'ncores', 'nnodes'];
const EXCEPTION = ['exception_occurred', 'exception_type', 'exception_severity', 'exception_note', 'result', 'success'];

const attributesCases: AttributesCase[] = [
  {
    title: 'a job that waits for resources',
    record: history(7, 10, 'priority', { system: { cwd: '/tmp', queue: 'batch', duration: 60, bank: 'b' } }),
    job: `"userid":100,"urgency":16,"priority":16,"t_submit":10.0,"t_depend":11.0,"t_priority":12.0,"t_sched":13.0,
      "state":8,"name":"true","cwd":"/tmp","queue":"batch","bank":"b","ntasks":1,"ncores":1,"duration":60.0`,
  },
  {
    title: 'a job that runs',
    record: history(7, 10, 'start', { ranks: '0-1', nodelist: 'node[0-1]', cores: '0-3', expiration: 99.5 }),
    job: `"userid":100,"urgency":16,"priority":16,"t_submit":10.0,"t_depend":11.0,"t_priority":12.0,"t_sched":13.0,
      "t_run":14.0,"state":16,"name":"true","ntasks":1,"ncores":8,"duration":0.0,"nnodes":2,"ranks":"[0-1]",
      "nodelist":"node[0-1]","expiration":99.5`,
  },
  {
    title: 'a job that has ended',
    record: history(7, 10.5, 'clean'),
    job: `"userid":100,"urgency":16,"priority":16,"t_submit":10.5,"t_depend":11.5,"t_priority":12.5,"t_sched":13.5,
      "t_run":14.5,"t_cleanup":16.5,"t_inactive":19.5,"state":64,"name":"true","ntasks":1,"ncores":1,"duration":0.0,
      "nnodes":1,"ranks":"0","nodelist":"node0","success":true,"exception_occurred":false,"result":1,"expiration":0.0,
      "waitstatus":0`,
  },
  {
    title: 'a job from before there was an event validate',
    record: {
      ...history(7, 10, 'submit', { version: 0 }),
      events: [...events(10, 'submit', { version: 0 }), event(10, 'depend')],
    },
    attrs: ['t_submit', 't_depend', 'state'],
    job: '"t_submit":10.0,"t_depend":10.0,"state":4',
  },
  {
    title: 'a name of its own',
    record: history(7, 10, 'priority', { system: { job: { name: 'mine' } } }),
    attrs: ['name'],
    job: '"name":"mine"',
  },
  {
    title: 'a command that ends in a slash',
    record: history(7, 10, 'priority', { command: ['/bin/'] }),
    attrs: ['name'],
    job: '"name":"/bin/"',
  },
  {
    title: 'a name that needs escapes',
    record: history(7, 10, 'priority', { system: { job: { name: 'a"ƒ\n' } } }),
    attrs: ['name'],
    job: '"name":"a\\"ƒ\\n"',
  },
  {
    title: 'nodes with slots',
    record: history(7, 10, 'priority', { resources: nodeResources(2, 3, 4) }),
    attrs: counts,
    job: '"ntasks":6,"ncores":24,"nnodes":2',
  },
  {
    title: 'whole nodes, before it has them',
    record: history(7, 10, 'priority', { resources: nodeResources(2, 1, 1, { exclusive: true }) }),
    attrs: counts,
    job: '"ntasks":2,"nnodes":2',
  },
  {
    title: 'a number of tasks in all',
    record: history(7, 10, 'priority', { resources: nodeResources(2, 3, 4), count: { total: 5 } }),
    attrs: counts,
    job: '"ntasks":5,"ncores":24,"nnodes":2',
  },
  {
    title: 'tasks for each node that is asked for',
    record: history(7, 10, 'priority', { resources: nodeResources(2, 1, 4), system: perResource('node', 3) }),
    attrs: counts,
    job: '"ntasks":6,"ncores":8,"nnodes":2',
  },
  {
    title: 'tasks for each node, before it has some',
    record: history(7, 10, 'priority', { system: perResource('node', 3) }),
    attrs: counts,
    job: '"ncores":1',
  },
  {
    title: 'tasks for each node that it has',
    record: history(7, 10, 'alloc', { system: perResource('node', 3), ranks: '0-1', nodelist: 'a,b' }),
    attrs: counts,
    job: '"ntasks":6,"ncores":2,"nnodes":2',
  },
  {
    title: 'tasks for each core that is asked for',
    record: history(7, 10, 'priority', { system: perResource('core') }),
    attrs: counts,
    job: '"ntasks":1,"ncores":1',
  },
  {
    title: 'tasks for each core of the nodes that it has',
    record: history(7, 10, 'alloc', {
      resources: nodeResources(1, 1, 1, { exclusive: true }),
      system: perResource('core', 2),
      cores: '0-3',
    }),
    attrs: counts,
    job: '"ntasks":8,"ncores":4,"nnodes":1',
  },
  {
    title: 'a jobspec without slots',
    record: history(7, 10, 'priority', { resources: [{ type: 'core', count: 1 }] }),
    attrs: [...counts, 'duration', 'name'],
    job: '"name":"true"',
  },
  {
    title: 'no resources in R',
    record: { ...history(7, 10, 'alloc'), R: { version: 1 } },
    attrs: ['ranks', 'nodelist', 'expiration', 'state'],
    job: '"state":16',
  },
  {
    title: 'a failure',
    record: history(7, 10, 'priority'),
    more: [event(20, 'finish', { status: 256 }), event(21, 'clean')],
    attrs: [...EXCEPTION, 'waitstatus', 't_cleanup'],
    job: '"exception_occurred":false,"result":2,"success":false,"waitstatus":256,"t_cleanup":20.0',
  },
  {
    title: 'a job that is canceled before it runs',
    record: history(7, 10, 'priority'),
    more: [event(20, 'exception', { type: 'cancel', severity: 0, note: 'why' }), event(21, 'clean')],
    attrs: [...EXCEPTION, 't_cleanup', 't_run', 'ranks'],
    job: `"exception_occurred":true,"exception_type":"cancel","exception_severity":0,"exception_note":"why","result":4,
      "success":false,"t_cleanup":20.0`,
  },
  {
    title: 'a job that takes too long',
    record: history(7, 10, 'start'),
    more: [
      event(20, 'exception', { type: 'timeout', severity: 0, note: '' }),
      event(21, 'finish', { status: 15 }),
      event(22, 'clean'),
    ],
    attrs: [...EXCEPTION, 't_cleanup'],
    job: `"exception_occurred":true,"exception_type":"timeout","exception_severity":0,"exception_note":"","result":8,
      "success":false,"t_cleanup":20.0`,
  },
  {
    title: 'exceptions: the worst one is told of, and while the job is active none',
    record: history(7, 10, 'start'),
    more: [
      event(20, 'exception', { type: 'x', severity: 3, note: '3' }),
      event(20, 'exception', { type: 'y', severity: 1, note: '1' }),
      event(20, 'exception', { type: 'z', severity: 1, note: 'late' }),
    ],
    attrs: [...EXCEPTION, 'state'],
    job: '"state":16',
  },
  {
    title: 'exceptions that do not end a job do not make it fail',
    record: history(7, 10, 'start'),
    more: [
      event(20, 'exception', { type: 'x', severity: 3, note: '3' }),
      event(20, 'exception', { type: 'y', severity: 1, note: '1' }),
      event(21, 'finish', { status: 0 }),
      event(22, 'clean'),
    ],
    attrs: EXCEPTION,
    job: `"exception_occurred":true,"exception_type":"y","exception_severity":1,"exception_note":"1","result":1,
      "success":true`,
  },
  {
    title: 'an urgency that changes: a priority is found anew',
    record: history(7, 10, 'priority'),
    more: [event(20, 'urgency', { userid: 100, urgency: 0 })],
    attrs: ['urgency', 'priority', 'state', 't_priority', 't_sched'],
    job: '"urgency":0,"state":4,"t_priority":12.0,"t_sched":13.0',
  },
  {
    title: 'a priority again',
    record: history(7, 10, 'priority'),
    more: [event(20, 'urgency', { userid: 100, urgency: 31 }), event(21, 'priority', { priority: 4294967295 })],
    attrs: ['urgency', 'priority', 'state', 't_sched'],
    job: '"urgency":31,"priority":4294967295,"state":8,"t_sched":13.0',
  },
  {
    title: 'an urgency of a job that runs',
    record: history(7, 10, 'start'),
    more: [event(20, 'urgency', { userid: 100, urgency: 3 })],
    attrs: ['urgency', 'state'],
    job: '"urgency":3,"state":16',
  },
  {
    title: 'a restart of the instance',
    record: history(7, 10, 'priority'),
    more: [event(20, 'flux-restart')],
    attrs: ['state'],
    job: '"state":4',
  },
  {
    title: 'updates of the jobspec',
    record: history(7, 10, 'priority', { system: { queue: 'a' } }),
    more: [
      event(20, 'jobspec-update', {
        'attributes.system.duration': 120,
        'attributes.system.queue': 'b',
        'attributes.system.project': 'p',
        'attributes.system.job.name': 'new',
      }),
    ],
    attrs: ['state', 'duration', 'queue', 'project', 'name'],
    job: '"state":4,"duration":120.0,"queue":"b","project":"p","name":"new"',
  },
  {
    title: 'an update of the jobspec of a job that runs: its resources stay',
    record: history(7, 10, 'start', { resources: nodeResources(1, 1, 1, { exclusive: true }), cores: '0-3' }),
    more: [event(20, 'jobspec-update', { 'attributes.system.duration': 120 })],
    attrs: ['state', 'duration', ...counts],
    job: '"state":16,"duration":120.0,"ntasks":1,"ncores":4,"nnodes":1',
  },
  {
    title: 'an update of R',
    record: history(7, 10, 'start', { expiration: 100 }),
    more: [event(20, 'resource-update', { expiration: new Real(200) })],
    attrs: ['expiration'],
    job: '"expiration":200.0',
  },
  {
    title: 'annotations, and memos among them',
    record: history(7, 10, 'start'),
    more: [
      event(20, 'annotations', { annotations: { sched: { t_estimate: new Real(5) }, user: { a: 1 } } }),
      event(21, 'memo', { b: { c: 2 } }),
      event(22, 'memo', { a: null }),
    ],
    attrs: ['annotations'],
    job: '"annotations":{"sched":{"t_estimate":5.0},"user":{"b":{"c":2}}}',
  },
  {
    title: 'annotations that are taken back',
    record: history(7, 10, 'start'),
    more: [event(20, 'annotations', { annotations: { a: 1 } }), event(21, 'annotations', { annotations: null })],
    attrs: ['annotations'],
    job: '',
  },
  {
    title: 'a memo of which nothing stays',
    record: history(7, 10, 'start'),
    more: [event(20, 'memo', { a: { b: 1 } }), event(21, 'memo', { a: { b: null } })],
    attrs: ['annotations'],
    job: '',
  },
  {
    title: 'dependencies, none of them twice',
    record: history(7, 10, 'validate'),
    more: [
      event(20, 'dependency-add', { description: 'after-start=1' }),
      event(20, 'dependency-add', { description: 'begin-time=9.0' }),
      event(21, 'dependency-remove', { description: 'after-start=1' }),
      event(21, 'dependency-add', { description: 'after-start=1' }),
      event(21, 'dependency-remove', { description: 'unknown' }),
    ],
    attrs: ['dependencies', 'state'],
    job: '"dependencies":["begin-time=9.0"],"state":2',
  },
  {
    title: 'no dependencies any more',
    record: history(7, 10, 'validate'),
    more: [event(20, 'dependency-add', { description: 'a' }), event(21, 'dependency-remove', { description: 'a' })],
    attrs: ['dependencies'],
    job: '"dependencies":[]',
  },
  {
    title: 'what its programs used, for those who ask by name',
    record: history(7, 10, 'start'),
    more: [event(20, 'finish', { status: 0, rusage: { utime: 1.5, stime: 2, maxrss: 3000 } }), event(21, 'clean')],
    attrs: ['rusage', 'waitstatus'],
    job: '"rusage":{"utime":1.5,"stime":2.0,"maxrss":3000},"waitstatus":0',
  },
  {
    title: 'no usage told',
    record: history(7, 10, 'clean'),
    attrs: ['rusage'],
    job: '',
  },
  {
    title: 'events that make no sense change nothing',
    record: history(7, 10, 'priority'),
    more: [
      event(20, 'urgency', { urgency: 32 }),
      event(20, 'priority', {}),
      event(20, 'exception', { type: 'x' }),
      event(20, 'memo'),
      event(20, 'annotations', {}),
      event(20, 'finish', {}),
      event(20, 'jobspec-update', { version: 2 }),
      event(20, 'resource-update', { expiration: 5 }),
      event(20, 'nonsense'),
    ],
    attrs: ['urgency', 'state', 'annotations', 'expiration'],
    job: '"urgency":16,"state":4',
  },
];

describe('attributes', () => {
  for (const { title, record, more: late = [], attrs = ['all'], job } of attributesCases) {
    test(title, async () => {
      const expected = text(parseJson(`{"id":7${job ? ',' : ''}${job}}`));
      // All at once, as after a restart, and one by one, as it happens.
      const atOnce = { ...record, events: [...(record.events as JsonObject[]), ...late] };
      const fromBacklog = await Fixture.start({ backlog: [atOnce] });
      assert.equal(text((await fromBacklog.list({ attrs }))[0]), expected);
      const live = await Fixture.start();
      for (const each of atOnce.events) live.tell({ ...record, events: [each] });
      await live.settle();
      assert.equal(text((await live.list({ attrs }))[0]), expected);
      const { job: alone } = await live.call('list-id', { id: 7, attrs });
      assert.equal(text(alone), expected);
    });
  }

  test('ids of 64 bits', async () => {
    const id = 2n ** 62n + 1n;
    const fixture = await Fixture.start({ backlog: [history(id, 10, 'clean')] });
    assert.deepEqual(await fixture.list(), [{ id }]);
    assert.deepEqual(await fixture.call('list-id', { id, attrs: [] }), { job: { id } });
  });

  test('the names of all attributes', async () => {
    const fixture = await Fixture.start();
    const { attrs } = await fixture.call('list-attrs', undefined, { user: guest });
    assert.deepEqual(attrs, attributeNames);
    assert.equal((attrs as string[]).length, 33);
    for (const attr of attrs as string[]) await fixture.list({ attrs: [attr] });
  });

  test('an attribute that is named twice is told once', async () => {
    const fixture = await Fixture.start({ backlog: [history(7, 10, 'priority')] });
    assert.equal(text(await fixture.list({ attrs: ['state', 'name', 'state'] })), '[{"id":7,"state":8,"name":"true"}]');
  });
});

// ---- order

describe('order', () => {
  const byPriority: [id: number, JobOptions][] = [
    [1, { priority: 16 }],
    [2, { priority: 31 }],
    [3, { priority: 16 }],
    [4, { priority: 0 }],
  ];
  const backlog = [
    ...byPriority.map(([id, options]) => history(id, 10 + id, 'priority', options)),
    history(5, 30, 'depend', { priority: 31 }),
    history(11, 40, 'start'),
    history(12, 50, 'finish'),
    history(13, 45, 'alloc'),
    history(21, 60, 'clean'),
    history(22, 80, 'clean'),
    history(24, 70, 'clean'),
    history(23, 70, 'clean'),
    history(99, 0, 'submit'),
  ];

  test('pending jobs by priority, then running and inactive ones, the newest first; new ones not at all', async () => {
    const fixture = await Fixture.start({ backlog });
    // Job 5 has no priority yet.
    assert.deepEqual(await fixture.ids(), [2, 1, 3, 4, 5, 12, 13, 11, 22, 24, 23, 21]);
  });

  test('it follows priorities and states', async () => {
    const fixture = await Fixture.start({ backlog });
    fixture.tell(more(3, event(100, 'priority', { priority: 40 })));
    fixture.tell(more(5, event(101, 'priority', { priority: 17 })));
    fixture.tell({ ...history(2, 0, 'alloc'), events: [event(102, 'alloc')] });
    fixture.tell(more(11, event(103, 'finish', { status: 0 }), event(104, 'clean')));
    fixture.tell(more(1, event(105, 'exception', { type: 'cancel', severity: 0, note: '' })));
    await fixture.settle();
    assert.deepEqual(await fixture.ids(), [3, 5, 4, 2, 12, 13, 1, 11, 22, 24, 23, 21]);
  });

  test('as many as wanted', async () => {
    const fixture = await Fixture.start({ backlog });
    const jobs = await fixture.list({ max_entries: 6 });
    assert.deepEqual(
      jobs.map(({ id }) => id),
      [2, 1, 3, 4, 5, 12],
    );
  });

  test('inactive jobs since a time', async () => {
    const fixture = await Fixture.start({ backlog });
    for (const since of [new Real(79), 79])
      assert.deepEqual(
        (await fixture.list({ since, constraint: { states: ['inactive'] } })).map(({ id }) => id),
        [22],
        `since ${since}`,
      );
    assert.equal((await fixture.list({ since: new Real(1e9) })).length, 8);
  });
});

// ---- answers

describe('streams', () => {
  const backlog = [history(1, 10, 'priority'), history(2, 20, 'start'), history(3, 30, 'clean')];

  test('a response for each job, the first with a version', async () => {
    const fixture = await Fixture.start({ backlog });
    const matchtag = fixture.send('list', { max_entries: 0, attrs: ['state'] }, { flags: Flag.streaming });
    await fixture.settle();
    assert.deepEqual(
      fixture.taken(matchtag).map(({ errno, payload }) => errno || text(payload)),
      [
        '{"jobs":[{"id":1,"state":8}],"version":1}',
        '{"jobs":[{"id":2,"state":16}]}',
        '{"jobs":[{"id":3,"state":64}]}',
        'ENODATA',
      ],
    );
  });

  test('several jobs in a response, for those who can take them', async () => {
    const fixture = await Fixture.start({ backlog });
    const batches = async (batch: number) => {
      const matchtag = fixture.send('list', { max_entries: 0, attrs: [], batch }, { flags: Flag.streaming });
      await fixture.settle();
      return fixture.taken(matchtag).map(({ errno, payload }) => errno || text(payload));
    };
    assert.deepEqual(await batches(2), ['{"jobs":[{"id":1},{"id":2}],"version":1}', '{"jobs":[{"id":3}]}', 'ENODATA']);
    assert.deepEqual(await batches(3), ['{"jobs":[{"id":1},{"id":2},{"id":3}],"version":1}', 'ENODATA']);
    assert.deepEqual(await batches(0), ['EPROTO']);
    assert.deepEqual(await fixture.list({ batch: 2 }), [{ id: 1 }, { id: 2 }, { id: 3 }]);
  });

  test('no jobs', async () => {
    const fixture = await Fixture.start();
    const matchtag = fixture.send('list', { max_entries: 0, attrs: [] }, { flags: Flag.streaming });
    await fixture.settle();
    assert.deepEqual(fixture.taken(matchtag), [{ errno: 'ENODATA', text: undefined, payload: undefined }]);
    assert.deepEqual(await fixture.call('list', { max_entries: 0, attrs: [] }), { jobs: [] });
  });

  const many = Array.from({ length: 1000 }, (_, i) => history(i + 1, i, 'priority'));

  test('a long list is told in slices, of the jobs that there were', async () => {
    // 32 jobs each millisecond: a slice has about a hundred.
    const fixture = await Fixture.start({ backlog: many, lookTakes: 0.001 });
    const lists = ['c1', 'c2'].map((client) =>
      fixture.send('list', { max_entries: 0, attrs: ['state'] }, { flags: Flag.streaming, client }),
    );
    await new Promise((resolve) => setImmediate(resolve));
    const [first, second] = lists.map((list) => fixture.taken(list));
    assert.ok(first!.length > 0 && first!.length < 200, `${first!.length}`);
    assert.equal(second!.length, 0);
    // What follows changes what is told of a job, but not which are told of.
    fixture.tell(more(1000, event(2000, 'exception', { type: 'cancel', severity: 0, note: '' }), event(2001, 'clean')));
    fixture.tell(history(2000, 3000, 'priority', { priority: 31 }));
    fixture.tell(more(1, event(2000, 'priority', { priority: 1 })));
    await fixture.settle();
    const answers = [...first!, ...fixture.taken(lists[0]!)];
    assert.equal(answers.pop()!.errno, 'ENODATA');
    const jobs = answers.flatMap(({ payload }) => (payload as { jobs: JsonObject[] }).jobs);
    assert.deepEqual(
      jobs.map(({ id }) => id),
      Array.from({ length: 1000 }, (_, i) => i + 1),
    );
    assert.equal(jobs.at(-1)!.state, JobState.inactive);
    assert.equal(fixture.taken(lists[1]!).at(-1)!.errno, 'ENODATA');
  });

  test('whoever does not take what is sent is waited for', async () => {
    const fixture = await Fixture.start({ backlog: many, lookTakes: 0.001 });
    const slow = fixture.send('list', { max_entries: 0, attrs: [] }, { flags: Flag.streaming, client: 'slow' });
    await new Promise((resolve) => setImmediate(resolve));
    fixture.slowReaders.set('slow', true);
    fixture.taken(slow);
    await fixture.settle();
    assert.equal(fixture.taken(slow).length, 0);
    assert.equal((await fixture.ids()).length, 1000);
    fixture.slowReaders.set('slow', false);
    await fixture.settle();
    assert.equal(fixture.taken(slow).at(-1)!.errno, 'ENODATA');
  });

  test('a client that is gone is told nothing more, and neither is one whose module ends', async () => {
    const fixture = await Fixture.start({ backlog: many, lookTakes: 0.001 });
    const list = (client: string) =>
      fixture.send('list', { max_entries: 0, attrs: [] }, { flags: Flag.streaming, client });
    const [gone, ended] = [list('c1'), list('c2')];
    await new Promise((resolve) => setImmediate(resolve));
    fixture.taken(gone);
    fixture.notify('disconnect', 'c1');
    await fixture.host.stop();
    await fixture.settle();
    assert.deepEqual(fixture.taken(gone), []);
    assert.equal(fixture.taken(ended).at(-1)!.errno, 'ENOSYS');
  });
});

// ---- bad requests

describe('bad requests', () => {
  const list = { max_entries: 0, attrs: [] as unknown };
  const deep = (depth: number): JsonObject => (depth ? { and: [deep(depth - 1)] } : {});
  const cases: [method: string, payload: unknown, errno: string, text: string][] = [
    ['list', undefined, 'EPROTO', 'invalid payload: Expected object, got undefined'],
    ['list', {}, 'EPROTO', 'invalid payload: Object item not found: max_entries'],
    ['list', { max_entries: 0 }, 'EPROTO', 'invalid payload: Object item not found: attrs'],
    ['list', { ...list, max_entries: 'x' }, 'EPROTO', 'invalid payload: Expected integer, got string'],
    ['list', { ...list, max_entries: -1 }, 'EPROTO', 'invalid payload: max_entries < 0 not allowed'],
    ['list', { ...list, since: new Real(-1) }, 'EPROTO', 'invalid payload: since < 0.0 not allowed'],
    ['list', { ...list, since: 'x' }, 'EPROTO', 'invalid payload: Expected real or integer, got string'],
    ['list', { ...list, attrs: 'all' }, 'EPROTO', 'invalid payload: attrs must be an array'],
    ['list', { ...list, attrs: ['nosuch'] }, 'EINVAL', 'nosuch is not a valid attribute'],
    ['list', { ...list, attrs: ['__proto__'] }, 'EINVAL', '__proto__ is not a valid attribute'],
    ['list', { ...list, attrs: [1] }, 'EINVAL', 'attr has no string value'],
    ['list-id', {}, 'EPROTO', 'invalid payload: Object item not found: id'],
    ['list-id', { id: '7', attrs: [] }, 'EPROTO', 'invalid payload: Expected integer, got string'],
    ['list-id', { id: 7 }, 'EPROTO', 'invalid payload: Object item not found: attrs'],
    ['list-id', { id: 7, attrs: 3 }, 'EPROTO', 'invalid payload: attrs must be an array'],
    ['list-id', { id: 7, attrs: [], state: 1 }, 'EPROTO', 'invalid payload: invalid state specified'],
    ['list-id', { id: 7, attrs: [], state: 512 }, 'EPROTO', 'invalid payload: invalid state specified'],
    ['list-id', { id: 7, attrs: ['nosuch'] }, 'EINVAL', 'nosuch is not a valid attribute'],
    [
      'config-reload',
      { access: { 'private-mode': 1 } },
      'EINVAL',
      'error reading [access] config: private-mode is not true or false',
    ],
    ['config-reload', { 'job-list': { max_comparisons: -1 } }, 'EINVAL', 'job-list.max_comparisons must be >= 0'],
    ['config-reload', { queues: { a: { parent: 1 } } }, 'EINVAL', "queues.a: 'parent' must be a string"],
  ];
  const constraints: [constraint: unknown, text: string][] = [
    ['x', 'constraint must be JSON object'],
    [[], 'constraint must be JSON object'],
    [null, 'constraint must be JSON object'],
    [{ a: [], b: [] }, 'constraint must only contain 1 element'],
    [{ nosuch: [1] }, 'unknown constraint operator: nosuch'],
    [{ toString: [1] }, 'unknown constraint operator: toString'],
    [{ and: {} }, 'operator and values not an array'],
    [{ not: [{ or: [1] }] }, 'constraint must be JSON object'],
    [{ userid: ['x'] }, 'userid value must be an integer'],
    [{ name: [1] }, 'name value must be a string'],
    [{ queue: [1] }, 'queue value must be a string'],
    [{ states: ['foo'] }, "invalid states value 'foo' specified"],
    [{ states: [128] }, "invalid states value '80h' specified"],
    [{ states: [{}] }, 'states value invalid type'],
    [{ results: ['foo'] }, "invalid results value 'foo' specified"],
    [{ results: [16] }, "invalid results value '10h' specified"],
    [{ results: [{}] }, 'results value invalid type'],
    [{ hostlist: [1] }, 'host value must be a string'],
    [{ hostlist: ['a[['] }, 'host value not in valid Hostlist format'],
    [{ hostlist: ['a[0-2000]'] }, 'too many hosts specified'],
    [{ ranks: [1] }, 'ranks value must be a string'],
    [{ ranks: ['x'] }, "ranks value 'x': error parsing range 'x'"],
    [{ ranks: ['0-2000'] }, 'too many ranks specified'],
    [{ t_run: [] }, 'timestamp value not specified'],
    [{ t_run: [1] }, 't_run value must be a string'],
    [{ t_run: ['5'] }, 'timestamp comparison operator not specified'],
    [{ t_run: ['>x'] }, 'Invalid timestamp value specified'],
    [{ t_run: ['>-1'] }, 'timestamp value must be >= 0.0'],
    [deep(200), 'constraint is nested too deep'],
  ];
  for (const [constraint, fault] of constraints)
    cases.push(['list', { ...list, constraint }, 'EPROTO', `invalid payload: constraint object invalid: ${fault}`]);

  for (const [method, payload, errno, text] of cases) {
    test(`${method} ${JSON.stringify(payload)?.slice(0, 60)}`, async () => {
      const fixture = await Fixture.start({ backlog: [history(7, 10, 'clean')] });
      const answer = await fixture.ask(method, payload as JsonObject);
      assert.deepEqual(answer, { errno, text, payload: undefined });
    });
  }

  test('a constraint may cost so much', async () => {
    const backlog = Array.from({ length: 20 }, (_, i) => history(i + 1, i, 'clean'));
    const fixture = await Fixture.start({ backlog, config: { 'job-list': { max_comparisons: 20 } } });
    assert.equal((await fixture.ids({ userid: [100] })).length, 20);
    const { errno, text } = await fixture.ask('list', { ...list, attrs: [], constraint: { userid: [1, 100] } });
    assert.deepEqual([errno, text], ['EINVAL', 'Excessive comparisons made, limit search via states or since']);
    await fixture.call('config-reload', { 'job-list': { max_comparisons: 0 } });
    assert.equal((await fixture.ids({ userid: [1, 2, 3, 100] })).length, 20);
  });
});

// ---- constraints

describe('constraints', () => {
  const backlog = [
    history(1, 10, 'priority', { userid: 100, system: { queue: 'batch', job: { name: 'a' } } }),
    history(2, 20, 'depend', { userid: 200, system: { queue: 'debug' } }),
    history(3, 30, 'start', { userid: 100, ranks: '0-3', nodelist: 'node[0-3]', system: { queue: 'small' } }),
    history(4, 40, 'finish', { userid: 200, ranks: '2', nodelist: 'node2' }),
    history(5, 50, 'clean', { userid: 100, ranks: '7', nodelist: 'node7', system: { queue: 'batch' } }),
    {
      ...history(6, 60, 'priority', { userid: 300 }),
      events: [
        ...events(60, 'priority', { userid: 300 }),
        event(70, 'exception', { type: 'cancel', severity: 0, note: '' }),
        event(71, 'clean'),
      ],
    },
    history(7, 0, 'submit'),
  ];
  const config = { queues: { batch: {}, debug: {}, small: { parent: 'batch' } } };
  const cases: [constraint: unknown, ids: number[]][] = [
    [undefined, [1, 2, 4, 3, 6, 5]],
    [{}, [1, 2, 4, 3, 6, 5]],
    [{ and: [] }, [1, 2, 4, 3, 6, 5]],
    [{ or: [] }, [1, 2, 4, 3, 6, 5]],
    [{ not: [] }, []],
    [{ not: [{ not: [] }] }, [1, 2, 4, 3, 6, 5]],
    [{ userid: [100] }, [1, 3, 5]],
    [{ userid: [100, 300] }, [1, 3, 6, 5]],
    [{ userid: [] }, []],
    [{ userid: [-1] }, [1, 2, 4, 3, 6, 5]],
    [{ userid: [4294967295] }, [1, 2, 4, 3, 6, 5]],
    [{ name: ['a', 'b'] }, [1]],
    [{ name: ['true'] }, [2, 4, 3, 6, 5]],
    [{ queue: ['debug'] }, [2]],
    [{ queue: ['batch'] }, [1, 3, 5]],
    [{ queue: ['small'] }, [3]],
    [{ states: ['pending'] }, [1, 2]],
    [{ states: ['PD'] }, [1, 2]],
    [{ states: ['running'] }, [4, 3]],
    [{ states: ['run', 4] }, [2, 3]],
    [{ states: [64] }, [6, 5]],
    [{ states: [0] }, []],
    [{ states: [] }, []],
    [{ states: ['new'] }, []],
    [{ not: [{ states: ['inactive'] }] }, [1, 2, 4, 3]],
    [{ results: ['completed'] }, [5]],
    [{ results: ['CA', 1] }, [6, 5]],
    [{ results: [2] }, []],
    [{ not: [{ results: ['completed'] }] }, [1, 2, 4, 3, 6]],
    [{ hostlist: ['node2'] }, [4, 3]],
    [{ hostlist: ['node[3-7]'] }, [3, 5]],
    [{ hostlist: ['other', 'node7'] }, [5]],
    [{ ranks: ['2-3'] }, [4, 3]],
    [{ ranks: ['5-6', '8'] }, []],
    [{ not: [{ ranks: ['2'] }] }, [1, 2, 6, 5]],
    [{ t_submit: ['>=30'] }, [4, 3, 6, 5]],
    [{ t_submit: ['<30.0'] }, [1, 2]],
    [{ t_depend: ['>51'] }, [6]],
    [{ t_priority: ['<=22'] }, [1, 2]],
    [{ t_sched: ['>0'] }, [1, 4, 3, 6, 5]],
    [{ t_run: ['>0'] }, [4, 3, 5]],
    [{ t_run: ['>34'] }, [4, 5]],
    [{ t_cleanup: ['>=0'] }, [4, 6, 5]],
    [{ t_inactive: ['>59'] }, [6]],
    [{ not: [{ t_inactive: ['>59'] }] }, [1, 2, 4, 3, 5]],
    [{ and: [{ userid: [100] }, { states: ['active'] }] }, [1, 3]],
    [{ or: [{ userid: [300] }, { states: ['running'] }] }, [4, 3, 6]],
    [{ and: [{ or: [{ states: ['sched'] }, { results: ['completed'] }] }, { userid: [100] }] }, [1, 5]],
    [{ not: [{ userid: [100] }, { queue: ['batch'] }] }, [2, 4, 6]],
    [{ not: [{ or: [{ states: ['pending'] }, { userid: [200] }] }] }, [3, 6, 5]],
  ];
  for (const [constraint, ids] of cases) {
    test(JSON.stringify(constraint) ?? 'none', async () => {
      const fixture = await Fixture.start({ backlog, config });
      assert.deepEqual(await fixture.ids(constraint as JsonObject | undefined), ids);
    });
  }

  const legacy: [request: JsonObject, ids: number[]][] = [
    [{ userid: 100, states: 0, results: 0 }, [1, 3, 5]],
    [{ userid: 4294967295, states: 48, results: 0 }, [4, 3]],
    [{ userid: -1, states: 0, results: 1 }, [5]],
    [{ userid: -1, states: 0, results: 0, name: 'a' }, [1]],
    [{ userid: -1, states: 0, results: 0, queue: 'batch' }, [1, 3, 5]],
    // Not all of them are there.
    [{ userid: 100 }, [1, 2, 4, 3, 6, 5]],
    // A constraint is what counts.
    [{ userid: 100, states: 0, results: 0, constraint: { userid: [200] } }, [2, 4]],
  ];
  for (const [request, ids] of legacy) {
    test(`members of old requests: ${JSON.stringify(request)}`, async () => {
      const fixture = await Fixture.start({ backlog, config });
      assert.deepEqual(
        (await fixture.list(request)).map(({ id }) => id),
        ids,
      );
    });
  }
});

// ---- one job

describe('list-id', () => {
  const kvsKey = encodeFluid(7n, 'kvs');
  const request = { id: 7, attrs: ['state'] };

  test('there is no such job', async () => {
    const fixture = await Fixture.start();
    assert.deepEqual(await fixture.ask('list-id', request), { errno: 'ENOENT', text: undefined, payload: undefined });
  });

  test('a job that the journal has not told of yet', async () => {
    const fixture = await Fixture.start();
    fixture.kvs.add(kvsKey);
    const waiting = fixture.send('list-id', request);
    await fixture.settle();
    assert.deepEqual(fixture.taken(waiting), []);
    assert.deepEqual((await fixture.call('stats-get')).idsync, { lookups: 0, waits: 1 });
    fixture.tell(history(7, 10, 'submit'));
    await fixture.settle();
    assert.deepEqual(fixture.taken(waiting), []);
    fixture.tell(more(7, event(11, 'validate')));
    await fixture.settle();
    assert.deepEqual(fixture.taken(waiting)[0]?.payload, { job: { id: 7, state: 2 } });
    assert.deepEqual((await fixture.call('stats-get')).idsync, { lookups: 0, waits: 0 });
  });

  test('a job that comes while the KVS is asked', async () => {
    const fixture = await Fixture.start();
    fixture.holdsLookups = true;
    fixture.kvs.add(kvsKey);
    const waiting = fixture.send('list-id', request);
    await fixture.settle();
    assert.deepEqual((await fixture.call('stats-get')).idsync, { lookups: 1, waits: 0 });
    fixture.tell(history(7, 10, 'start'));
    fixture.answerLookups();
    await fixture.settle();
    assert.deepEqual(fixture.taken(waiting)[0]?.payload, { job: { id: 7, state: 16 } });
  });

  test('a job whose submission comes to nothing', async () => {
    const fixture = await Fixture.start();
    fixture.kvs.add(kvsKey);
    const waiting = fixture.send('list-id', request);
    await fixture.settle();
    fixture.tell(history(7, 10, 'submit'));
    fixture.tell(more(7, event(11, 'invalidate')));
    await fixture.settle();
    assert.equal(fixture.taken(waiting)[0]?.errno, 'ENOENT');
    assert.deepEqual(await fixture.ids(), []);
  });

  const states: [from: string, wanted: number, events: JsonObject[], state: number][] = [
    ['priority', JobState.sched, [], JobState.sched],
    ['start', JobState.sched, [], JobState.run],
    ['priority', JobState.run, [event(20, 'alloc')], JobState.run],
    ['priority', JobState.run | JobState.inactive, [event(20, 'alloc')], JobState.run],
    // It never runs.
    [
      'priority',
      JobState.run,
      [event(20, 'exception', { type: 'cancel', severity: 0, note: '' }), event(21, 'clean')],
      64,
    ],
    ['clean', JobState.run, [], JobState.inactive],
  ];
  for (const [from, wanted, later, state] of states) {
    test(`a job with event ${from} until it is in one of the states ${wanted}`, async () => {
      const fixture = await Fixture.start({ backlog: [history(7, 10, from)] });
      const waiting = fixture.send('list-id', { ...request, state: wanted });
      await fixture.settle();
      if (later.length) assert.deepEqual(fixture.taken(waiting), []);
      fixture.tell(more(7, ...later));
      await fixture.settle();
      assert.deepEqual(fixture.taken(waiting)[0]?.payload, { job: { id: 7, state } });
    });
  }

  test('a client that is gone waits no more', async () => {
    const fixture = await Fixture.start({ backlog: [history(7, 10, 'priority')] });
    const waits = ['c1', 'c2'].map((client) => fixture.send('list-id', { ...request, state: 16 }, { client }));
    await fixture.settle();
    fixture.notify('disconnect', 'c1');
    fixture.tell(more(7, event(20, 'alloc')));
    await fixture.settle();
    assert.deepEqual(
      waits.map((wait) => fixture.taken(wait).length),
      [0, 1],
    );
  });
});

// ---- statistics

describe('statistics', () => {
  const queues = { batch: {}, debug: {} };
  const job = (id: number, last: string, queue?: string) =>
    history(id, id * 10, last, { system: { ...(queue && { queue }) } });

  test('of all jobs, and of those in each queue', async () => {
    const backlog = [
      job(1, 'validate'),
      job(2, 'depend', 'batch'),
      job(3, 'priority'),
      job(4, 'alloc', 'batch'),
      job(5, 'finish'),
      job(6, 'clean', 'batch'),
      job(9, 'submit'),
    ];
    const fixture = await Fixture.start({ backlog, config: { queues } });
    fixture.tell(more(4, event(20, 'exception', { type: 'timeout', severity: 0, note: '' }), event(21, 'clean')));
    fixture.tell(more(3, event(20, 'exception', { type: 'cancel', severity: 0, note: '' }), event(21, 'clean')));
    fixture.tell(more(5, event(20, 'finish', { status: 1 }), event(21, 'clean')));
    await fixture.settle();
    const none = { depend: 0, priority: 0, sched: 0, run: 0, cleanup: 0, inactive: 0, total: 0 };
    assert.deepEqual(await fixture.call('job-stats', undefined, { user: guest }), {
      job_states: { ...none, depend: 1, priority: 1, inactive: 4, total: 6 },
      successful: 1,
      failed: 1,
      canceled: 1,
      timeout: 1,
      inactive_purged: 0,
      queues: [
        {
          job_states: { ...none, priority: 1, inactive: 2, total: 3 },
          successful: 1,
          failed: 0,
          canceled: 0,
          timeout: 1,
          inactive_purged: 0,
          name: 'batch',
        },
        { job_states: none, successful: 0, failed: 0, canceled: 0, timeout: 0, inactive_purged: 0, name: 'debug' },
      ],
    });
    assert.deepEqual(await fixture.call('stats-get', undefined, { user: guest }), {
      jobs: { pending: 2, running: 0, inactive: 4 },
      idsync: { lookups: 0, waits: 0 },
      stats_watchers: 0,
    });
  });

  const counted = (stats: JsonObject) =>
    (stats.queues as unknown as { name: string; job_states: { total: number } }[])
      .filter(({ job_states }) => job_states.total)
      .map(({ name, job_states }) => `${name}:${job_states.total}`);

  test('a job that moves to another queue', async () => {
    const fixture = await Fixture.start({
      backlog: [job(1, 'priority', 'batch'), job(2, 'priority')],
      config: { queues },
    });
    fixture.tell(more(1, event(20, 'jobspec-update', { 'attributes.system.queue': 'debug' })));
    fixture.tell(more(2, event(20, 'jobspec-update', { 'attributes.system.queue': 'new' })));
    await fixture.settle();
    assert.deepEqual(counted(await fixture.call('job-stats')), ['debug:1', 'new:1']);
  });

  test('whoever follows them is told of changes, not more often than each 0.2 s', async () => {
    const fixture = await Fixture.start({ config: { queues } });
    const watch = fixture.send('job-stats', undefined, { flags: Flag.streaming });
    const totals = () =>
      fixture.taken(watch).map(({ payload }) => (payload as { job_states: { total: number } }).job_states.total);
    await fixture.settle();
    assert.deepEqual(totals(), [0]);
    for (let id = 1; id <= 10; id++) {
      fixture.tell(job(id, 'priority'));
      await fixture.pass(0.05);
    }
    assert.deepEqual(totals(), [5, 9]);
    await fixture.pass(0.2);
    assert.deepEqual(totals(), [10]);
    await fixture.pass(10);
    assert.deepEqual(totals(), []);
    assert.equal((await fixture.call('stats-get')).stats_watchers, 1);
    fixture.notify('disconnect');
    fixture.tell(job(11, 'priority'));
    await fixture.pass(1);
    assert.deepEqual(totals(), []);
  });

  test('jobs that are purged', async () => {
    const backlog = [job(1, 'clean', 'batch'), job(2, 'clean'), job(3, 'start')];
    const fixture = await Fixture.start({ backlog, config: { queues } });
    fixture.event('job-purge-inactive', { jobs: [1, 3, 99] });
    fixture.event('job-purge-inactive.other', { jobs: [2] });
    await fixture.settle();
    assert.deepEqual(await fixture.ids(), [3, 2]);
    const stats = await fixture.call('job-stats');
    assert.deepEqual([stats.inactive_purged, stats.successful], [1, 1]);
    assert.deepEqual(counted(stats), []);
    assert.match(fixture.logs.join('\n'), /purged 1 inactive jobs/);
    // The journal had not told of its end yet.
    fixture.tell(more(3, event(50, 'finish', { status: 0 }), event(51, 'clean')));
    await fixture.settle();
    assert.deepEqual(await fixture.ids(), [2]);
  });
});

// ---- private mode

describe('private mode', () => {
  const config = { access: { 'private-mode': true, 'allow-guest-user': true } };
  const backlog = [history(1, 10, 'priority', { userid: 100 }), history(2, 20, 'start', { userid: guest.userid })];
  const asGuest = { user: guest };

  test('guests see their own jobs only', async () => {
    const fixture = await Fixture.start({ config, backlog });
    assert.deepEqual(await fixture.ids(undefined, asGuest), [2]);
    assert.deepEqual(await fixture.ids({ userid: [100] }, asGuest), []);
    assert.deepEqual(await fixture.ids({ or: [{ userid: [100] }, {}] }, asGuest), [2]);
    assert.deepEqual(await fixture.ids({ not: [{ userid: [200] }] }, asGuest), []);
    assert.deepEqual(await fixture.ids(), [1, 2]);
    assert.deepEqual(await fixture.ids(undefined, { user: { userid: 5, rolemask: 8 | 2 } }), [1, 2]);
  });

  test('old requests do not tell more', async () => {
    const fixture = await Fixture.start({ config, backlog });
    assert.deepEqual(await fixture.list({ userid: -1, states: 0, results: 0 }, asGuest), [{ id: 2 }]);
  });

  test('a job of others is as one that is not there', async () => {
    const fixture = await Fixture.start({ config, backlog });
    const unknown = await fixture.ask('list-id', { id: 77, attrs: [] }, asGuest);
    assert.equal(unknown.errno, 'ENOENT');
    assert.deepEqual(await fixture.ask('list-id', { id: 1, attrs: [] }, asGuest), unknown);
    assert.deepEqual(await fixture.ask('list-id', { id: 1, attrs: [], state: 64 }, asGuest), unknown);
    assert.deepEqual(await fixture.call('list-id', { id: 2, attrs: [] }, asGuest), { job: { id: 2 } });
    fixture.kvs.add(encodeFluid(3n, 'kvs'));
    const early = fixture.send('list-id', { id: 3, attrs: [] }, asGuest);
    await fixture.settle();
    fixture.tell(history(3, 10, 'priority'));
    await fixture.settle();
    assert.deepEqual(fixture.taken(early), [unknown]);
  });

  test('statistics are the owner’s', async () => {
    const fixture = await Fixture.start({ config, backlog });
    for (const method of ['job-stats', 'stats-get']) {
      assert.equal((await fixture.ask(method, undefined, asGuest)).errno, 'EPERM');
      await fixture.call(method);
    }
    await fixture.call('config-reload', { access: { 'private-mode': false } });
    await fixture.call('job-stats', undefined, asGuest);
  });
});

// ---- the journal

describe('the journal', () => {
  test('requests wait until it has told all', async () => {
    const fixture = await Fixture.start({ isLate: true });
    const list = fixture.send('list', { max_entries: 0, attrs: ['nosuch'] });
    const id = fixture.send('list-id', { id: 7, attrs: [] });
    fixture.tell(history(7, 10, 'priority'));
    // It is purged before the journal has told of its end.
    fixture.event('job-purge-inactive', { jobs: [8, 9] });
    fixture.tell(history(8, 10, 'clean'));
    await fixture.settle();
    assert.deepEqual([fixture.taken(list), fixture.taken(id)], [[], []]);
    fixture.tellEnd();
    await fixture.settle();
    assert.equal(fixture.taken(list)[0]?.errno, 'EINVAL');
    assert.deepEqual(fixture.taken(id)[0]?.payload, { job: { id: 7 } });
    assert.deepEqual(await fixture.ids(), [7]);
  });

  test('paused, and going on', async () => {
    const fixture = await Fixture.start({ backlog: [history(7, 10, 'priority')] });
    await fixture.call('job-state-pause', undefined, { user: guest });
    fixture.tell({ ...history(7, 10, 'alloc'), events: [event(20, 'alloc')] });
    fixture.tell(history(8, 30, 'priority'));
    await fixture.settle();
    assert.deepEqual(await fixture.ids({ states: ['pending'] }), [7]);
    await fixture.call('job-state-unpause', undefined, { user: guest });
    assert.deepEqual(await fixture.ids(), [8, 7]);
  });

  test('events of a job that is not known', async () => {
    const fixture = await Fixture.start();
    fixture.tell(more(7, event(10, 'validate')));
    await fixture.settle();
    assert.deepEqual(await fixture.ids(), []);
    assert.match(fixture.logs.join('\n'), /job ƒ8 is not known/);
  });

  test('messages that make no sense are told of, and passed over', async () => {
    const fixture = await Fixture.start();
    const bad = [{}, { id: 7, events: 3 }, { id: 7, events: [3] }, { id: 7, events: [{ name: 'submit' }] }];
    for (const record of bad) fixture.tell(record);
    fixture.tell(history(8, 10, 'priority'));
    await fixture.settle();
    assert.deepEqual(await fixture.ids(), [8]);
    assert.equal(fixture.logs.length, bad.length);
  });

  test('a job manager that is loaded anew', async () => {
    const fixture = await Fixture.start({ backlog: [history(7, 10, 'priority', { system: { queue: 'a' } })] });
    const waiting = fixture.send('list-id', { id: 7, attrs: [], state: 16 });
    await fixture.settle();
    fixture.tell(history(8, 10, 'priority'));
    fixture.hasManager = false;
    fixture.endJournal();
    await fixture.settle();
    assert.equal(fixture.taken(waiting)[0]?.errno, 'ENOSYS');
    assert.equal((await fixture.ask('list', { max_entries: 0, attrs: [] })).errno, 'ENOSYS');
    await fixture.pass(3);
    assert.equal(fixture.journals, 4);
    fixture.hasManager = true;
    await fixture.pass(1);
    assert.deepEqual(await fixture.ids(), [7]);
    assert.equal(((await fixture.call('job-stats')).job_states as JsonObject).total, 1);
    await fixture.host.stop();
    await fixture.pass(5);
    assert.equal(fixture.journals, 5);
  });

  test('updates that name nothing of a jobspec are told of', async () => {
    const fixture = await Fixture.start({ backlog: [history(7, 10, 'priority')] });
    fixture.tell(more(7, event(20, 'jobspec-update', { 'attributes..x': 1 })));
    fixture.tell({ id: 8, events: events(10, 'validate'), jobspec: { ...jobspec(), attributes: 3 } });
    await fixture.settle();
    assert.deepEqual(await fixture.ids(), [7, 8]);
    assert.equal(fixture.logs.length, 2);
  });
});
