// The scheduler's decisions: tables, and a comparison with one that does it the plain way.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { resourceSetFromJson } from '../../../core/formats/resource-json.ts';
import type { JsonObject, JsonValue } from '../../../core/json.ts';
import { forecast } from '../../../workers/sched/forecast.ts';
import { type FitOrder, fitOrders } from '../../../workers/sched/free-index.ts';
import type { Mask } from '../../../workers/sched/id-mask.ts';
import { type Allocation, Pool } from '../../../workers/sched/pool.ts';
import { readRequest } from '../../../workers/sched/resource-request.ts';
import { type Policy, Scheduler } from '../../../workers/sched/scheduler.ts';
import { SeededRandom } from '../../sim/random.ts';
import { jobspec, uniform } from './fixture.ts';
import { describe as describeShares, NaiveScheduler } from './naive.ts';

// ---- tables

/** A job by what it asks for: `4` slots, `2n` nodes with all cores, `x` whole nodes; `@10` is its duration. */
function makeJob(id: number, text: string, cores: number) {
  const [, count, kind, duration, priority = '16'] = /^(\d+)([nx]?)(?:@(\d+))?(?:!(\d+))?$/.exec(text)!;
  const n = Number(count);
  const request = kind === '' ? { slots: n } : { nodes: n, slots: n, cores, exclusive: kind === 'x' };
  return {
    id: BigInt(id),
    userid: 0,
    submitted: id,
    priority: Number(priority),
    request: readRequest(jobspec(request, Number(duration ?? 0))),
  };
}

/** The ids of what starts when jobs come one after another at their numbers in seconds; `-N` ends job N. */
function play(nodes: number, cores: number, policy: Policy, steps: readonly string[]): string[] {
  const scheduler = new Scheduler(new Pool(resourceSetFromJson(uniform(nodes, cores))), policy);
  scheduler.setUp(
    Array.from({ length: nodes }, (_, rank) => rank),
    true,
  );
  return steps.map((step, index) => {
    if (step.startsWith('-')) scheduler.release(BigInt(step.slice(1)));
    else scheduler.add(makeJob(index + 1, step, cores));
    const started: string[] = [];
    for (const decision of scheduler.decide(index + 1)) {
      if (decision.type === 'start')
        started.push(
          decision.around === undefined ? `${decision.job.id}` : `${decision.job.id} around ${decision.around}`,
        );
    }
    return started.join(', ');
  });
}

describe('jobs start in order, or around the first', () => {
  for (const [name, nodes, policy, steps, started] of [
    ['fifo', 2, 'fifo', ['1n', '2n', '1n', '-1'], ['1', '', '', '2']],
    ['a short one goes first', 2, 'backfill', ['1n@100', '2n', '1n@50'], ['1', '', '3 around 2']],
    ['one that is too long waits', 2, 'backfill', ['1n@100', '2n', '1n@99'], ['1', '', '']],
    ['one that ends just in time', 2, 'backfill', ['1n@100', '2n', '1n@98'], ['1', '', '3 around 2']],
    ['one without an end waits', 2, 'backfill', ['1n@100', '2n', '1n'], ['1', '', '']],
    [
      'one without an end that needs none of the nodes',
      3,
      'backfill',
      ['1n@100', '1n', '2n', '1n'],
      ['1', '2', '', ''],
    ],
    ['one without an end on a spare node', 4, 'backfill', ['2n@100', '3n', '1n', '1n'], ['1', '', '3 around 2', '']],
    [
      'nothing is known of the end: what has an end starts',
      2,
      'backfill',
      ['1n', '2n', '1n', '1n@5'],
      ['1', '', '', '4 around 2'],
    ],
    [
      'the first starts as soon as it can',
      2,
      'backfill',
      ['1n@100', '2n', '1n@50', '-3', '-1'],
      ['1', '', '3 around 2', '', '2'],
    ],
    ['a higher priority is first', 2, 'backfill', ['1n@100', '2n', '2n@50!17', '-1'], ['1', '', '', '3']],
    ['slots', 2, 'backfill', ['3@100', '4', '1@10', '1', '1@1000'], ['1', '', '3 around 2', '', '']],
    ['whole nodes', 2, 'backfill', ['1@100', '2x', '1@10', '1n@10'], ['1', '', '3 around 2', '']],
  ] as readonly [string, number, Policy, string[], string[]][]) {
    test(name, () => assert.deepEqual(play(nodes, 2, policy, steps), started));
  }
});

