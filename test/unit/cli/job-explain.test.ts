// flux job explain: what it makes of what the services of an instance tell of a job.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { explanationLines, gatherFacts } from '../../../cli/job-explain.ts';
import { explainJob } from '../../../cli/job-explanation.ts';
import { errno, FluxError } from '../../../core/errno.ts';
import { type EventlogEntry, encodeEventlog } from '../../../core/formats/eventlog.ts';
import { encodeFluid } from '../../../core/formats/fluid.ts';
import { JobResult, JobState } from '../../../core/formats/job-state.ts';
import type { JsonObject } from '../../../core/json.ts';
import { refused } from '../../errors.ts';

const NOW = 1_000_000;
const ID = 4242n;
const NAME = encodeFluid(ID);

/** What the services know; what is missing is not there, and a text is an errno. */
interface World {
  readonly job: JsonObject;
  readonly events?: readonly EventlogEntry[];
  readonly execution?: readonly EventlogEntry[];
  readonly queue?: JsonObject;
  readonly scheduler?: JsonObject | 'ENOENT' | 'EPERM';
}

/** A handle on an instance that knows this. */
function broker({ job, events, execution, queue, scheduler }: World) {
  const asked: string[] = [];
  const rpc = async (topic: string, payload: JsonObject): Promise<unknown> => {
    asked.push(topic);
    switch (topic) {
      case 'job-list.list-id':
        if (payload.id === ID) return { job };
        throw new FluxError('ENOENT');
      case 'job-info.lookup': {
        const [key] = payload.keys as string[];
        const log = key === 'eventlog' ? events : execution;
        if (!log) throw new FluxError('ENOENT');
        return { [key!]: encodeEventlog(log) };
      }
      case 'job-manager.queue-status':
        return queue ?? { enable: true, start: true };
      case 'sched.explain':
        if (typeof scheduler === 'string') throw new FluxError(scheduler);
        if (scheduler) return scheduler;
        throw new FluxError('ENOSYS');
      default:
        throw new FluxError(errno.ENOSYS);
    }
  };
  return { asked, handle: { rpc } as Parameters<typeof gatherFacts>[0] };
}

async function explained(world: World): Promise<string[]> {
  const facts = await gatherFacts(broker(world).handle, NAME, NOW);
  return explanationLines(facts, explainJob(facts));
}

function event(before: number, name: string, context?: JsonObject): EventlogEntry {
  return { timestamp: NOW - before, name, ...(context && { context }) };
}

const submitted = [
  event(100, 'submit', { userid: 1 }),
  event(100, 'validate'),
  event(100, 'depend'),
  event(100, 'priority', { priority: 16 }),
];
const started = [...submitted, event(40, 'alloc'), event(38, 'start')];

const job = { id: Number(ID), userid: 1, urgency: 16, priority: 16, name: 'sleep', state: JobState.sched };
const over = { ...job, state: JobState.inactive, t_run: NOW - 40, t_cleanup: NOW - 10 };

const busy = {
  id: Number(ID),
  state: 'pending',
  reason: 'busy',
  text: 'needs 4 node(s) and 1 is free now; other jobs have the rest',
  policy: 'fifo',
  priority: 16,
  jobs_ahead: 2,
  first: 1,
  first_priority: 20,
  unit: 'node',
  needed: 4,
  free: 1,
  missing: 3,
  nodes: { all: 8, eligible: 6, up: 5 },
  t_estimate: NOW + 600,
};

