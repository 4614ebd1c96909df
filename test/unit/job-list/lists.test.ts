/** Lists of jobs: their order, constraints on them, how they are told, and requests that make no sense. */

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { JobState } from '../../../core/formats/job-state.ts';
import { type JsonObject, Real, stringifyJson } from '../../../core/json.ts';
import { Flag } from '../../../core/message/message.ts';
import { Fixture } from './fixture.ts';
import { event, events, history, type JobOptions, more } from './job-history.ts';

const text = (value: unknown) => stringifyJson(value as JsonObject);

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
