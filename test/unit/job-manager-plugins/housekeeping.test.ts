/** Housekeeping after jobs: programs on their ranks, and resources that go back rank by rank. */

import assert from 'node:assert/strict';
import { constants } from 'node:os';
import { test } from 'node:test';
import { FluxError } from '../../../core/errno.ts';
import { Request } from '../../../core/handle/methods.ts';
import { type JsonObject, type JsonValue, stringifyJson } from '../../../core/json.ts';
import { Role } from '../../../core/message/credentials.ts';
import { Flag, Message } from '../../../core/message/message.ts';
import { HousekeepingService } from '../../../workers/job-manager/housekeeping.ts';
import { throwsCode } from '../../errors.ts';
import { FakeCore } from './fake-core.ts';
import { resources } from './fake-jobtap.ts';
import { settled } from './service-world.ts';

const { SIGTERM } = constants.signals;
const owner = { userid: 100, rolemask: Role.owner };

class Fixture {
  readonly core = new FakeCore();
  readonly housekeeping = new HousekeepingService(this.core);

  constructor(settings?: JsonObject) {
    this.housekeeping.configure(
      settings ? { 'job-manager': { housekeeping: { command: ['tidy', 'up'], ...settings } } } : {},
    );
  }

  /** A job that is over leaves these ranks. */
  async leave(ranks = '1-3'): Promise<bigint> {
    const job = this.core.job({}, { state: 'inactive', userid: 777 });
    job.priority = 16;
    job.tSubmit = 12.5;
    this.core.retire(job);
    this.housekeeping.start(resources(ranks, { nodelist: undefined }), job.id, 777);
    await settled();
    return job.id;
  }

  program(rank: number) {
    return this.core.world.programs.findLast((program) => program.rank === rank)!;
  }

  kill(payload: JsonObject): JsonValue | undefined {
    const message = Message.request({ topic: 'job-manager.housekeeping-kill', payload, credentials: owner });
    const { handler } = this.housekeeping.methods['housekeeping-kill']!;
    return handler(new Request(message, owner, () => {})) as JsonValue | undefined;
  }

  hello(partialOk: boolean): unknown[] {
    const answers: unknown[] = [];
    const message = Message.request({
      topic: 'job-manager.sched-hello',
      matchtag: 1,
      flags: Flag.streaming,
      credentials: owner,
    });
    const request = new Request(message, owner, (response) => answers.push(JSON.parse(stringifyJson(response.json!))));
    this.housekeeping.hello(request, partialOk);
    return answers;
  }

  stats(): unknown {
    return JSON.parse(stringifyJson(this.housekeeping.stats()));
  }
}

test('without a command resources go back at once', async () => {
  const { core, housekeeping } = new Fixture();
  housekeeping.start(resources('1-3'), 9n, 777);
  assert.deepEqual(core.take(), ['free 9 1-3 final']);
  assert.deepEqual(JSON.parse(stringifyJson(housekeeping.stats())), {
    running: {},
    config: { 'release-after': -1, command: '' },
  });
});

test('resources go back when all ranks are done', async () => {
  const fixture = new Fixture({});
  await fixture.leave();
  const { core } = fixture;
  assert.deepEqual(
    core.world.programs.map(({ rank }) => rank),
    [1, 2, 3],
  );
  assert.deepEqual(fixture.program(2).cmdline, ['tidy', 'up']);
  assert.deepEqual(fixture.program(2).env, {
    PATH: '/bin',
    FLUX_JOB_ID: '1',
    FLUX_JOB_USERID: '777',
    FLUX_JOB_RANKS: '1-3',
  });
  await fixture.program(2).finish();
  await core.world.pass(3600);
  assert.deepEqual(core.take(), []);
  assert.deepEqual(fixture.stats(), {
    running: { ƒ2: { t_start: 1_800_000_000, pending: '1,3', allocated: '1-3' } },
    config: { 'release-after': -1, command: 'tidy up' },
  });
  assert.equal([...fixture.housekeeping.allocated()].length, 1);
  await fixture.program(1).finish();
  await fixture.program(3).finish();
  assert.deepEqual(core.take(), ['free 1 1-3 final']);
  assert.deepEqual([...fixture.housekeeping.allocated()], []);
  assert.deepEqual(core.world.logs, ['housekeeping: ƒ2 started', 'housekeeping: ƒ2 complete']);
});

test('resources go back rank by rank', async () => {
  const fixture = new Fixture({ 'release-after': '0' });
  await fixture.leave();
  await fixture.program(2).finish();
  await fixture.core.world.pass(0.02);
  assert.deepEqual(fixture.core.take(), ['free 1 2']);
  const [allocated] = fixture.housekeeping.allocated();
  assert.deepEqual(Object.values(allocated!.execution as JsonObject)[0], [{ rank: '1,3', children: { core: '0' } }]);
  await fixture.program(1).finish();
  await fixture.program(3).finish();
  await fixture.core.world.pass(0.02);
  assert.deepEqual(fixture.core.take(), ['free 1 1,3 final']);
});

test('after a time those that are done go back together, and later ones as they are done', async () => {
  const fixture = new Fixture({ 'release-after': '10s' });
  await fixture.leave('1-4');
  await fixture.program(1).finish();
  await fixture.core.world.pass(1);
  await fixture.program(2).finish();
  await fixture.core.world.pass(8);
  assert.deepEqual(fixture.core.take(), []);
  await fixture.core.world.pass(2);
  assert.deepEqual(fixture.core.take(), ['free 1 1-2']);
  await fixture.program(4).finish();
  await fixture.core.world.pass(1);
  assert.deepEqual(fixture.core.take(), ['free 1 4']);
  await fixture.program(3).finish();
  assert.deepEqual(fixture.core.take(), ['free 1 3 final']);
  assert.deepEqual(fixture.core.world.agenda.timerOwners(), []);
});