describe('a job is explained', () => {
  const rows: readonly (readonly [name: string, world: World, lines: readonly (string | RegExp)[]])[] = [
    [
      'that has dependencies',
      {
        job: { ...job, state: JobState.depend, dependencies: ['after-success=1', 'after-finish=2'] },
        events: [event(10, 'submit'), event(9, 'validate')],
      },
      [
        `${NAME} sleep: DEPEND, for 9s`,
        '  why:       it depends on after-success=1',
        '  why:       it depends on after-finish=2',
        '  time:      check 1s, since then 9s',
      ],
    ],
    [
      'that has no priority',
      { job: { ...job, state: JobState.priority }, events: submitted.slice(0, 3) },
      [`${NAME} sleep: PRIORITY, for 1.67m`, '  why:       it waits for a priority', '  time:      since then 1.67m'],
    ],
    [
      'that is held',
      { job: { ...job, urgency: 0, priority: 0 }, events: submitted },
      [/SCHED/, /it is held: its urgency is 0/, /time/],
    ],
    [
      'that the job manager holds',
      { job: { ...job, priority: 0 }, events: submitted },
      [/SCHED/, /priority is 0/, /time/],
    ],
    [
      'whose queue is stopped',
      {
        job: { ...job, queue: 'batch' },
        events: submitted,
        queue: { enable: true, start: false, stop_reason: 'repair' },
      },
      [/SCHED/, '  why:       the queue batch is stopped: repair', /time/],
    ],
    [
      'that waits for others',
      { job, events: submitted, scheduler: busy },
      [
        `${NAME} sleep: SCHED, for 1.67m`,
        '  why:       needs 4 node(s) and 1 is free now; other jobs have the rest',
        `  place:     2 jobs are before it; the first is ${encodeFluid(1n)} with priority 20, its own is 16`,
        '  resources: 4 node(s) needed, 1 free, 3 missing; of 8 nodes 6 would do, 5 of them up',
        /^ {2}start: {5}in 10m, at 1970-01-12T\d\d:56:40$/,
        '  time:      since then 1.67m',
      ],
    ],
    [
      'that is first',
      { job, events: submitted, scheduler: { ...busy, policy: 'backfill', jobs_ahead: 0, t_estimate: undefined } },
      [/SCHED/, /why/, '  place:     first of the queue', /resources/, /nobody knows/, /time/],
    ],
    [
      'that could fill a gap',
      { job, events: submitted, scheduler: { ...busy, policy: 'backfill' } },
      [/SCHED/, /why/, /place/, /resources/, /in 10m, .*, or sooner if there is a gap/, /time/],
    ],
    [
      'that the scheduler does not know yet',
      { job, events: submitted, scheduler: 'ENOENT' },
      [/SCHED/, new RegExp(`first jobs of the queue only, and ${NAME} is not among them`), /time/],
    ],
    ['without a scheduler', { job, events: submitted }, [/SCHED/, /no scheduler is loaded that can say more/, /time/]],
    ['without an event log', { job }, [`${NAME} sleep: SCHED`, /it waits for resources/]],
    [
      'that waits for its prolog',
      {
        job: { ...job, state: JobState.run },
        events: [...submitted, event(40, 'alloc'), event(40, 'prolog-start', { description: 'mount' })],
      },
      [/RUN, for 40s/, '  why:       it waits for its prolog: mount', '  time:      resources 1m, since then 40s'],
    ],
    [
      'whose shells start',
      {
        job: { ...job, state: JobState.run },
        events: [...submitted, event(40, 'alloc')],
        execution: [event(39, 'init'), event(38, 'starting'), event(37, 'log', { stream: 'stderr' })],
      },
      [/RUN/, '  why:       its shells are being started; the last step was starting', /time/],
    ],
    [
      'that runs, on a node that is down',
      {
        job: { ...job, state: JobState.run, expiration: NOW + 60 },
        events: started,
        scheduler: { state: 'allocated', down: '3' },
      },
      [
        /RUN, for 38s/,
        '  why:       its tasks run, and may do so for 1m more',
        '  resources: of its nodes these are down or drained: rank 3',
        '  time:      resources 1m, start of the shells 2s, since then 38s',
      ],
    ],
    [
      'that runs as long as it likes',
      { job: { ...job, state: JobState.run }, events: started, scheduler: 'ENOENT' },
      [/RUN/, '  why:       its tasks run, without a time limit', /time/],
    ],
    [
      'whose shells hang',
      {
        job: { ...job, state: JobState.cleanup },
        events: [...started, event(5, 'exception', { type: 'cancel', severity: 0 })],
      },
      [/CLEANUP/, /its shells have not ended yet/, '  exception: cancel, severity 0', /time/],
    ],
    [
      'that waits for one of its epilogs',
      {
        job: { ...job, state: JobState.cleanup },
        events: [
          ...started,
          event(10, 'finish', { status: 0 }),
          event(9, 'epilog-start', { description: 'a' }),
          event(9, 'epilog-start', { description: 'b' }),
          event(8, 'epilog-finish', { description: 'a' }),
        ],
      },
      [/CLEANUP/, '  why:       it waits for its epilog: b', /time/],
    ],
    [
      'that gives back',
      {
        job: { ...job, state: JobState.cleanup },
        events: [...started, event(10, 'finish', { status: 0 }), event(9, 'release', { ranks: '0-1', final: false })],
      },
      [/CLEANUP/, '  why:       its resources are given back; rank 0-1 so far', /time/],
    ],
    [
      'that failed',
      {
        job: { ...over, result: JobResult.failed, waitstatus: 0x0300 },
        events: [...started, event(10, 'finish', { status: 0x0300 }), event(9, 'free'), event(9, 'clean')],
        execution: [
          event(12, 'shell.task-exit', { localid: 0, rank: 5, state: 'Exited', wait_status: 0 }),
          event(11, 'shell.task-exit', { localid: 1, rank: 6, state: 'Exited', wait_status: 768, exitcode: 3 }),
        ],
      },
      [
        `${NAME} sleep: FAILED, after it ran for 30s`,
        '  why:       Exit 3',
        '  task:      the first to fail was task 6: exit code 3',
        '  time:      resources 1m, start of the shells 2s, run 28s, giving back 1s',
      ],
    ],
    [
      'that could never be',
      {
        job: {
          ...job,
          state: JobState.inactive,
          result: JobResult.failed,
          exception_occurred: true,
          exception_type: 'alloc',
          exception_severity: 0,
          exception_note: 'unsatisfiable request',
        },
        events: [
          ...submitted,
          event(99, 'exception', { type: 'alloc', severity: 0, note: 'unsatisfiable request' }),
          event(99, 'clean'),
        ],
      },
      [
        `${NAME} sleep: FAILED`,
        '  why:       Exception: type=alloc note=unsatisfiable request',
        '  why:       its tasks never started',
        '  exception: alloc, severity 0: unsatisfiable request',
      ],
    ],
  ];
  for (const [name, world, expected] of rows)
    test(name, async () => {
      const lines = await explained(world);
      assert.equal(lines.length, expected.length, lines.join('\n'));
      for (const [index, line] of lines.entries()) {
        const wanted = expected[index]!;
        if (typeof wanted === 'string') assert.equal(line, wanted);
        else assert.match(line, wanted);
      }
    });
});

test('only those are asked who can know something', async () => {
  const { asked, handle } = broker({ job: { ...over, result: JobResult.completed }, events: [], execution: [] });
  await gatherFacts(handle, NAME, NOW);
  assert.deepEqual(asked, ['job-list.list-id', 'job-info.lookup', 'job-info.lookup']);
});

test('a job that is not there, and one that is not yours', async () => {
  const { handle } = broker({ job });
  await refused(gatherFacts(handle, encodeFluid(1n), NOW), 'ENOENT', /there is no job/);
  await refused(gatherFacts(broker({ job, events: submitted, scheduler: 'EPERM' }).handle, NAME, NOW), 'EPERM');
});