describe('where a job is put', () => {
  for (const [order, picked] of [
    ['worst-fit', '2=0/'],
    ['best-fit', '1=2/'],
    ['first-fit', '0=1/'],
  ] as const) {
    test(order, () => {
      const pool = new Pool(resourceSetFromJson(uniform(3, 3)), order);
      const scheduler = new Scheduler(pool, 'fifo');
      scheduler.setUp([0, 1, 2], true);
      const set = (rank: string, core: string) =>
        resourceSetFromJson({ version: 1, execution: { R_lite: [{ rank, children: { core } }] } });
      scheduler.adopt(100n, 0, set('0', '0'));
      scheduler.adopt(101n, 0, set('1', '0-1'));
      scheduler.add(makeJob(1, '1', 3));
      const [decision] = scheduler.decide(0);
      assert.ok(decision?.type === 'start');
      assert.equal(described(pool, decision.allocation), picked);
    });
  }
});

test('estimates follow the queue', () => {
  const scheduler = new Scheduler(new Pool(resourceSetFromJson(uniform(2, 1))), 'fifo');
  scheduler.setUp([0, 1], true);
  for (const [index, text] of ['1@100', '1@40', '2@10', '1@20', '1@30', '2', '1@1'].entries())
    scheduler.add(makeJob(index + 1, text, 1));
  assert.equal([...scheduler.decide(0)].length, 2);
  assert.deepEqual(
    Array.from(forecast(scheduler, 5), ({ job, time }) => [Number(job.id), time]),
    [
      [3, 100],
      [4, 110],
      [5, 110],
      [6, 140],
      [7, undefined],
    ],
  );
});

// ---- comparison

/** What an allocation has, as the plain scheduler says it. */
function described(pool: Pool, { shares }: Allocation): string {
  const ids = (mask: Mask, all: readonly number[]) =>
    all.filter((_, position) => ((mask[position >>> 5] ?? 0) >>> (position & 31)) & 1);
  return describeShares(
    new Map(
      Array.from(shares, ([node, { cores, gpus }]) => {
        const { coreIds, gpuIds } = pool.nodes[node]!;
        return [node, { cores: ids(cores, coreIds.ids), gpus: ids(gpus, gpuIds.ids) }];
      }),
    ),
  );
}

class Comparison {
  readonly #random: SeededRandom;
  readonly #scheduler: Scheduler;
  readonly #naive: NaiveScheduler;
  #now = 1000;
  #nextId = 1n;
  started = 0;

