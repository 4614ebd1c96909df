// States of jobs and what leads from one to another: RFC 21's table.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ErrnoName } from '../../../core/errno.ts';
import { JobState } from '../../../core/formats/job-state.ts';
import type { JsonObject } from '../../../core/json.ts';
import { Job, JobFlag, type StateName } from '../../../workers/job-manager/job.ts';
import { annotate, applyEvent, stateName } from '../../../workers/job-manager/state-machine.ts';
import { throwsCode } from '../../errors.ts';

function jobIn(state: StateName): Job {
  const job = new Job(1n, { attributes: { system: { duration: 10 } } });
  job.state = JobState[state];
  return job;
}

function apply(job: Job, name: string, context?: JsonObject): void {
  applyEvent(job, { timestamp: 7, name, ...(context && { context }) });
}

const all: readonly StateName[] = ['new', 'depend', 'priority', 'sched', 'run', 'cleanup', 'inactive'];
const fatal = { type: 'cancel', severity: 0 };
const mild = { type: 'note', severity: 1 };

// An event, its context, and where it leads; it leaves all other states as they are.
const rows: readonly [string, JsonObject | undefined, Partial<Record<StateName, StateName>>][] = [
  ['validate', undefined, { new: 'depend' }],
  ['depend', undefined, { depend: 'priority' }],
  ['priority', { priority: 5 }, { priority: 'sched' }],
  ['urgency', { userid: 1, urgency: 5 }, { sched: 'priority' }],
  ['jobspec-update', { 'attributes.system.duration': 5 }, { sched: 'priority' }],
  ['flux-restart', undefined, { sched: 'priority' }],
  ['alloc', undefined, { sched: 'run' }],
  ['start', undefined, {}],
  ['finish', { status: 0 }, { run: 'cleanup' }],
  ['release', { ranks: 'all', final: true }, {}],
  ['free', undefined, {}],
  ['clean', undefined, { cleanup: 'inactive' }],
  ['exception', fatal, { depend: 'cleanup', priority: 'cleanup', sched: 'cleanup', run: 'cleanup' }],
  ['exception', mild, {}],
  ['memo', { a: 1 }, {}],
  ['dependency-add', { description: 'x' }, {}],
  ['prolog-start', { description: 'x' }, {}],
  ['epilog-finish', { description: 'x' }, {}],
  ['set-flags', { flags: ['debug'] }, {}],
  ['debug.anything', undefined, {}],
  ['somebody.elses', { any: 'thing' }, {}],
  ['toString', undefined, {}],
];

for (const [name, context, leads] of rows)
  test(`${name} ${JSON.stringify(context ?? {})} leads from states where RFC 21 says`, () => {
    for (const from of all) {
      const job = jobIn(from);
      apply(job, name, context);
      assert.equal(stateName(job.state), leads[from] ?? from, `from ${from}`);
    }
  });

