/** What job-list knows of jobs from their events. */

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type JsonObject, parseJson, Real, stringifyJson } from '../../../core/json.ts';
import { attributeNames } from '../../../workers/job-list/attributes.ts';
import { Fixture, guest } from './fixture.ts';
import { event, events, history } from './job-history.ts';

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
    job: '"duration":0.0,"name":"true"',
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
