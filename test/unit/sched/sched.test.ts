// The scheduler's module: what it says to the resource module, the job manager and the KVS (RFC 27, RFC 28).

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { FluxError } from '../../../core/errno.ts';
import { encodePythonJson } from '../../../core/formats/python-json.ts';
import type { JsonObject } from '../../../core/json.ts';
import { refused } from '../../errors.ts';
import { estimates, Fixture, guest, jobspec, outcome, START, uniform } from './fixture.ts';

// ---- start and end

test('it takes resources, greets the job manager and is ready', async () => {
  const sched = await Fixture.start();
  assert.deepEqual(sched.services, ['feasibility', 'sched']);
  assert.deepEqual(
    [...sched.sent.keys()],
    ['resource.acquire', 'event.subscribe', 'service.add', 'job-manager.sched-hello', 'job-manager.sched-ready'],
  );
  assert.deepEqual(sched.sent.get('job-manager.sched-hello'), [{ 'partial-ok': true }]);
  assert.deepEqual(sched.sent.get('job-manager.sched-ready'), [{ mode: 'limited', limit: 8 }]);
  assert.deepEqual(sched.logs, [
    'ready: policy=fifo alloc-mode=worst-fit queue-depth=8 log-level=info rank[0-1]/core[0-3]',
  ]);
});

describe('arguments', () => {
  for (const [args, mode] of [
    [['queue-depth=unlimited'], { mode: 'unlimited' }],
    [['queue-depth=3'], { mode: 'limited', limit: 3 }],
    [['mode=unlimited'], { mode: 'unlimited' }],
    [['mode=limited=5', 'log-level=debug', 'alloc-mode=best-fit'], { mode: 'limited', limit: 5 }],
  ] as const) {
    test(args.join(' '), async () => {
      const sched = await Fixture.start({ args });
      assert.deepEqual(sched.sent.get('job-manager.sched-ready'), [mode]);
    });
  }
  for (const [arg, text] of [
    ['queue-depth=0', /positive integer/],
    ['queue-depth=x', /positive integer/],
    ['mode=limited=', /positive integer/],
    ['mode=single', /unknown argument 'mode=single'/],
    ['log-level=loud', /log-level=loud is invalid/],
    ['alloc-mode=any', /worst-fit, best-fit, first-fit/],
    ['frobnicate', /unknown argument 'frobnicate'/],
  ] as const) {
    test(arg, () => refused(Fixture.start({ args: [arg] }), 'EINVAL', text));
  }
});

describe('what it cannot do without makes it leave', () => {
  for (const [topic, text] of [
    ['resource.acquire', /initialization failed: resource.acquire failed: .*busy/i],
    ['job-manager.sched-hello', /initialization failed: /],
    ['job-manager.sched-ready', /initialization failed: /],
  ] as const) {
    test(topic, async () => {
      const sched = await Fixture.start({ refuses: { [topic]: new FluxError('EBUSY') } });
      assert.match(sched.logs.at(-1)!, text);
      assert.deepEqual(sched.sent.get('module.remove'), [{ name: 'sched-simple' }]);
    });
  }

  test('the end of resource.acquire', async () => {
    const sched = await Fixture.start();
    await sched.endAcquire(new FluxError('ENOSYS'));
    assert.match(sched.logs.at(-1)!, /exiting due to resource update failure/);
    assert.deepEqual(sched.sent.get('module.remove'), [{ name: 'sched-simple' }]);
  });
});

// ---- alloc

test('a job gets R, which the job manager is to store', async () => {
  const sched = await Fixture.start();
  const answers = await sched.submit(1, jobspec({ slots: 2, cores: 2 }, 60));
  assert.equal(answers.length, 1);
  const { id, type, R, stores, annotations } = answers[0]!;
  assert.deepEqual([id, type, stores], [1, 0, false]);
  assert.deepEqual(annotations, { sched: { resource_summary: 'rank0/core[0-3]' } });
  const { starttime, expiration, ...execution } = (R as JsonObject).execution as JsonObject;
  assert.deepEqual(execution, {
    R_lite: [{ rank: '0', children: { core: '0-3' } }],
    nslots: 2,
    nodelist: ['node0'],
  });
  assert.ok(Math.abs((starttime as number) - START) < 1);
  assert.equal((expiration as number) - (starttime as number), 60);
});

