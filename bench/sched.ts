/** The scheduler without messages: a job ends, another one starts and gets its R, and a new one joins the queue. */

import { encodePythonJson } from '../core/formats/python-json.ts';
import { resourceSetFromJson } from '../core/formats/resource-json.ts';
import type { JsonObject } from '../core/json.ts';
import { forecast } from '../workers/sched/forecast.ts';
import type { PendingJob } from '../workers/sched/jobs.ts';
import { Pool } from '../workers/sched/pool.ts';
import { type ResourceRequest, readRequest } from '../workers/sched/resource-request.ts';
import { encodeAllocation, SharedResources } from '../workers/sched/resource-text.ts';
import { type Policy, Scheduler } from '../workers/sched/scheduler.ts';
import { type Figure, figure } from './figure.ts';
import { type Scale, scaled } from './scale.ts';

const CORES = 32;
/** Decisions in one sample. */
const SAMPLE = 200;

/** What jobs ask for: all the same, or everything from a core to some nodes. */
type Mix = 'cores' | 'mixed';

function resources(nodes: number): JsonObject {
  const R_lite = [{ rank: nodes > 1 ? `0-${nodes - 1}` : '0', children: { core: `0-${CORES - 1}`, gpu: '0-3' } }];
  const nodelist = [nodes > 1 ? `node[0-${nodes - 1}]` : 'node0'];
  return { version: 1, execution: { R_lite, starttime: 0, expiration: 0, nodelist } };
}

function jobspec(n: number, mix: Mix, nodes: number): JsonObject {
  const shape = mix === 'cores' ? 0 : n % 8;
  const cores = [1, 1, 2, 4, 8, 1, CORES, CORES][shape]!;
  const gpu = shape === 5 ? [{ type: 'gpu', count: 1 }] : [];
  const slot = { type: 'slot', count: 1, label: 'task', with: [{ type: 'core', count: cores }, ...gpu] };
  const node = { type: 'node', count: Math.min(shape === 7 ? 8 : 1, nodes), with: [slot] };
  const duration = 60 + ((n * 7919) % 36_000);
  return { version: 1, resources: [shape < 6 ? slot : node], attributes: { system: { duration } } };
}

class Workload {
  readonly scheduler: Scheduler;
  readonly #mix: Mix;
  readonly #nodes: number;
  readonly #running: bigint[] = [];
  #count = 0;
  #now = 1e9;

  constructor(policy: Policy, mix: Mix, nodes: number, pending: number) {
    this.#mix = mix;
    this.#nodes = nodes;
    this.scheduler = new Scheduler(new Pool(resourceSetFromJson(resources(nodes))), policy);
    this.scheduler.setUp(
      Array.from({ length: nodes }, (_, rank) => rank),
      true,
    );
    while (this.scheduler.pending.size < pending) {
      this.#submit();
      this.#decide();
    }
  }

  #submit(): void {
    const request: ResourceRequest = readRequest(jobspec(this.#count, this.#mix, this.#nodes));
    const job: PendingJob = { id: BigInt(++this.#count), userid: 0, submitted: 0, priority: this.#count % 5, request };
    this.scheduler.add(job);
  }

  /** Returns how many jobs have started. */
  #decide(): number {
    const { pool } = this.scheduler;
    let count = 0;
    for (const decision of this.scheduler.decide(this.#now)) {
      if (decision.type !== 'start') continue;
      const { job, allocation } = decision;
      const shared = new SharedResources(pool, allocation.shares);
      const times = { starttime: this.#now, expiration: this.#now + job.request.duration, slots: allocation.slots };
      if (shared.describe() === '' || encodePythonJson(encodeAllocation(pool, shared, times)) === '')
        throw new Error('a job has nothing');
      this.#running.push(job.id);
      count++;
    }
    return count;
  }

  /** Jobs end, others start and new ones come; returns how many have started. */
  step(): number {
    this.#now += 0.01;
    const at = (this.#count * 2654435761) % this.#running.length;
    const ended = this.#running[at]!;
    this.#running[at] = this.#running.at(-1)!;
    this.#running.pop();
    this.scheduler.release(ended);
    const started = this.#decide();
    for (let i = 0; i < started; i++) this.#submit();
    return started;
  }

  get now(): number {
    return this.#now;
  }
}

/** Microseconds for each job that is started, and for each job of a forecast. */
export function schedFigures(scale: Scale): Figure[] {
  const figures: Figure[] = [];
  const samples = scaled(scale, 20, 5, 1);
  for (const policy of ['fifo', 'backfill'] as const)
    for (const mix of ['cores', 'mixed'] as const)
      for (const [nodes, pending] of sizes(scale)) {
        const load = new Workload(policy, mix, nodes, pending);
        const times: number[] = [];
        for (let sample = 0; sample < samples; sample++) {
          const begin = performance.now();
          let started = 0;
          while (started < SAMPLE) started += load.step();
          times.push(((performance.now() - begin) * 1000) / started);
        }
        figures.push(figure(`sched.${policy}-${mix}-${nodes}-nodes-${pending}-jobs`, 'us/job', 'less', times));
        if (policy === 'fifo' && mix === 'mixed') {
          const begin = performance.now();
          let count = 0;
          for (const _ of forecast(load.scheduler, load.now)) count++;
          const time = ((performance.now() - begin) * 1000) / count;
          figures.push(figure(`sched.forecast-${nodes}-nodes-${pending}-jobs`, 'us/job', 'less', [time]));
        }
      }
  return figures;
}

function sizes(scale: Scale): readonly (readonly [nodes: number, pending: number])[] {
  if (scale === 'tiny') return [[4, 10]];
  const nodes = scaled(scale, [1, 64, 1024, 16_384], [1, 1024], []);
  const pending = scaled(scale, [10, 1000, 100_000], [10, 100_000], []);
  return nodes.flatMap((count) => pending.map((jobs) => [count, jobs] as const));
}