  constructor(seed: number, order: FitOrder, policy: Policy) {
    this.#random = new SeededRandom(seed);
    const pool = new Pool(resourceSetFromJson(this.#makeR()), order);
    this.#scheduler = new Scheduler(pool, policy);
    this.#naive = new NaiveScheduler(pool.nodes, order, policy);
    this.#setUp(
      pool.nodes.map(({ rank }) => rank),
      true,
    );
  }

  #pick<T>(choices: readonly T[]): T {
    return choices[Math.floor(this.#random.number() * choices.length)]!;
  }

  #upTo(most: number): number {
    return 1 + Math.floor(this.#random.number() * most);
  }

  #makeR(): JsonObject {
    const nodes = this.#upTo(6);
    const kinds = [1, 2].map(() => ({
      core: `${this.#pick([0, 1, 7])}-${7 + this.#upTo(this.#pick([3, 40]))}`,
      ...(this.#random.number() < 0.5 && { gpu: this.#pick(['0', '1-2', '0-3']) }),
    }));
    const R_lite = Array.from({ length: nodes }, (_, rank) => ({ rank: `${rank}`, children: this.#pick(kinds) }));
    const properties = { a: '0', ...(nodes > 2 && { b: '1-2' }) };
    return { version: 1, execution: { R_lite, nodelist: [`n[0-${nodes - 1}]`], properties } } as JsonObject;
  }

  #setUp(ranks: readonly number[], isUp: boolean): void {
    this.#scheduler.setUp(ranks, isUp);
    for (const rank of ranks) if (this.#naive.nodes[rank]) this.#naive.nodes[rank]!.isUp = isUp;
  }

  /** Something happens to both. */
  step(): void {
    this.#now += this.#pick([0, 1, 5]);
    const what = this.#random.number();
    const running = [...this.#naive.running.keys()];
    if (what < 0.45) this.#submit();
    else if (what < 0.75 && running.length) this.#release(this.#pick(running), this.#random.number() < 0.2);
    else if (what < 0.8 && this.#naive.pending.length) this.#cancel(this.#pick(this.#naive.pending).id);
    else if (what < 0.85 && this.#naive.pending.length)
      this.#scheduler.prioritize(this.#pick(this.#naive.pending).id, this.#upTo(5));
    else if (what < 0.9 && running.length) this.#setEnd(this.#pick(running));
    else if (what < 0.95)
      this.#setUp([Math.floor(this.#random.number() * this.#naive.nodes.length)], this.#random.number() < 0.7);
  }

  #submit(): void {
    const count = (most: number): JsonValue => {
      const n = this.#upTo(most);
      return this.#pick<JsonValue>([
        n,
        n,
        { min: n, max: n + 2 },
        { min: n },
        { min: 1, max: 8, operator: '*', operand: 2 },
      ]);
    };
    const gpu = this.#random.number() < 0.3 ? [{ type: 'gpu', count: this.#upTo(2) }] : [];
    const slot = { type: 'slot', count: count(4), with: [{ type: 'core', count: this.#upTo(4) }, ...gpu], label: 't' };
    const exclusive = this.#random.number() < 0.2;
    const resource =
      this.#random.number() < 0.5 ? { ...slot, exclusive } : { type: 'node', count: count(3), exclusive, with: [slot] };
    const constraints = this.#pick<JsonValue | undefined>([
      undefined,
      undefined,
      { properties: ['^a'] },
      { properties: ['b'] },
      { ranks: ['0-2'] },
    ]);
    const duration = this.#pick([0, 3, 10, 30, 100]);
    const spec = { version: 1, resources: [resource], attributes: { system: { duration, constraints } } };
    const priority = this.#upTo(3);
    const job = { id: this.#nextId++, userid: 0, submitted: 0, priority, request: readRequest(spec as JsonObject) };
    this.#scheduler.add(job);
    this.#naive.pending.push(job);
  }

  #cancel(id: bigint): void {
    this.#scheduler.cancel(id);
    this.#naive.pending.splice(
      this.#naive.pending.findIndex((job) => job.id === id),
      1,
    );
  }

  #release(id: bigint, isPart: boolean): void {
    const { shares } = this.#naive.running.get(id)!;
    const nodes = isPart ? [this.#pick([...shares.keys()])] : [...shares.keys()];
    this.#scheduler.release(
      id,
      nodes.map((node) => this.#naive.nodes[node]!.node.rank),
    );
    for (const node of nodes) shares.delete(node);
    if (shares.size === 0) this.#naive.running.delete(id);
  }

  #setEnd(id: bigint): void {
    const end = this.#pick([0, this.#now + 7, this.#now - 3]);
    this.#scheduler.setEnd(id, end);
    this.#naive.running.get(id)!.end = end || Infinity;
  }

  /** Both decide the same. */
  check(): void {
    const decided: string[] = [];
    for (const decision of this.#scheduler.decide(this.#now)) {
      if (decision.type === 'deny') decided.push(`${decision.job.id} denied`);
      else if (decision.type === 'start')
        decided.push(`${decision.job.id}:${described(this.#scheduler.pool, decision.allocation)}`);
    }
    assert.deepEqual(decided, this.#naive.decide(this.#now));
    assert.equal(this.#scheduler.pending.size, this.#naive.pending.length);
    this.started += decided.length;
  }
}

describe('it decides as one does that looks at everything each time', () => {
  for (const policy of ['fifo', 'backfill'] as const)
    for (const order of fitOrders)
      test(`${policy}, ${order}`, () => {
        let started = 0;
        for (let seed = 1; seed <= 60; seed++) {
          const comparison = new Comparison(seed, order, policy);
          for (let step = 0; step < 150; step++) {
            comparison.step();
            try {
              comparison.check();
            } catch (error) {
              throw new Error(`seed ${seed}, step ${step}`, { cause: error });
            }
          }
          started += comparison.started;
        }
        assert.ok(started > 1000, `${started} decisions`);
      });
});