test("R has hosts by rank, properties but for local ones, and what is another scheduler's", async () => {
  const R = uniform(3, 2, 1, { properties: { big: '1-2', '+local': '0', a: '0' } });
  const sched = await Fixture.start({ R: { ...R, scheduling: { writer: 'x' } }, up: '0-2' });
  const [answer] = await sched.submit(1, jobspec({ nodes: 3, slots: 3, gpus: 1 }));
  assert.equal(
    encodePythonJson(answer!.R as JsonObject).replace(/"starttime": [\d.]+/, '"starttime": T'),
    '{"version": 1, "execution": {"R_lite": [{"rank": "0-2", "children": {"core": "0", "gpu": "0"}}], "starttime": T, ' +
      '"expiration": 0, "nslots": 3, "nodelist": ["node[0-2]"], "properties": {"a": "0", "big": "1-2"}}, ' +
      '"scheduling": {"writer": "x"}}',
  );
});

test('jobs that come in one turn', async () => {
  const sched = await Fixture.start();
  const jobs = [1, 2, 3, 4, 5].map((id) => sched.alloc(id, jobspec()));
  await sched.settle();
  assert.deepEqual(jobs.map(outcome), ['rank0/core0', 'rank1/core0', 'rank0/core1', 'rank1/core1', 'rank0/core2']);
});

describe('what can never be had is refused', () => {
  for (const [name, spec, note] of [
    [
      'slots',
      jobspec({ slots: 9999 }),
      'unsatisfiable request: need 9999 slot(s) of 1 core(s), only 8 such slot(s) available (total cores: 8)',
    ],
    [
      'large slots',
      jobspec({ slots: 3, cores: 3 }),
      'unsatisfiable request: need 3 slot(s) of 3 core(s), only 2 such slot(s) available (total cores: 8)',
    ],
    [
      'GPUs',
      jobspec({ gpus: 1 }),
      'unsatisfiable request: need 1 slot(s) with 1 GPU(s) each, only 0 available (total GPUs: 0)',
    ],
    [
      'nodes',
      jobspec({ nodes: 3, slots: 3, cores: 2, gpus: 1 }),
      'unsatisfiable request: need 3 node(s) with 2 cores and 1 GPUs each, only 0 eligible',
    ],
    [
      'whole nodes',
      jobspec({ nodes: 3, slots: 3, exclusive: true }),
      'unsatisfiable request: need 3 exclusive node(s), only 2 eligible',
    ],
    [
      'a host that is not there',
      jobspec({ nodes: 1 }, 0, { constraints: { hostlist: ['other'] } }),
      'unsatisfiable request: need 1 node(s) with 1 cores each, only 0 eligible',
    ],
  ] as const) {
    test(name, async () => {
      const sched = await Fixture.start();
      assert.equal(outcome(await sched.submit(1, spec)), `denied: ${note}`);
      const { errno, text } = await sched.ask('feasibility.check', { jobspec: spec });
      assert.deepEqual([errno, text], ['EOVERFLOW', note]);
    });
  }

  test('a jobspec that is none', async () => {
    const sched = await Fixture.start();
    const { resources: _, ...rest } = jobspec();
    assert.equal(outcome(await sched.submit(1, rest)), 'denied: cannot parse jobspec: jobspec has no resources');
    const { errno, text } = await sched.ask('feasibility.check', { jobspec: rest });
    assert.deepEqual([errno, text], ['EINVAL', 'jobspec has no resources']);
    assert.equal(outcome(await sched.submit(2, jobspec())), 'rank0/core0');
  });
});

test('what can be had is feasible, whether it is free or not', async () => {
  const sched = await Fixture.start({ up: '' });
  assert.deepEqual(await sched.ask('feasibility.check', { jobspec: jobspec({ slots: 8 }) }), null);
});

// ---- free, cancel, prioritize, expiration

test('a job waits until another gives its resources back', async () => {
  const sched = await Fixture.start();
  const first = await sched.submit(1, jobspec({ nodes: 2, slots: 2, cores: 4 }));
  const second = await sched.submit(2, jobspec());
  assert.deepEqual([outcome(first), outcome(second)], ['rank[0-1]/core[0-3]', 'waits']);
  await sched.free(first);
  assert.equal(outcome(second), 'rank0/core0');
});

