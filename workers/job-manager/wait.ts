/**
 * Waits for jobs that were submitted as waitable (`job-manager.wait`): for one, or for the next of all. Each end is told
 * once; what nobody waited for yet is kept.
 */

import { FluxError } from '../../core/errno.ts';
import { jobExit } from '../../core/formats/wait-status.ts';
import { LATER, type Methods, type Reply, type Request } from '../../core/handle/methods.ts';
import { RequestList } from '../../core/handle/request-list.ts';
import type { JsonObject } from '../../core/json.ts';
import { InactiveJob, type Job, JobFlag } from './job.ts';
import type { Jobs } from './jobs.ts';

/** The id that stands for any job. */
const ANY_JOB = [-1n, 2n ** 64n - 1n];

interface Zombie {
  readonly job: InactiveJob;
  readonly answer: JsonObject | undefined;
}

export class Wait {
  readonly #jobs: Jobs;
  readonly #zombies = new Map<bigint, Zombie>();
  /** Who waits for any job. */
  readonly #requests = new RequestList();
  /** Jobs that somebody waits for. */
  readonly #awaited = new Set<Job>();
  /** Active waitable jobs. */
  #waitableCount = 0;

  readonly methods: Methods = {
    wait: { handler: (request) => this.#wait(request) },
  };

  constructor(jobs: Jobs) {
    this.#jobs = jobs;
  }

  /** Jobs that are over and that nobody has waited for. */
  *zombies(): Iterable<InactiveJob> {
    for (const { job } of this.#zombies.values()) yield job;
  }

  /** A job is active. */
  added(job: Job): void {
    if (job.flags & JobFlag.waitable) this.#waitableCount++;
  }

  /** A job that was active never was. */
  forgotten(job: Job): void {
    if (!(job.flags & JobFlag.waitable)) return;
    this.#waitableCount--;
    this.#awaited.delete(job);
    job.waiter?.fail(new FluxError('ECHILD', 'the job could not be submitted'));
    job.waiter = undefined;
  }

  /** A job is inactive. */
  ended(job: Job): void {
    if (!(job.flags & JobFlag.waitable)) return;
    const answer = resultOf(job);
    const { waiter } = job;
    const [request] = this.#requests;
    if (waiter) {
      job.waiter = undefined;
      this.#awaited.delete(job);
      respond(waiter, answer);
    } else if (request) {
      this.#requests.remove(request);
      respond(request, answer);
    } else this.#zombies.set(job.id, { job: new InactiveJob(job), answer });
    this.#waitableCount--;
  }

  #wait(request: Request): Reply {
    const id = unpackId(request);
    const zombie = ANY_JOB.includes(id) ? this.#zombies.values().next().value : this.#zombies.get(id);
    if (zombie) {
      this.#zombies.delete(zombie.job.id);
      respond(request, zombie.answer);
    } else if (ANY_JOB.includes(id)) this.#requests.add(request);
    else {
      this.#await(request, id);
      return LATER;
    }
    this.#refuseTooMany();
    return LATER;
  }

  #await(request: Request, id: bigint): void {
    const job = this.#jobs.active.get(id);
    if (!job) throw new FluxError('ECHILD', 'invalid job id, or job may be inactive and not waitable');
    if (job.waiter) throw new FluxError('ECHILD', 'job id already has a waiter');
    if (!(job.flags & JobFlag.waitable)) throw new FluxError('ECHILD', 'job was not submitted with FLUX_JOB_WAITABLE');
    job.waiter = request;
    this.#awaited.add(job);
  }

  /** Those who wait for any job can't be more than the jobs that others do not wait for. */
  #refuseTooMany(): void {
    if (this.#requests.count + this.#awaited.size <= this.#waitableCount) return;
    const last = [...this.#requests].at(-1);
    if (!last) return;
    this.#requests.remove(last);
    last.fail(new FluxError('ECHILD', 'there are no more waitable jobs'));
  }

  disconnect(request: Request): void {
    this.#requests.disconnect(request);
    for (const job of this.#awaited) {
      if (job.waiter?.sender !== request.sender) continue;
      job.waiter = undefined;
      this.#awaited.delete(job);
    }
  }

  stop(): void {
    const waiters = [...this.#awaited].flatMap(({ waiter }) => waiter ?? []);
    for (const request of [...waiters, ...this.#requests.takeAll()])
      request.fail(new FluxError('ENOSYS', 'job-manager is unloading'));
  }
}

function unpackId(request: Request): bigint {
  try {
    return request.unpack({ id: 'I' }).id;
  } catch (error) {
    throw new FluxError('EPROTO', 'malformed wait request', { cause: error });
  }
}

function respond(request: Request, answer: JsonObject | undefined): void {
  if (answer) request.reply(answer);
  else request.fail(new FluxError('EINVAL', 'Flux job wait internal error'));
}

/** How a job ended; undefined when nothing tells it. */
function resultOf({ id, endEvent }: Job): JsonObject | undefined {
  const { name, context } = endEvent ?? {};
  if (name === 'exception')
    return { id, success: false, errstr: `Fatal exception type=${context?.type} ${context?.note ?? ''}` };
  if (name !== 'finish') return undefined;
  const { code, message } = jobExit(Number(context?.status));
  return { id, success: code === 0, errstr: message };
}
