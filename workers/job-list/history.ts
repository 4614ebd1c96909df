/**
 * The records of inactive jobs in the KVS, so that they need not be made anew from their event logs after a restart. They are
 * a convenience: what is missing there, the journal tells, and what is not true any more, too.
 */

import type { ServiceContext } from '../../core/broker/service.ts';
import { asFluxError } from '../../core/errno.ts';
import { Kvs, PRIMARY_NAMESPACE } from '../../core/handle/kvs.ts';
import { KvsTransaction } from '../../core/handle/kvs-transaction.ts';
import { isTemporary } from '../content/backing-store.ts';
import { RecordPieces } from '../record-pieces.ts';
import type { Job } from './job.ts';
import { jobCodec } from './record.ts';
import { StringPool } from './string-pool.ts';

const DIRECTORY = 'checkpoint.job-list';

export class History {
  readonly #context: ServiceContext;
  readonly #kvs: Kvs;
  /** Whether anything outlasts the instance. */
  readonly #isKept: boolean;
  #pieces = makePieces();
  #committed: Promise<void> = Promise.resolve();

  constructor(context: ServiceContext) {
    this.#context = context;
    this.#kvs = new Kvs(context, PRIMARY_NAMESPACE);
    this.#isKept = !isTemporary(context);
  }

  /** The jobs of which there are records. */
  async load(): Promise<readonly Job[]> {
    if (!this.#isKept) return [];
    try {
      const jobs = await this.#pieces.load(this.#kvs);
      this.#commit();
      return jobs;
    } catch (error) {
      this.#context.log('err', `records of jobs are made anew: ${asFluxError(error).message}`);
      this.#pieces = makePieces();
      await this.#kvs.commit(new KvsTransaction().unlink(DIRECTORY)).catch((cause) => this.#failed(cause));
      return [];
    }
  }

  /** A job is inactive. */
  added(job: Job): void {
    if (!this.#isKept) return;
    this.#pieces.add(job);
    if (!this.#pieces.isDue) return;
    this.#pieces.close();
    this.#commit();
  }

  /** A job is forgotten. */
  removed(job: Job): void {
    this.#pieces.remove(job);
  }

  /** Resolves when all is in the KVS. */
  async stop(): Promise<void> {
    this.#pieces.close();
    this.#commit();
    await this.#committed;
  }

  /** One commit after the other, lest an older one comes last. */
  #commit(): void {
    const changes = this.#pieces.takeChanges();
    if (changes.length === 0) return;
    const transaction = new KvsTransaction();
    for (const { key, value } of changes) {
      if (value === undefined) transaction.unlink(key);
      else transaction.putJson(key, value);
    }
    const commit = () => this.#kvs.commit(transaction);
    this.#committed = this.#committed.then(commit).then(
      () => {},
      (error) => this.#failed(error),
    );
  }

  #failed(error: unknown): void {
    this.#context.log('err', `records of jobs are not kept: ${asFluxError(error).message}`);
  }
}

function makePieces(): RecordPieces<Job> {
  return new RecordPieces(DIRECTORY, jobCodec(new StringPool()));
}
