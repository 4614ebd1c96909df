/** Dependencies of jobs (RFC 26): what they wait for, what they are refused with, and what a restart leaves of them. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { JsonObject } from '../../../core/json.ts';
import { beginTime } from '../../../workers/job-manager/plugins/begin-time.ts';
import { dependencyAfter } from '../../../workers/job-manager/plugins/dependency-after.ts';
import { dependencySingleton } from '../../../workers/job-manager/plugins/dependency-singleton.ts';
import { throwsCode } from '../../errors.ts';
import { FakeJobtap } from './fake-jobtap.ts';

const on = (scheme: string, value: unknown = 'ƒ2') => ({
  dependencies: [{ scheme, value } as JsonObject],
});
const after = (scheme: string) => ({ system: on(scheme) });

// ---- after

type Story = (jobtap: FakeJobtap, target: ReturnType<FakeJobtap['job']>) => void;

const completes: Story = (jobtap, target) => jobtap.end(target);
const fails: Story = (jobtap, target) => jobtap.end(target, 'finish', { status: 256 });
const isCanceled: Story = (jobtap, target) => jobtap.cancel(target);
const runs: Story = (jobtap, target) => jobtap.run(target);
const never = 'job never started';
const cannot = 'can never be satisfied';

for (const [scheme, story, outcome] of [
  ['afterstart', [runs], 'released'],
  ['after', [runs], 'released'],
  ['afterstart', [isCanceled], never],
  ['afterany', [runs], 'waits'],
  ['afterany', [runs, completes], 'released'],
  ['afterany', [runs, fails], 'released'],
  ['afterany', [isCanceled], 'released'],
  ['afterok', [runs], 'waits'],
  ['afterok', [runs, completes], 'released'],
  ['afterok', [runs, fails], cannot],
  ['afterok', [runs, isCanceled], cannot],
  ['afterok', [isCanceled], never],
  ['afternotok', [runs, completes], cannot],
  ['afternotok', [runs, fails], 'released'],
  ['afternotok', [runs, isCanceled], 'released'],
  ['afternotok', [isCanceled], never],
  ['afterexcept', [runs, completes], cannot],
  ['afterexcept', [runs, fails], cannot],
  ['afterexcept', [runs, isCanceled], 'released'],
  ['afterexcept', [isCanceled], never],
] as [string, Story[], string][]) {
  const names = story.map((step) => step.name).join(', then ');
  const kind = { after: 'start', afterstart: 'start', afterany: 'finish', afterok: 'success' }[scheme];
  const description = `after-${kind ?? scheme.slice(5).replace('notok', 'failure')}=ƒ2`;

  test(`${scheme} of a job that ${names}: ${outcome}`, () => {
    const jobtap = new FakeJobtap(dependencyAfter);
    const target = jobtap.submit({ id: 1n });
    const job = jobtap.submit({ id: 50n, ...after(scheme) });
    assert.ok(jobtap.take().includes(`add 50 ${description}`));
    for (const step of story) step(jobtap, target);
    const expected = {
      waits: [],
      released: [`remove 50 ${description}`],
    }[outcome] ?? [`raise 50 dependency 0: dependency ${description} ${outcome}`];
    assert.deepEqual(jobtap.take(), expected);
    if (outcome !== 'waits') assert.deepEqual(jobtap.hooks.query!(), { dependencies: [] });
    assert.equal(job.state, 2);
  });

  const refusal: Record<string, RegExp> = {
    afterstart: /^dependency: after: ƒ2 never started$/,
    afterok: /^dependency: afterok: job ƒ2 failed or was canceled$/,
    afternotok: /^dependency: afternotok: job ƒ2 succeeded$/,
    afterexcept: /^dependency: afterexcept: job ƒ2: no exception$/,
  };
  if (outcome === 'waits' || scheme === 'after') continue;
  test(`${scheme} of a job that ${names}, submitted when that is over: ${outcome}`, () => {
    const jobtap = new FakeJobtap(dependencyAfter);
    const target = jobtap.submit({ id: 1n });
    for (const step of story) step(jobtap, target);
    const submit = () => jobtap.submit({ id: 50n, ...after(scheme) });
    if (outcome === 'released') {
      submit();
      assert.deepEqual(jobtap.take(), [`add 50 ${description}`, `remove 50 ${description}`]);
    } else throwsCode(submit, 'EINVAL', outcome === never ? refusal.afterstart! : refusal[scheme]!);
    assert.deepEqual(jobtap.hooks.query!(), { dependencies: [] });
  });
}

test('the scheme after is deprecated, and the job is told so', () => {
  const jobtap = new FakeJobtap(dependencyAfter);
  jobtap.submit({ id: 1n });
  jobtap.submit({ id: 50n, ...after('after') });
  assert.deepEqual(jobtap.take(), [
    "raise 50 dependency 3: dependency scheme 'after' is deprecated, use 'afterstart'",
    'add 50 after-start=ƒ2',
  ]);
});

for (const [value, text] of [
  ['xyzzy-not-an-id', /^dependency: afterok: "xyzzy-not-an-id" is not a valid jobid$/],
  ['', /^dependency: afterok: "" is not a valid jobid$/],
  ['0', /^dependency: afterok: "0" is not a valid jobid$/],
  ['ƒ99', /^dependency: afterok: id ƒ99: job not found$/],
  ['7', /^dependency: afterok: job 7 can't wait for itself$/],
  ['2', /^afterok: Permission denied for job 2$/],
  [5, /scheme and value must be strings/],
  [null, /scheme and value must be strings/],
] as [unknown, RegExp][]) {
  test(`a job that waits for ${JSON.stringify(value)} is refused`, () => {
    const jobtap = new FakeJobtap(dependencyAfter);
    jobtap.submit({ id: 2n, userid: 555 });
    throwsCode(() => jobtap.submit({ id: 7n, system: on('afterok', value) }), 'EINVAL', text);
  });
}

test('many jobs wait for one, and one for many; those that are gone are not asked for again', () => {
  const jobtap = new FakeJobtap(dependencyAfter);
  const [a, b] = [jobtap.submit({ id: 1n }), jobtap.submit({ id: 2n })];
  const both = jobtap.submit({
    id: 10n,
    system: { dependencies: [...on('afterok', '1').dependencies, ...on('afterany', '2').dependencies] },
  });
  jobtap.submit({ id: 11n, system: on('afternotok', '1') });
  const gone = jobtap.submit({ id: 12n, system: on('afterok', '1') });
  assert.deepEqual(jobtap.hooks.query!().dependencies, [
    { id: 1n, depid: 10n, type: 'after-success', description: 'after-success=1' },
    { id: 2n, depid: 10n, type: 'after-finish', description: 'after-finish=2' },
    { id: 1n, depid: 11n, type: 'after-failure', description: 'after-failure=1' },
    { id: 1n, depid: 12n, type: 'after-success', description: 'after-success=1' },
  ]);
  jobtap.cancel(gone);
  jobtap.take();
  jobtap.run(a);
  jobtap.end(a);
  assert.deepEqual(jobtap.take(), [
    'remove 10 after-success=1',
    'raise 11 dependency 0: dependency after-failure=1 can never be satisfied',
  ]);
  assert.deepEqual([...both.dependencies], ['after-finish=2']);
  jobtap.cancel(b);
  assert.deepEqual(jobtap.take(), ['remove 10 after-finish=2']);
});

test('after a restart a job waits on, unless what it waited for has happened', () => {
  const jobtap = new FakeJobtap(dependencyAfter);
  const target = jobtap.restore({ id: 1n, state: 'run', events: ['submit', 'alloc', 'start'] });
  jobtap.restore({ id: 10n, state: 'depend', ...after('afterok') }, ['after-success=ƒ2']);
  jobtap.restore({ id: 11n, state: 'depend', ...after('afterok') });
  jobtap.restore({ id: 12n, state: 'depend', ...after('afterstart') }, ['after-start=ƒ2']);
  assert.deepEqual(jobtap.take(), ['remove 12 after-start=ƒ2']);
  jobtap.end(target);
  assert.deepEqual(jobtap.take(), ['remove 10 after-success=ƒ2']);
  jobtap.restore({ id: 13n, state: 'depend', ...after('afternotok') }, ['after-failure=ƒ2']);
  assert.deepEqual(jobtap.take(), ['raise 13 dependency 0: dependency: afternotok: job ƒ2 succeeded']);
});

// ---- singleton

const named = (name: string, more: JsonObject = {}) => ({ system: { job: { name }, ...more } });
const singleton = { dependencies: [{ scheme: 'singleton' } as JsonObject] };

test('a singleton waits for all jobs of its name and user, one after another', () => {
  const jobtap = new FakeJobtap(dependencySingleton);
  const first = jobtap.submit({ id: 1n, ...named('a') });
  jobtap.submit({ id: 2n, ...named('b') });
  jobtap.submit({ id: 3n, userid: 555, ...named('a') });
  const second = jobtap.submit({ id: 4n, ...named('a', singleton) });
  const third = jobtap.submit({ id: 5n, ...named('a', singleton) });
  const free = jobtap.submit({ id: 6n, ...named('a') });
  assert.deepEqual(jobtap.take(), ['add 4 singleton', 'add 5 singleton']);
  assert.deepEqual(jobtap.hooks.query!(), {
    '100:a': { count: 4, singletons: [4n, 5n] },
    '100:b': { count: 1, singletons: [] },
    '555:a': { count: 1, singletons: [] },
  });
  jobtap.end(first);
  assert.deepEqual(jobtap.take(), []);
  jobtap.end(free);
  assert.deepEqual(jobtap.take(), ['remove 4 singleton']);
  jobtap.cancel(second);
  assert.deepEqual(jobtap.take(), ['remove 5 singleton']);
  jobtap.end(third);
  assert.equal(jobtap.hooks.query!()['100:a'], undefined);
});

test('a singleton without namesakes does not wait; one without a name is refused', () => {
  const jobtap = new FakeJobtap(dependencySingleton);
  jobtap.submit({ id: 1n, ...named('a', singleton) });
  assert.deepEqual(jobtap.take(), []);
  throwsCode(() => jobtap.submit({ system: singleton }), 'EINVAL', /^singleton jobs require a job name$/);
});

test('a singleton that is canceled while it waits makes way for the next', () => {
  const jobtap = new FakeJobtap(dependencySingleton);
  const first = jobtap.submit({ id: 1n, ...named('a') });
  const second = jobtap.submit({ id: 2n, ...named('a', singleton) });
  jobtap.submit({ id: 3n, ...named('a', singleton) });
  jobtap.take();
  jobtap.cancel(second);
  jobtap.end(first);
  assert.deepEqual(jobtap.take(), ['remove 3 singleton']);
});

test('a singleton that was refused is forgotten', () => {
  const jobtap = new FakeJobtap({
    start: (context, conf) => ({
      ...dependencySingleton.start(context, conf),
      validate() {
        if (context.active(2n)) throw new Error('refused');
      },
    }),
  });
  const first = jobtap.submit({ id: 1n, ...named('a') });
  assert.throws(() => jobtap.submit({ id: 2n, ...named('a', singleton) }));
  jobtap.submit({ id: 3n, ...named('a', singleton) });
  jobtap.take();
  jobtap.end(first);
  assert.deepEqual(jobtap.take(), ['remove 3 singleton']);
});

test('after a restart singletons wait for jobs that come back behind them', async () => {
  const jobtap = new FakeJobtap(dependencySingleton);
  jobtap.restore({ id: 1n, state: 'depend', ...named('a', singleton) }, ['singleton']);
  const other = jobtap.restore({ id: 2n, state: 'run', ...named('a') });
  jobtap.restore({ id: 3n, state: 'depend', ...named('b', singleton) }, ['singleton']);
  jobtap.restore({ id: 4n, state: 'depend', ...named('c', singleton) });
  await jobtap.world.pass(1);
  assert.deepEqual(jobtap.take(), ['remove 3 singleton']);
  jobtap.end(other);
  assert.deepEqual(jobtap.take(), ['remove 1 singleton']);
});

// ---- begin-time

test('a job waits for its time, to the second', async () => {
  const jobtap = new FakeJobtap(beginTime);
  const time = jobtap.world.now + 100;
  const description = `begin-time=${time.toFixed(3)}`;
  jobtap.submit({ id: 1n, system: on('begin-time', String(time)) });
  jobtap.submit({ id: 2n, system: on('begin-time', '12.5') });
  assert.deepEqual(jobtap.take(), [`add 1 ${description}`, 'add 2 begin-time=12.500']);
  await jobtap.world.pass(0.1);
  assert.deepEqual(jobtap.take(), ['remove 2 begin-time=12.500']);
  await jobtap.world.pass(99);
  assert.deepEqual(jobtap.take(), []);
  await jobtap.world.pass(1);
  assert.deepEqual(jobtap.take(), [`remove 1 ${description}`]);
});

for (const value of ['foo', '', '-1', 'nan', 'inf', '1e999', '5x', 5]) {
  test(`begin-time ${JSON.stringify(value)} is refused`, () => {
    const jobtap = new FakeJobtap(beginTime);
    throwsCode(() => jobtap.submit({ system: on('begin-time', value) }), 'EINVAL', /begin-time/);
    assert.deepEqual(jobtap.take(), []);
  });
}

test('nobody waits for the time of a job that is over, nor when the plugin is removed', () => {
  const jobtap = new FakeJobtap(beginTime);
  const soon = { system: on('begin-time', String(jobtap.world.now + 100)) };
  const job = jobtap.submit(soon);
  jobtap.submit(soon);
  assert.equal(jobtap.world.agenda.timerOwners().length, 2);
  jobtap.cancel(job);
  assert.equal(jobtap.world.agenda.timerOwners().length, 1);
  jobtap.hooks.stop!();
  assert.equal(jobtap.world.agenda.timerOwners().length, 0);
});

test('after a restart a job waits for its time, unless that was over', async () => {
  const jobtap = new FakeJobtap(beginTime);
  const time = jobtap.world.now + 100;
  const description = `begin-time=${time.toFixed(3)}`;
  const system = on('begin-time', String(time));
  jobtap.restore({ id: 1n, state: 'depend', system }, [description]);
  jobtap.restore({ id: 2n, state: 'depend', system });
  await jobtap.world.pass(101);
  assert.deepEqual(jobtap.take(), [`remove 1 ${description}`]);
});
