/** Any order of events leaves the lists as a plain model has them, which sorts and filters all jobs each time. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { JobState } from '../../../core/formats/job-state.ts';
import type { JsonObject } from '../../../core/json.ts';
import { SortedList } from '../../../workers/job-list/sorted-list.ts';
import { Fixture } from './fixture.ts';
import { event, jobspec, resources } from './job-history.ts';

// ---- the model

interface ModelJob {
  readonly id: number;
  readonly userid: number;
  readonly queue: string;
  state: number;
  priority: number;
  ran: number;
  ended: number;
}

/** What may happen to a job; false: not in this state. */
const happenings: Readonly<
  Record<string, (job: ModelJob, time: number, value: number) => readonly JsonObject[] | false>
> = {
  validate: (job, time) => advance(job, JobState.new, JobState.depend) && [event(time, 'validate')],
  depend: (job, time) => advance(job, JobState.depend, JobState.priority) && [event(time, 'depend')],
  priority: (job, time, priority) => {
    if (!(job.state & JobState.pending) || job.state === JobState.depend) return false;
    job.state = JobState.sched;
    job.priority = priority;
    return [event(time, 'priority', { priority })];
  },
  urgency: (job, time) => {
    if (!(job.state & JobState.pending)) return false;
    if (job.state === JobState.sched) job.state = JobState.priority;
    return [event(time, 'urgency', { userid: 0, urgency: 16 })];
  },
  alloc: (job, time) => {
    if (!advance(job, JobState.sched, JobState.run)) return false;
    job.ran = time;
    return [event(time, 'alloc')];
  },
  cancel: (job, time) => {
    if (!(job.state & (JobState.pending | JobState.run))) return false;
    job.state = JobState.cleanup;
    return [event(time, 'exception', { type: 'cancel', severity: 0, note: '' })];
  },
  finish: (job, time) => advance(job, JobState.run, JobState.cleanup) && [event(time, 'finish', { status: 0 })],
  clean: (job, time) => {
    if (!advance(job, JobState.cleanup, JobState.inactive)) return false;
    job.ended = time;
    return [event(time, 'clean')];
  },
  memo: (_, time, value) => [event(time, 'memo', { value })],
};

/** What happens to most jobs in a state. */
const usual: Readonly<Record<number, string>> = {
  [JobState.new]: 'validate',
  [JobState.depend]: 'depend',
  [JobState.priority]: 'priority',
  [JobState.sched]: 'alloc',
  [JobState.run]: 'finish',
  [JobState.cleanup]: 'clean',
  [JobState.inactive]: 'memo',
};

function advance(job: ModelJob, from: number, to: number): boolean {
  if (job.state !== from) return false;
  job.state = to;
  return true;
}

function listed(jobs: readonly ModelJob[]): ModelJob[] {
  const inStates = (states: number) => jobs.filter(({ state }) => state & states);
  return [
    ...inStates(JobState.pending).sort((a, b) => b.priority - a.priority || a.id - b.id),
    ...inStates(JobState.running).sort((a, b) => b.ran - a.ran || b.id - a.id),
    ...inStates(JobState.inactive).sort((a, b) => b.ended - a.ended || b.id - a.id),
  ];
}

// ---- constraints, and what they mean

type Test = (job: ModelJob) => boolean;

const leaf = fc.oneof(
  fc.constant<[JsonObject, Test]>([{}, () => true]),
  fc
    .integer({ min: 1, max: 3 })
    .map<[JsonObject, Test]>((userid) => [{ userid: [userid] }, (job) => job.userid === userid]),
  fc.constantFrom('a', 'b', 'c').map<[JsonObject, Test]>((queue) => [{ queue: [queue] }, (job) => job.queue === queue]),
  fc
    .integer({ min: 0, max: 127 })
    .map<[JsonObject, Test]>((states) => [{ states: [states] }, (job) => (job.state & states) !== 0]),
  fc
    .integer({ min: 0, max: 200 })
    .map<[JsonObject, Test]>((time) => [{ t_inactive: [`>=${time}`] }, (job) => job.ended > 0 && job.ended >= time]),
);

