/**
 * New jobs on their way into the instance, many at a time: one commit to the KVS and one request to the job manager for
 * all that wait.
 *
 * The first job of a burst waits for nothing but the end of the round of messages that it came in; those that come while
 * it is committed are the next batch. So batches grow with the load, and a job that comes alone is not held up.
 */

import type { ServiceContext } from '../../core/broker/service.ts';
import { asFluxError, FluxError } from '../../core/errno.ts';
import { jobDirectory } from '../../core/formats/job-keys.ts';
import { Kvs, PRIMARY_NAMESPACE } from '../../core/handle/kvs.ts';
import { KvsTransaction } from '../../core/handle/kvs-transaction.ts';
import { integer, type JsonObject, type JsonValue, real } from '../../core/json.ts';
import { isObject, unpack } from '../../core/message/unpack.ts';
import type { Submission } from './submission.ts';

/** A job that has its id. */
export interface NewJob {
  readonly id: bigint;
  readonly submission: Submission;
  /** Seconds since the epoch. */
  readonly submitted: number;
}

/** Jobs of one commit: more would keep the thread from others for too long. */
const BATCH_MAX = 512;

export class Batches {
  /** When it is not 0, batches are of just so many jobs, however long that takes. */
  count = 0;
  readonly #context: ServiceContext;
  readonly #kvs: Kvs;
  readonly #soon: (callback: () => void) => void;
  #waiting: NewJob[] = [];
  #isBusy = false;
  #underWay = new Set<Promise<void>>();

  /** `soon` calls back when the messages that have come are handled. */
  constructor(context: ServiceContext, soon: (callback: () => void) => void) {
    this.#context = context;
    this.#kvs = new Kvs(context, PRIMARY_NAMESPACE);
    this.#soon = soon;
  }

  /** Takes a job in; it is answered when the job manager has it. */
  add(job: NewJob): void {
    this.#waiting.push(job);
    if (this.count) {
      if (this.#waiting.length >= this.count) this.#begin(this.#waiting.splice(0));
    } else if (!this.#isBusy) {
      this.#isBusy = true;
      this.#soon(() => this.#next());
    }
  }

  /** Resolves when all jobs are answered that are on their way. */
  async settled(): Promise<void> {
    while (this.#underWay.size) await Promise.all(this.#underWay);
  }

  /** The next commit follows this one; announcing goes on meanwhile. */
  #next(): void {
    if (this.#waiting.length && !this.count) this.#begin(this.#waiting.splice(0, BATCH_MAX), () => this.#next());
    else this.#isBusy = false;
  }

  #begin(jobs: readonly NewJob[], committed: () => void = () => {}): void {
    const done = this.#ingest(jobs, committed)
      .catch((error: Error) => this.#context.log('err', `bug in a batch of jobs: ${error.stack}`))
      .finally(() => this.#underWay.delete(done));
    this.#underWay.add(done);
  }

  /** Never rejects: each job is answered. */
  async #ingest(jobs: readonly NewJob[], committed: () => void): Promise<void> {
    const stored = jobs.map((job) => ({ job, jobspec: withoutEnvironment(job.submission.jobspec) }));
    try {
      const transaction = new KvsTransaction();
      for (const { job, jobspec } of stored) {
        const directory = jobDirectory(job.id);
        transaction.put(`${directory}.J`, job.submission.J).putJson(`${directory}.jobspec`, jobspec);
      }
      await this.#kvs.commit(transaction);
    } catch (error) {
      const { errno } = asFluxError(error);
      failAll(jobs, new FluxError(errno, 'KVS commit failed'));
      return;
    } finally {
      committed();
    }
    const failed = await this.#announce(stored);
    for (const { id, submission } of jobs) {
      const error = failed.get(id);
      if (error) submission.request.fail(error);
      else submission.request.reply({ id: integer(id) });
    }
    if (failed.size) await this.#forget([...failed.keys()]);
  }

  /** Tells the job manager of jobs, and resolves to why it does not take some. */
  async #announce(stored: readonly { readonly job: NewJob; readonly jobspec: JsonValue }[]): Promise<Failures> {
    try {
      const jobs = stored.map(({ job: { id, submission, submitted }, jobspec }) => {
        const { userid, urgency, flags } = submission;
        return { id: integer(id), userid, urgency, t_submit: real(submitted), flags, jobspec };
      });
      return readFailures(await this.#context.rpc('job-manager.submit', { jobs }));
    } catch (error) {
      return new Map(stored.map(({ job }) => [job.id, asFluxError(error)]));
    }
  }

  /** Jobs that were not taken leave nothing behind. */
  async #forget(ids: readonly bigint[]): Promise<void> {
    const transaction = new KvsTransaction();
    for (const id of ids) transaction.unlink(jobDirectory(id));
    try {
      await this.#kvs.commit(transaction);
    } catch (error) {
      this.#context.log('err', `what was stored of jobs that were refused stays: ${(error as FluxError).message}`);
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
    const [id, text] = Array.isArray(entry) ? (entry as readonly JsonValue[]) : [];
    if ((typeof id !== 'bigint' && !Number.isInteger(id)) || typeof text !== 'string')
      throw new FluxError('EPROTO', 'Failed to process batch response');
    failures.set(BigInt(id as bigint | number), new FluxError('EINVAL', text));
  }
  return failures;
}

function failAll(jobs: readonly NewJob[], error: FluxError): void {
  for (const { submission } of jobs) submission.request.fail(error);
}

/** A jobspec as it is stored: the environment is large, and J has it. */
function withoutEnvironment(jobspec: JsonValue): JsonValue {
  if (!isObject(jobspec) || !isObject(jobspec.attributes)) return jobspec;
  const { system } = jobspec.attributes;
  if (!isObject(system) || system.environment === undefined) return jobspec;
  const { environment: _, ...rest } = system;
  return { ...jobspec, attributes: { ...jobspec.attributes, system: rest } } satisfies JsonObject;
}
