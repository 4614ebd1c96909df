// Jobs in the order in which they want resources, against a list that is sorted each time.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Job } from '../../../workers/job-manager/job.ts';
import { JobQueue } from '../../../workers/job-manager/job-queue.ts';

function jobOf(id: number, priority: number): Job {
  const job = new Job(BigInt(id), {});
  job.priority = priority;
  return job;
}

function sorted(jobs: Iterable<Job>): bigint[] {
  return [...jobs].sort((a, b) => b.queuedPriority - a.queuedPriority || (a.id < b.id ? -1 : 1)).map(({ id }) => id);
}

test('whatever is put in, taken out and reordered, the order is that of priority and id', () => {
  const change = fc.record({
    kind: fc.constantFrom('insert', 'remove', 'reorder'),
    id: fc.integer({ min: 1, max: 40 }),
    priority: fc.integer({ min: 0, max: 4 }),
  });
  fc.assert(
    fc.property(fc.array(change, { maxLength: 200 }), (changes) => {
      const queue = new JobQueue();
      const known = new Map<number, Job>();
      for (const { kind, id, priority } of changes) {
        const job = known.get(id);
        if (kind === 'insert' && !job) {
          const added = jobOf(id, priority);
          known.set(id, added);
          queue.insert(added);
        } else if (kind === 'remove') {
          assert.equal(queue.remove(job ?? jobOf(id, priority)), job !== undefined);
          known.delete(id);
        } else if (kind === 'reorder' && job) {
          job.priority = priority;
          queue.reorder(job);
        }
        assert.deepEqual(
          Array.from(queue, (each) => each.id),
          sorted(known.values()),
        );
      }
      assert.equal(queue.size, known.size);
      assert.deepEqual(
        Array.from(queue.backwards(), (each) => each.id),
        sorted(known.values()).reverse(),
      );
    }),
  );
});

test('a hundred thousand jobs are put in and taken out in any order', () => {
  const queue = new JobQueue();
  const count = 100_000;
  // A permutation: 7919 has no divisor in common with the count.
  const jobs = Array.from({ length: count }, (_, index) => jobOf((index * 7919) % count, index % 7));
  for (const job of jobs) queue.insert(job);
  assert.equal(queue.size, count);
  assert.equal(queue.first?.priority, 6);
  assert.equal(queue.last?.priority, 0);
  let previous: Job | undefined;
  for (const job of queue) {
    if (previous)
      assert.ok(previous.priority > job.priority || (previous.priority === job.priority && previous.id < job.id));
    previous = job;
  }
  for (const job of jobs) assert.ok(queue.remove(job));
  assert.equal(queue.size, 0);
  assert.equal(queue.first, undefined);
});