test('events change what they are about', () => {
  const job = jobIn('new');
  apply(job, 'submit', { userid: 7, urgency: 20, flags: JobFlag.waitable, version: 1 });
  assert.deepEqual([job.userid, job.urgency, job.flags, job.tSubmit], [7, 20, JobFlag.waitable, 7]);
  apply(job, 'dependency-add', { description: 'a' });
  apply(job, 'dependency-add', { description: 'a' });
  apply(job, 'validate');
  apply(job, 'dependency-add', { description: 'b' });
  assert.deepEqual([...job.dependencies], ['a', 'b']);
  apply(job, 'dependency-remove', { description: 'a' });
  apply(job, 'dependency-add', { description: 'a' });
  assert.deepEqual([...job.dependencies], ['b'], 'a dependency that is gone does not come back');
  apply(job, 'depend');
  apply(job, 'priority', { priority: 4294967295 });
  assert.equal(job.priority, 4294967295);
  apply(job, 'jobspec-update', { 'attributes.system.duration': 5, 'attributes.system.queue': 'debug' });
  assert.deepEqual(job.jobspec, { attributes: { system: { duration: 5, queue: 'debug' } } });
  assert.equal(job.queue, 'debug');
  apply(job, 'set-flags', { flags: ['alloc-bypass', 'debug', 'immutable'] });
  assert.deepEqual([job.bypassesAlloc, job.isImmutable, job.flags & JobFlag.debug], [true, true, JobFlag.debug]);
  apply(job, 'priority', { priority: 3 });
  job.R = { execution: { expiration: 1 } };
  apply(job, 'alloc');
  assert.equal(job.hasResources, true);
  apply(job, 'resource-update', { expiration: 99 });
  assert.deepEqual(job.R, { execution: { expiration: 99 } });
  apply(job, 'prolog-start', { description: 'p' });
  assert.equal(job.perilogs, 1);
  apply(job, 'prolog-finish', { description: 'p', status: 0 });
  apply(job, 'prolog-finish', { description: 'p', status: 0 });
  assert.equal(job.perilogs, 0);
  apply(job, 'start');
  assert.equal(job.isStarted, true);
  apply(job, 'exception', { type: 'timeout', severity: 0 });
  apply(job, 'exception', { type: 'cancel', severity: 0 });
  assert.equal(job.endEvent?.context?.type, 'timeout', 'the first that ends it counts');
  apply(job, 'free');
  assert.equal(job.hasResources, false);
  apply(job, 'clean');
  assert.equal(job.tClean, 7);
});

test('resources that a scheduler could not restore are not given back', () => {
  const job = jobIn('run');
  job.hasResources = true;
  apply(job, 'exception', { type: 'scheduler-restart', severity: 0 });
  assert.equal(job.hasResources, false);
});

// State, event, context, what it is refused with.
const bad: readonly [StateName, string, JsonObject | undefined, ErrnoName][] = [
  ['depend', 'submit', { userid: 1, urgency: 1, flags: 0 }, 'EINVAL'],
  ['new', 'submit', { userid: 1, urgency: 1.5, flags: 0 }, 'EPROTO'],
  ['new', 'submit', undefined, 'EPROTO'],
  ['priority', 'priority', undefined, 'EPROTO'],
  ['sched', 'urgency', { urgency: 'x' }, 'EPROTO'],
  ['run', 'exception', { severity: 0 }, 'EPROTO'],
  ['run', 'release', { ranks: 'all' }, 'EPROTO'],
  ['run', 'set-flags', { flags: ['debug', 'nosuch'] }, 'EPROTO'],
  ['run', 'resource-update', { expiration: 5 }, 'EAGAIN'],
  ['depend', 'dependency-remove', { description: 'x' }, 'ENOENT'],
  ['depend', 'dependency-add', {}, 'EPROTO'],
  ['depend', 'jobspec-update', { 'attributes..x': 5 }, 'EINVAL'],
  ['depend', 'jobspec-update', { 'attributes.system.duration.x': 5 }, 'EINVAL'],
];

for (const [state, name, context, code] of bad)
  test(`${name} ${JSON.stringify(context)} in ${state} is refused and changes nothing`, () => {
    const job = jobIn(state);
    const before = JSON.stringify({ ...job, id: 0 });
    throwsCode(() => apply(job, name, context), code);
    assert.equal(JSON.stringify({ ...job, id: 0 }), before);
  });

test('an R that changes otherwise than in its end is refused', () => {
  for (const context of [{ expiration: 5, x: 1 }, { expiration: -1 }, { R: 5 }]) {
    const job = jobIn('run');
    job.R = { execution: {} };
    assert.throws(() => apply(job, 'resource-update', context as JsonObject));
    assert.deepEqual(job.R, { execution: {} });
  }
});

test('annotations are merged, null removes, nothing is left where all is gone', () => {
  const job = jobIn('sched');
  annotate(job, { sched: { a: 1, b: { c: 2 } } });
  annotate(job, { sched: { a: null, d: 4 }, user: { x: 'y' } });
  assert.deepEqual(job.annotations, { sched: { b: { c: 2 }, d: 4 }, user: { x: 'y' } });
  annotate(job, { sched: { b: { c: null }, d: null }, user: { x: null } });
  assert.equal(job.annotations, undefined);
});