const { constraint } = fc.letrec<{ constraint: [JsonObject, Test] }>((tie) => ({
  constraint: fc.oneof(
    { maxDepth: 4 },
    leaf,
    fc
      .array(tie('constraint'), { maxLength: 3 })
      .map<[JsonObject, Test]>((all) => [
        { and: all.map(([json]) => json) },
        (job) => all.every(([, test]) => test(job)),
      ]),
    fc
      .array(tie('constraint'), { maxLength: 3 })
      .map<[JsonObject, Test]>((all) => [
        { or: all.map(([json]) => json) },
        (job) => all.length === 0 || all.some(([, test]) => test(job)),
      ]),
    fc
      .array(tie('constraint'), { maxLength: 2 })
      .map<[JsonObject, Test]>((all) => [
        { not: all.map(([json]) => json) },
        (job) => !all.every(([, test]) => test(job)),
      ]),
  ),
}));

const step = fc.record({
  id: fc.integer({ min: 1, max: 12 }),
  what: fc.oneof(
    { arbitrary: fc.constant('usual'), weight: 2 },
    { arbitrary: fc.constantFrom(...Object.keys(happenings), 'submit', 'purge'), weight: 1 },
  ),
  value: fc.integer({ min: 0, max: 31 }),
  /** Several events may have the same time. */
  wait: fc.integer({ min: 0, max: 1 }),
});

test('lists under random events', async () => {
  const property = fc.asyncProperty(
    fc.array(step, { maxLength: 150, size: 'max' }),
    fc.array(constraint, { minLength: 1, maxLength: 4 }),
    async (steps, constraints) => {
      const fixture = await Fixture.start();
      const jobs = new Map<number, ModelJob>();
      let time = 1;
      for (const { id, what, value, wait } of steps) {
        time += wait;
        const job = jobs.get(id);
        if (what === 'submit' || !job) {
          if (job || what === 'purge') continue;
          const [userid, queue] = [1 + (value % 3), 'abc'[value % 3]!];
          jobs.set(id, { id, userid, queue, state: JobState.new, priority: 0, ran: 0, ended: 0 });
          const submit = event(time, 'submit', { userid, urgency: 16, flags: 0, version: 1 });
          fixture.tell({ id, events: [submit], jobspec: jobspec({ system: { queue } }) });
        } else if (what === 'purge') {
          if (job.state !== JobState.inactive) continue;
          await fixture.settle();
          jobs.delete(id);
          fixture.event('job-purge-inactive', { jobs: [id] });
        } else {
          const happening = what === 'usual' ? usual[job.state]! : what;
          const events = happenings[happening]!(job, time, value);
          if (events) fixture.tell({ id, events: [...events], ...(happening === 'alloc' && { R: resources({}) }) });
        }
      }
      await fixture.settle();
      const all = listed([...jobs.values()]);
      assert.deepEqual(
        await fixture.list({ attrs: ['state'] }),
        all.map(({ id, state }) => ({ id, state })),
      );
      for (const [json, passes] of constraints) {
        const wanted = all.filter(passes).map(({ id }) => id);
        assert.deepEqual(await fixture.ids(json), wanted, JSON.stringify(json));
      }
      assert.deepEqual(
        fixture.logs.filter((line) => !line.startsWith('purged')),
        [],
      );
      const { job_states } = (await fixture.call('job-stats')) as { job_states: { total: number } };
      assert.equal(job_states.total, all.length);
    },
  );
  await fc.assert(property, { numRuns: 150 });
});

test('a sorted list is as an array that is sorted', () => {
  const property = fc.property(
    fc.array(fc.record({ add: fc.boolean(), value: fc.nat(3000) }), { maxLength: 4000, size: 'max' }),
    (steps) => {
      const list = new SortedList<number>((a, b) => a - b);
      const model = new Set<number>();
      let before: { readonly snapshot: (readonly number[])[]; readonly items: readonly number[] } | undefined;
      for (const [index, { add, value }] of steps.entries()) {
        if (index === steps.length >> 1) before = { snapshot: list.snapshot(), items: sorted(model) };
        if (add && !model.has(value)) list.add(value);
        else if (!add) assert.equal(list.remove(value), model.has(value));
        if (add) model.add(value);
        else model.delete(value);
      }
      assert.equal(list.count, model.size);
      assert.deepEqual(list.snapshot().flat(), sorted(model));
      if (before) assert.deepEqual(before.snapshot.flat(), before.items);
    },
  );
  fc.assert(property, { numRuns: 100 });
});

function sorted(numbers: Iterable<number>): number[] {
  return [...numbers].sort((a, b) => a - b);
}