test('what fails is logged, and its resources go back all the same', async () => {
  const fixture = new Fixture({});
  await fixture.leave('1-4');
  fixture.program(1).print('stdout', 'hello\n');
  fixture.program(1).print('stderr', 'oh\n');
  await fixture.program(1).finish(256);
  await fixture.program(2).finish(512);
  await fixture.core.world.pass(1);
  await fixture.program(3).finish(SIGTERM);
  await fixture.program(4).fail(new FluxError('EHOSTUNREACH', 'gone'));
  assert.deepEqual(fixture.core.take(), ['free 1 1-4 final']);
  assert.deepEqual(fixture.core.world.logs.slice(1, -1), [
    'housekeeping: node1 (rank 1) ƒ2: hello',
    'housekeeping: node1 (rank 1) ƒ2: oh',
    'housekeeping: node[1-2] (rank 1-2) ƒ2: nonzero exit code',
    'housekeeping: node4 (rank 4) ƒ2: gone',
    'housekeeping: node3 (rank 3) ƒ2: Terminated',
  ]);
});

test('an R that can not be read goes back as it is', async () => {
  const { core, housekeeping } = new Fixture({});
  housekeeping.start({ version: 5, execution: { R_lite: [] } }, 9n, 777);
  housekeeping.start(resources(''), 10n, 777);
  assert.deepEqual(core.take(), ['free 9  final', 'free 10  final']);
  assert.equal(core.world.logs.length, 2);
});

// ---- signals

for (const [payload, expected] of [
  [{ signum: 15 }, [1, 2, 3, 5]],
  [{ signum: 15, jobid: 1 }, [1, 2, 3]],
  [{ signum: 15, jobid: 1234 }, []],
  [{ signum: 15, ranks: '2,5' }, [2, 5]],
  [{ signum: 15, jobid: 2, ranks: '2,5' }, [5]],
  [{ signum: 15, jobid: 18446744073709551615n }, [1, 2, 3, 5]],
] as [JsonObject, number[]][]) {
  test(`housekeeping-kill ${stringifyJson(payload)} reaches ranks ${expected}`, async () => {
    const fixture = new Fixture({});
    await fixture.leave('1-3');
    await fixture.leave('5');
    assert.equal(fixture.kill(payload), undefined);
    await settled();
    const signaled = fixture.core.world.programs.filter(({ signals }) => signals.includes(15));
    assert.deepEqual(
      signaled.map(({ rank }) => rank),
      expected,
    );
  });
}

for (const [payload, code, text] of [
  [{}, 'EPROTO', /signum/],
  [{ signum: 'x' }, 'EPROTO', /signum/],
  [{ signum: 15, ranks: 'x' }, 'EINVAL', /^error parsing range 'x'$/],
] as [JsonObject, 'EPROTO' | 'EINVAL', RegExp][]) {
  test(`housekeeping-kill ${stringifyJson(payload)} is refused`, () =>
    throwsCode(() => new Fixture({}).kill(payload), code, text));
}

// ---- a scheduler that comes

const hello = (id: number) => ({ id, priority: 16, userid: 777, t_submit: 12.5 });

test('a scheduler is told what is in housekeeping, and what of it is free', async () => {
  const fixture = new Fixture({ 'release-after': '0' });
  await fixture.leave('1-3');
  await fixture.leave('5');
  await fixture.program(2).finish();
  await fixture.core.world.pass(1);
  fixture.core.take();
  assert.deepEqual(fixture.hello(true), [{ ...hello(1), free: '2' }, hello(2)]);
  assert.deepEqual(fixture.hello(false), [hello(2)]);
  assert.match(
    fixture.core.world.logs.join('\n'),
    /housekeeping: node\[1,3\] \(rank 1,3\) from ƒ2 will be terminated because scheduler does not support restart with/,
  );
  await settled();
  for (const rank of [1, 3]) {
    assert.deepEqual(fixture.program(rank).signals, [SIGTERM]);
    await fixture.program(rank).finish(SIGTERM);
  }
  assert.deepEqual(fixture.core.take(), [], 'a scheduler that was told that they are free is not told again');
});

// ---- the configuration

test('the command is that of the IMP where none is given, and none without the table', () => {
  const { housekeeping, core } = new Fixture();
  housekeeping.configure({ exec: { imp: '/imp' }, 'job-manager': { housekeeping: { 'release-after': '1m' } } });
  assert.deepEqual(JSON.parse(stringifyJson(housekeeping.stats().config!)), {
    'release-after': 60,
    command: '/imp run housekeeping',
  });
  for (const [table, text] of [
    [{}, /implies IMP but exec\.imp is undefined/],
    [{ command: [] }, /command must be an array of strings/],
    [{ command: ['x'], 'release-after': 'soon' }, /release-after FSD parse error/],
    [{ command: ['x'], nosuch: 1 }, /unknown key 'nosuch'/],
  ] as [JsonObject, RegExp][])
    throwsCode(() => housekeeping.configure({ 'job-manager': { housekeeping: table } }), 'EINVAL', text);
  assert.deepEqual(JSON.parse(stringifyJson(housekeeping.stats().config!)).command, '/imp run housekeeping');
  housekeeping.configure({});
  housekeeping.start(resources('1'), 9n, 777);
  assert.deepEqual(core.take(), ['free 9 1 final']);
});
