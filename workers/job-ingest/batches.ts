/**
 * New jobs on their way to the job manager, which stores them: one request for all that came in a round of messages. A job
 * that comes alone waits for nothing else.
 */

import type { ServiceContext } from '../../core/broker/service.ts';
import { asFluxError, FluxError } from '../../core/errno.ts';
import { integer, type JsonValue, real } from '../../core/json.ts';
import { unpack } from '../../core/message/unpack.ts';
import type { Submission } from './submission.ts';

/** A job that has its id. */
export interface NewJob {
  readonly id: bigint;
  readonly submission: Submission;
  /** Seconds since the epoch. */
  readonly submitted: number;
}

/** Jobs of one request: more would keep the thread from others for too long. */
const BATCH_MAX = 512;

export class Batches {
  /** When it is not 0, batches are of just so many jobs, however long that takes. */
  count = 0;
  readonly #context: ServiceContext;
  readonly #soon: (callback: () => void) => void;
  #waiting: NewJob[] = [];
  #isAwaited = false;
  #underWay = new Set<Promise<void>>();

  /** `soon` calls back when the messages that have come are handled. */
  constructor(context: ServiceContext, soon: (callback: () => void) => void) {
    this.#context = context;
    this.#soon = soon;
  }

  /** Takes a job in; it is answered when the job manager has it. */
  add(job: NewJob): void {
    this.#waiting.push(job);
    if (this.count) {
      if (this.#waiting.length >= this.count) this.#begin(this.#waiting.splice(0));
    } else if (!this.#isAwaited) {
      this.#isAwaited = true;
      this.#soon(() => this.#next());
    }
  }

  /** Resolves when all jobs are answered that are on their way. */
  async settled(): Promise<void> {
    while (this.#underWay.size) await Promise.all(this.#underWay);
  }

  #next(): void {
    this.#isAwaited = false;
    while (this.#waiting.length && !this.count) this.#begin(this.#waiting.splice(0, BATCH_MAX));
  }

  #begin(jobs: readonly NewJob[]): void {
    const done = this.#ingest(jobs)
      .catch((error: Error) => this.#context.log('err', `bug in a batch of jobs: ${error.stack}`))
      .finally(() => this.#underWay.delete(done));
    this.#underWay.add(done);
  }

  /** Never rejects: each job is answered. */
  async #ingest(jobs: readonly NewJob[]): Promise<void> {
    const failed = await this.#announce(jobs);
    for (const { id, submission } of jobs) {
      const error = failed.get(id);
      if (error) submission.request.fail(error);
      else submission.request.reply({ id: integer(id) });
    }
  }

  /** Hands jobs to the job manager, and resolves to why it does not take some. */
  async #announce(newJobs: readonly NewJob[]): Promise<Failures> {
    try {
      const jobs = newJobs.map(({ id, submission: { userid, urgency, flags, jobspec, J }, submitted }) => {
        return { id: integer(id), userid, urgency, t_submit: real(submitted), flags, jobspec, J };
      });
      return readFailures(await this.#context.rpc('job-manager.submit', { jobs }));
    } catch (error) {
      return new Map(newJobs.map(({ id }) => [id, asFluxError(error)]));
    }
  }
}

type Failures = ReadonlyMap<bigint, FluxError>;

/** @throws FluxError EPROTO: an answer that is none */
function readFailures(answer: JsonValue | undefined): Failures {
  const failures = new Map<bigint, FluxError>();
  if (answer === undefined) return failures;
  const { errors = [] } = unpack(answer, { errors: 'a?' });
  for (const entry of errors) {
    const [id, text, errnum] = Array.isArray(entry) ? (entry as readonly JsonValue[]) : [];
    if ((typeof id !== 'bigint' && !Number.isInteger(id)) || typeof text !== 'string')
      throw new FluxError('EPROTO', 'Failed to process batch response');
    failures.set(BigInt(id as bigint | number), new FluxError(typeof errnum === 'number' ? errnum : 'EINVAL', text));
  }
  return failures;
}