test('a job may give back a part', async () => {
  const sched = await Fixture.start();
  const first = await sched.submit(1, jobspec({ nodes: 2, slots: 2, cores: 4 }));
  const second = await sched.submit(2, jobspec({ slots: 8 }));
  await sched.free(first, [{ rank: '1', children: { core: '0-3' } }]);
  const third = await sched.submit(3, jobspec(), { priority: 20 });
  assert.equal(outcome(third), 'rank1/core0');
  await sched.tell('sched.free', { id: 1, R: { version: 1, execution: { R_lite: [{ rank: '0' }] } }, final: true });
  await sched.free(third);
  assert.equal(outcome(second), 'rank[0-1]/core[0-3]');
});

test('what is given back wrongly is logged, and nobody else is hurt', async () => {
  const sched = await Fixture.start();
  const first = await sched.submit(1, jobspec({ cores: 4 }));
  await sched.tell('sched.free', { id: 1, R: { version: 1, execution: { R_lite: [{ rank: '1' }] } } });
  assert.match(sched.logs.at(-1)!, /1 of the ranks 1 are not the job's/);
  await sched.tell('sched.free', { id: 1, R: { version: 1, execution: { R_lite: [] } }, final: true });
  assert.match(sched.logs.at(-1)!, /1 rank\(s\) were not named/);
  await sched.free(first);
  assert.equal(outcome(await sched.submit(2, jobspec({ slots: 8 }))), 'rank[0-1]/core[0-3]');
});

test('a waiting job can be canceled; one that has resources is left alone', async () => {
  const sched = await Fixture.start();
  const first = await sched.submit(1, jobspec({ slots: 8 }));
  const second = await sched.submit(2, jobspec({ slots: 8 }));
  const third = await sched.submit(3, jobspec());
  await sched.notify('sched.cancel', { id: 1 });
  await sched.notify('sched.cancel', { id: 2 });
  await sched.notify('sched.cancel', { id: 99 });
  assert.deepEqual([first, second, third].map(outcome), ['rank[0-1]/core[0-3]', 'canceled', 'waits']);
  await sched.free(first);
  assert.equal(outcome(third), 'rank0/core0');
});

test('a higher priority comes first', async () => {
  const sched = await Fixture.start();
  const first = await sched.submit(1, jobspec({ slots: 8 }));
  const jobs = [
    await sched.submit(2, jobspec({ slots: 8 })),
    await sched.submit(3, jobspec({ slots: 8 })),
    await sched.submit(4, jobspec({ slots: 8 }), { priority: 17 }),
  ];
  await sched.notify('sched.prioritize', {
    jobs: [
      [3, 18],
      [99, 1],
    ],
  });
  await sched.free(first);
  assert.deepEqual(jobs.map(outcome), ['waits', 'rank[0-1]/core[0-3]', 'waits']);
  await sched.free(jobs[1]!);
  assert.deepEqual(jobs.map(outcome), ['waits', 'rank[0-1]/core[0-3]', 'rank[0-1]/core[0-3]']);
});

test('an expiration that is one is accepted', async () => {
  const sched = await Fixture.start();
  await sched.submit(1, jobspec({}, 60));
  assert.equal(await sched.ask('sched.expiration', { id: 1, expiration: START + 500 }), null);
  assert.equal(await sched.ask('sched.expiration', { id: 99, expiration: 0 }), null);
  assert.deepEqual(await sched.ask('sched.expiration', { id: 1, expiration: -1 }), {
    errno: 'EINVAL',
    text: 'invalid expiration -1',
  });
});

test('a job without duration ends when the resources do', async () => {
  const sched = await Fixture.start({ R: uniform(2, 4, 0, { expiration: START + 1000 }) });
  const first = await sched.submit(1, jobspec());
  assert.equal(((first[0]!.R as JsonObject).execution as JsonObject).expiration, START + 1000);
  await sched.change({ expiration: START + 2000 });
  const second = await sched.submit(2, jobspec());
  assert.equal(((second[0]!.R as JsonObject).execution as JsonObject).expiration, START + 2000);
  assert.match(sched.logs.at(-1)!, /resource expiration updated to 1800002000\.00/);
});

// ---- resources that come and go

test('only ranks that are up are given out', async () => {
  const sched = await Fixture.start({ up: '1' });
  const first = await sched.submit(1, jobspec({ cores: 4 }));
  const second = await sched.submit(2, jobspec({ cores: 4 }));
  assert.deepEqual([first, second].map(outcome), ['rank1/core[0-3]', 'waits']);
  await sched.change({ up: '0' });
  assert.equal(outcome(second), 'rank0/core[0-3]');
  await sched.change({ down: '0-1' });
  await sched.free(first);
  await sched.free(second);
  const third = await sched.submit(3, jobspec());
  assert.equal(outcome(third), 'waits');
  await sched.change({ up: '0-1' });
  assert.equal(outcome(third), 'rank0/core0');
});

test('ranks that are gone do not come back, and jobs that need them are refused', async () => {
  const sched = await Fixture.start();
  const first = await sched.submit(1, jobspec({ slots: 8 }));
  const second = await sched.submit(2, jobspec({ slots: 8 }));
  await sched.change({ down: '1', shrink: '1' });
  assert.match(outcome(second), /denied: .*need 8 slot\(s\) of 1 core\(s\), only 4/);
  await sched.free(first);
  assert.deepEqual(sched.logs.slice(1), []);
  await sched.change({ up: '1' });
  const jobs = [await sched.submit(3, jobspec({ cores: 4 })), await sched.submit(4, jobspec({ cores: 4 }))];
  assert.deepEqual(jobs.map(outcome), ['rank0/core[0-3]', 'waits']);
});

test('it says what is whose', async () => {
  const sched = await Fixture.start({ R: uniform(2, 4, 0, { properties: { p: '0-1' } }), up: '0' });
  await sched.submit(1, jobspec({ cores: 2 }));
  const times = { starttime: 0, expiration: 0 };
  assert.deepEqual(await sched.ask('sched.resource-status'), {
    all: {
      version: 1,
      execution: {
        R_lite: [{ rank: '0-1', children: { core: '0-3' } }],
        ...times,
        nodelist: ['node[0-1]'],
        properties: { p: '0-1' },
      },
    },
    allocated: {
      version: 1,
      execution: { R_lite: [{ rank: '0', children: { core: '0-1' } }], ...times, properties: { p: '0' } },
    },
    down: { version: 1, execution: { R_lite: [{ rank: '1', children: { core: '0-3' } }], ...times } },
  });
  assert.equal((await sched.ask('sched.resource-status', undefined, guest)).errno, 'EPERM');
});

// ---- reload

function R(R_lite: JsonObject[], more: JsonObject = {}): JsonObject {
  return { version: 1, execution: { R_lite, starttime: START, expiration: 0, nodelist: [], ...more } };
}

test('what jobs have is taken over, but for what they gave back', async () => {
  const hello = [
    { id: 1, R: R([{ rank: '0', children: { core: '0-2' } }], { nodelist: ['node0'] }) },
    { id: 2, R: R([{ rank: '0-1', children: { core: '3' } }], { nodelist: ['node[0-1]'] }), free: '1' },
  ];
  const sched = await Fixture.start({ hello });
  assert.deepEqual(sched.logs.slice(0, 2), ['hello: ƒ2: rank0/core[0-2]', 'hello: ƒ3: rank0/core3']);
  const jobs = [await sched.submit(3, jobspec({ cores: 4 })), await sched.submit(4, jobspec())];
  assert.deepEqual(jobs.map(outcome), ['rank1/core[0-3]', 'waits']);
  await sched.tell('sched.free', { id: 2, R: R([{ rank: '0', children: { core: '3' } }]), final: true });
  assert.equal(outcome(jobs[1]!), 'rank0/core3');
});

test('when a job ends that was taken over is known, also when that has changed', async () => {
  const times = { nodelist: ['node0'], expiration: START + 100 };
  const hello = [
    { id: 1, R: R([{ rank: '0', children: { core: '0-3' } }], times) },
    {
      id: 2,
      R: R([{ rank: '1', children: { core: '0-3' } }], { ...times, nodelist: ['node1'] }),
      expiration: START + 300,
    },
  ];
  const sched = await Fixture.start({ hello });
  const jobs = [await sched.submit(3, jobspec({ cores: 4 }, 1000)), await sched.submit(4, jobspec({ cores: 4 }, 1000))];
  await sched.pass(1);
  assert.deepEqual(jobs.map(estimates), [[100], [300]]);
});

test('a job whose resources are gone gets an exception', async () => {
  const gone = R([{ rank: '7', children: { core: '0' } }], { nodelist: ['node7'] });
  const hello = [{ id: 1, R: gone }, { id: 2 }, { id: 3, R: { version: 2 } }];
  const sched = await Fixture.start({ hello });
  assert.match(
    sched.logs[0]!,
    /hello: ƒ2 cannot keep its resources: allocation contains ranks not in resource pool: 7/,
  );
  assert.match(sched.logs[1]!, /hello: failed to look up R for job ƒ3/);
  assert.deepEqual(sched.sent.get('job-manager.raise'), [
    ...[1n, 3n].map((id) => ({
      id,
      severity: 0,
      type: 'scheduler-restart',
      note: 'failed to reallocate R for running job',
    })),
  ]);
});

test('when the job manager is gone, what it asked for is forgotten', async () => {
  const sched = await Fixture.start();
  const first = await sched.submit(1, jobspec({ slots: 8 }));
  await sched.submit(2, jobspec({ slots: 8 }));
  await sched.notify('sched-simple.disconnect');
  assert.equal((await sched.ask('sched-simple.stats-get')).pending_jobs, 0);
  await sched.free(first);
  assert.equal(outcome(await sched.submit(2, jobspec())), 'rank0/core0');
});

// ---- estimates

test('waiting jobs are told when they will start, and not any more when they do', async () => {
  const sched = await Fixture.start();
  const first = await sched.submit(1, jobspec({ slots: 8 }, 100));
  const second = await sched.submit(2, jobspec({ slots: 8 }, 50));
  const third = await sched.submit(3, jobspec({ slots: 1 }));
  const fourth = await sched.submit(4, jobspec({ slots: 8 }));
  await sched.pass(1);
  assert.deepEqual([second, third, fourth].map(estimates), [[100], [150], []]);
  await sched.notify('sched.expiration', { id: 1, expiration: START + 200 });
  await sched.pass(1);
  assert.deepEqual([second, third].map(estimates), [
    [100, 200],
    [150, 250],
  ]);
  await sched.free(first);
  assert.deepEqual(second.at(-1)!.annotations, {
    sched: { t_estimate: null, resource_summary: 'rank[0-1]/core[0-3]' },
  });
  await sched.pass(1);
  assert.equal(estimates(third).at(-1), Math.round(sched.agenda.time - 1 + 50));
  await sched.notify('sched.expiration', { id: 2, expiration: 0 });
  await sched.pass(1);
  assert.equal(estimates(third).at(-1), null);
});

test('it counts', async () => {
  const sched = await Fixture.start();
  await sched.submit(1, jobspec({ slots: 8 }, 100));
  await sched.submit(2, jobspec({ slots: 8 }));
  const stats = await sched.ask('sched-simple.stats-get');
  assert.equal(stats.pending_jobs, 1);
  assert.ok((stats.sched_passes as number) >= 2);
  assert.ok((stats.forecast_passes as number) >= 1);
});

// ---- explain

describe('it explains why a job waits', () => {
  const rows: readonly (readonly [
    name: string,
    options: Parameters<typeof Fixture.start>[0],
    jobs: readonly JsonObject[],
    reason: string,
    text: RegExp,
  ])[] = [
    [
      'others have the rest',
      {},
      [jobspec({ slots: 7 }, 60), jobspec({ slots: 2 })],
      'busy',
      /needs 2 slot\(s\) and 1 is free now/,
    ],
    [
      'ranks are down',
      { up: '0' },
      [jobspec({ slots: 8 })],
      'down',
      /too many nodes are down or drained: there is room for 4/,
    ],
    [
      'ranks that pass the constraint are down',
      { up: '0' },
      [jobspec({ nodes: 1 }, 0, { constraints: { ranks: ['1'] } })],
      'down',
      /too many nodes that pass its constraint are down/,
    ],
    [
      'another is first',
      {},
      [jobspec({ slots: 7 }), jobspec({ slots: 8 }), jobspec()],
      'behind',
      /ƒ3 comes first: it was submitted before/,
    ],
    [
      'another would be delayed',
      { policy: 'backfill' },
      [jobspec({ slots: 7 }, 60), jobspec({ slots: 8 }), jobspec({}, 100)],
      'reserved',
      /starting now would delay ƒ3/,
    ],
  ];
  for (const [name, options, jobs, reason, text] of rows)
    test(name, async () => {
      const sched = await Fixture.start(options);
      for (const [index, spec] of jobs.entries()) await sched.submit(index + 1, spec);
      const said = await sched.ask('sched.explain', { id: jobs.length });
      assert.deepEqual([said.id, said.state, said.reason], [jobs.length, 'pending', reason]);
      assert.match(String(said.text), text);
    });

  test('with all that is known', async () => {
    const sched = await Fixture.start({ R: uniform(3, 4, 0, { properties: { p: '0-1' } }), up: '0-2' });
    await sched.submit(1, jobspec({ nodes: 3, slots: 3, cores: 4 }, 100), { priority: 20 });
    await sched.submit(2, jobspec({ nodes: 3, slots: 3, cores: 4 }, 50));
    await sched.submit(3, jobspec({ nodes: 2, slots: 2 }, 50, { constraints: { properties: ['p'] } }), {
      priority: 10,
    });
    const { text: _, t_estimate, ...said } = await sched.ask('sched.explain', { id: 3 });
    assert.equal(Math.round((t_estimate as number) - START), 150);
    assert.deepEqual(said, {
      id: 3,
      state: 'pending',
      reason: 'busy',
      policy: 'fifo',
      priority: 10,
      jobs_ahead: 1,
      first: 2,
      first_priority: 16,
      unit: 'node',
      needed: 2,
      free: 0,
      missing: 2,
      nodes: { all: 3, eligible: 2, up: 2 },
    });
  });

  test('a job that has resources, to whom it is', async () => {
    const sched = await Fixture.start();
    await sched.submit(1, jobspec({ slots: 8 }, 100), { userid: guest.userid });
    await sched.submit(2, jobspec());
    await sched.change({ down: '1' });
    const { expiration, ...said } = await sched.ask('sched.explain', { id: 1 }, guest);
    assert.equal(Math.round((expiration as number) - START), 100);
    assert.deepEqual(said, { id: 1, state: 'allocated', resources: 'rank[0-1]/core[0-3]', down: '1' });
    assert.equal((await sched.ask('sched.explain', { id: 2 }, guest)).errno, 'EPERM');
    assert.equal((await sched.ask('sched.explain', { id: 3 })).errno, 'ENOENT');
  });
});

// ---- what cannot be understood

describe('requests that are none', () => {
  for (const [topic, payload, code] of [
    ['sched.alloc', { id: 1 }, 'EPROTO'],
    ['sched.alloc', undefined, 'EPROTO'],
    ['sched.free', { id: 1, R: {} }, 'EPROTO'],
    ['sched.free', { id: 1, R: { execution: { R_lite: [{ rank: 'x' }] } } }, 'EINVAL'],
    ['sched.prioritize', { jobs: [1] }, 'EPROTO'],
    ['sched.prioritize', { jobs: [['a', 1]] }, 'EPROTO'],
    ['sched.expiration', { id: 1 }, 'EPROTO'],
    ['sched.cancel', {}, 'EPROTO'],
    ['feasibility.check', {}, 'EPROTO'],
    ['sched.explain', { id: 'a' }, 'EPROTO'],
  ] as const)
    test(`${topic} ${JSON.stringify(payload)}`, async () => {
      const sched = await Fixture.start();
      assert.equal((await sched.ask(topic, payload)).errno, code);
      assert.equal(outcome(await sched.submit(5, jobspec())), 'rank0/core0');
    });

  test('guests may only ask why their jobs wait', async () => {
    const sched = await Fixture.start();
    for (const method of [
      'sched.alloc',
      'sched.free',
      'sched.cancel',
      'sched.prioritize',
      'sched.expiration',
      'feasibility.check',
    ])
      assert.equal((await sched.ask(method, {}, guest)).errno, 'EPERM', method);
  });

  test('a job that waits already', async () => {
    const sched = await Fixture.start({ up: '' });
    const first = await sched.submit(1, jobspec());
    assert.match(outcome(await sched.submit(1, jobspec())), /EEXIST/);
    await sched.change({ up: '0' });
    assert.equal(outcome(first), 'rank0/core0');
  });
});

test('a queue of many different jobs is looked at in turns', async () => {
  const sched = await Fixture.start({ policy: 'backfill', args: ['queue-depth=unlimited'], R: uniform(2, 64) });
  const first = await sched.submit(1, jobspec({ slots: 127 }, 100));
  await sched.submit(2, jobspec({ slots: 128 }, 100));
  for (let id = 3; id < 2200; id++)
    sched.alloc(id, jobspec({ slots: 2 + (id % 40), cores: 1 + (id % 37) }, 10 + (id % 7)));
  const last = await sched.submit(5000, jobspec({}, 50));
  assert.equal(((last.at(-1)!.annotations as JsonObject).sched as JsonObject).backfill, 'ƒ3');
  assert.equal(outcome(first), 'rank0/core[0-63] rank1/core[0-62]');
});
