/**
 * Writes event logs to the KVS. What comes while a commit is under way is the next commit, so the more there is to write
 * the less each event costs. Commits are made in order, one at a time.
 *
 * A commit that fails is told to all who wait for it or behind it, and made again: events are not lost, but jobs whose submission
 * could not be committed are given up.
 *
 * Where the instance's state is kept, each commit is on disk before anybody is told of it: after a crash, jobs that were
 * submitted are there, and those that were started are not started again.
 */

import type { Clock, ServiceContext } from '../../core/broker/service.ts';
import { asFluxError, type FluxError } from '../../core/errno.ts';
import { type EventlogEntry, encodeEventlogEntry } from '../../core/formats/eventlog.ts';
import { encodeFluid } from '../../core/formats/fluid.ts';
import { CommitFlag } from '../../core/formats/kvs-flags.ts';
import type { Treeobj } from '../../core/formats/treeobj.ts';
import { Kvs, type KvsRoot, PRIMARY_NAMESPACE } from '../../core/handle/kvs.ts';
import { KvsTransaction } from '../../core/handle/kvs-transaction.ts';
import type { JsonValue } from '../../core/json.ts';
import { isTemporary } from '../content/backing-store.ts';
import type { Job } from './job.ts';

/** Jobs in one commit: one that is too large would hold up everybody else's. */
const BATCH_JOBS = 1000;
/**
 * How much longer than a commit took it is until the next one, and how long at least and at most in seconds: so commits
 * cost no more than a part of all time. The more jobs a commit was about, the longer the pause: where many end, the
 * whole life of a short one is in one commit. Whoever waits for a commit waits for less: what comes in the meantime costs
 * next to nothing.
 */
const PAUSE_FACTOR = 8;
const PAUSE_PER_JOB = 0.005;
const PAUSE_LEAST_MAX = 0.025;
const PAUSE_MAX = 0.05;
const PAUSE_WANTED_MAX = 0.003;
/** Pauses that are not worth a timer. */
const PAUSE_MIN = 0.0005;
/** Seconds after which a commit that failed is made again, at first and at most. */
const RETRY_MIN = 0.1;
const RETRY_MAX = 10;

/** Told how a commit went; not again when it is made again. */
export type Committed = (error: FluxError | undefined) => void;

/** Told that a job's submission is committed, or why it can't be: the job is then to be forgotten. */
export type Submitted = (error: FluxError | undefined) => void;

/** What is written of one job. */
interface JobWrites {
  /** Is appended to its log. */
  log: string;
  /** Other keys of the job: texts, or tree objects. */
  readonly keys: Map<string, string | Treeobj>;
}

class Batch {
  readonly jobs = new Map<bigint, JobWrites>();
  /** Keys that are put or, undefined, removed. */
  readonly others: { readonly key: string; readonly value: JsonValue | undefined }[] = [];
  waiting: Committed[] = [];
  held = new Map<bigint, Submitted>();
  /** Called back when it is committed, for which nothing has to hurry. */
  readonly afterwards: (() => void)[] = [];

  get isEmpty(): boolean {
    return this.jobs.size === 0 && this.others.length === 0;
  }

  of(id: bigint): JobWrites {
    let writes = this.jobs.get(id);
    if (!writes) {
      writes = { log: '', keys: new Map() };
      this.jobs.set(id, writes);
    }
    return writes;
  }
}

export class EventWriter {
  readonly #kvs: Kvs;
  /** Whether what is acknowledged must be there even after a crash. */
  readonly #isKept: boolean;
  readonly #clock: Clock;
  readonly #log: ServiceContext['log'];
  /** Those to be committed, in order; what is written now goes into the last. */
  #batches: Batch[] = [];
  #isCommitting = false;
  /** The one that is being committed. */
  #current: Batch | undefined;
  #isScheduled = false;
  #retry = RETRY_MIN;
  /** Ends what is slept now. */
  #wake: () => void = () => {};
  /** Ends the pause between two commits when it is longer than for those who wait. */
  #hurry: () => void = () => {};
  #isStopping = false;
  #isStopped = false;
  /** Sequence number of the KVS's root after the latest commit; 0 before it. */
  #rootseq = 0;
  /** Told when nothing is left to be committed. */
  #ended: () => void = () => {};

  constructor(context: ServiceContext) {
    this.#isKept = !isTemporary(context);
    this.#kvs = new Kvs(context, PRIMARY_NAMESPACE);
    this.#clock = context.clock;
    this.#log = (severity, text) => context.log(severity, text);
  }

  /**
   * Appends an event to the log of a job.
   *
   * @throws FluxError EINVAL: it can't be encoded
   */
  append(job: Job, entry: EventlogEntry): void {
    const text = encodeEventlogEntry(entry);
    this.#batchFor(job.id).of(job.id).log += text;
  }

  /** Puts a text or a tree object at a key of a job, together with the events that are posted with it. */
  keep(job: Job, name: string, value: string | Treeobj): void {
    this.#batchFor(job.id).of(job.id).keys.set(name, value);
  }

  /** Calls back once what was written of a job is committed, some time. */
  afterCommit(job: Job, callback: () => void): void {
    this.#batchFor(job.id).afterwards.push(callback);
  }

  /** Puts a JSON value at a key; undefined removes the key. */
  put(key: string, value: JsonValue | undefined): void {
    this.#batchFor(undefined).others.push({ key, value });
  }

  /** Calls back when all that was written so far is committed. */
  whenCommitted(committed: Committed): void {
    this.#batchFor(undefined).waiting.push(committed);
    this.#hurry();
  }

  /** Calls back when a crash can't undo what was written so far; at once where a crash is the end of it all. */
  whenKept(callback: () => void): void {
    if (!this.#isKept || this.#batches.length === 0) callback();
    else this.onceCommitted(callback);
  }

  /** Calls back when all that was written so far is committed, however often that fails before; never when it is lost. */
  onceCommitted(callback: () => void): void {
    this.whenCommitted((error) => {
      if (!error) callback();
      else if (!this.#isStopping) this.onceCommitted(callback);
    });
  }

  /** Resolves when all that was written so far is committed, to the sequence number of a root that has it. */
  committed(): Promise<number> {
    return new Promise((resolve, reject) => {
      if (this.#batches.length === 0) resolve(this.#rootseq);
      else this.whenCommitted((error) => (error ? reject(error) : resolve(this.#rootseq)));
    });
  }

  /** Commits what is left, once; resolves when that is done. Nothing is written afterwards. */
  stop(): Promise<void> {
    this.#isStopping = true;
    this.#wake();
    return new Promise((resolve) => {
      this.#ended = () => {
        this.#isStopped = true;
        resolve();
      };
      if (this.#batches.length === 0 && !this.#isCommitting) this.#ended();
    });
  }

  /** Calls back when what was written of a job that is submitted is committed, or cannot be. */
  whenSubmitted(job: Job, submitted: Submitted): void {
    this.#batchFor(job.id).held.set(job.id, submitted);
    this.#hurry();
  }

  /** Takes back what was written of a job that is refused. */
  drop(job: Job): void {
    this.#batches.at(-1)?.jobs.delete(job.id);
  }

  /** The batch that is open, or another one when it is full and the job is not in it. */
  #batchFor(id: bigint | undefined): Batch {
    let batch = this.#batches.at(-1);
    if (
      !batch ||
      batch === this.#current ||
      (batch.jobs.size >= BATCH_JOBS && id !== undefined && !batch.jobs.has(id))
    ) {
      batch = new Batch();
      this.#batches.push(batch);
    }
    this.#schedule();
    return batch;
  }

  /** Commits at the end of this turn, so that all its events are together. */
  #schedule(): void {
    if (this.#isScheduled || this.#isCommitting || this.#isStopped) return;
    this.#isScheduled = true;
    queueMicrotask(() => {
      this.#isScheduled = false;
      void this.#commitAll();
    });
  }

  async #commitAll(): Promise<void> {
    if (this.#isCommitting) return;
    this.#isCommitting = true;
    while (this.#batches.length) {
      const batch = this.#batches[0]!;
      this.#current = batch;
      const started = this.#clock.monotonic();
      const failure = await this.#commit(batch).catch(asFluxError);
      if (!failure || this.#isStopping) {
        this.#batches.shift();
        this.#current = undefined;
      }
      if (failure) await this.#failed(batch, failure);
      else {
        this.#retry = RETRY_MIN;
        const took = this.#clock.monotonic() - started;
        this.#tell(batch, undefined);
        for (const callback of batch.afterwards) callback();
        await this.#pause(took * PAUSE_FACTOR, batch.jobs.size);
      }
    }
    this.#isCommitting = false;
    this.#ended();
  }

  /** Tells who waits, and waits until it is to be made again. */
  async #failed(batch: Batch, failure: FluxError): Promise<void> {
    const outcome = this.#isStopping ? 'is lost' : 'is tried again';
    this.#log('err', `eventlog update failed, and ${outcome}: ${failure.message}`);
    // Nor can what is behind it be written now.
    for (const each of new Set([batch, ...this.#batches])) {
      for (const id of each.held.keys()) each.jobs.delete(id);
      this.#tell(each, failure);
    }
    await this.#sleep(this.#retry);
    this.#retry = Math.min(this.#retry * 2, RETRY_MAX);
  }

  /** Lets what comes gather after a commit for so many jobs, for a shorter time when somebody waits for it. */
  async #pause(seconds: number, jobs: number): Promise<void> {
    if (seconds < PAUSE_MIN) return;
    const start = this.#clock.monotonic();
    const whenWanted = Math.min(seconds, PAUSE_WANTED_MAX);
    const isWanted = this.#batches.some(({ waiting, held }) => waiting.length || held.size);
    const least = Math.min(jobs * PAUSE_PER_JOB, PAUSE_LEAST_MAX);
    const pause = isWanted ? whenWanted : Math.min(Math.max(seconds, least), PAUSE_MAX);
    let isHurried = false;
    if (!isWanted)
      this.#hurry = () => {
        isHurried = true;
        this.#wake();
      };
    await this.#sleep(pause);
    this.#hurry = () => {};
    const rest = start + whenWanted - this.#clock.monotonic();
    if (isHurried && rest > 0) await this.#sleep(rest);
  }

  /** Resolves after some seconds, or when it is woken; at once when all is to end. */
  async #sleep(seconds: number): Promise<void> {
    if (this.#isStopping) return;
    await new Promise<void>((resolve) => {
      const timer = this.#clock.after(seconds, resolve);
      this.#wake = () => {
        timer.cancel();
        resolve();
      };
    });
    this.#wake = () => {};
  }

  async #commit(batch: Batch): Promise<undefined> {
    if (batch.isEmpty) return;
    const transaction = new KvsTransaction();
    for (const [id, { log, keys }] of batch.jobs) {
      const directory = encodeFluid(id, 'kvs');
      for (const [name, value] of keys) {
        if (typeof value === 'string') transaction.put(`${directory}.${name}`, value);
        else transaction.putTreeobj(`${directory}.${name}`, value);
      }
      if (log) transaction.append(`${directory}.eventlog`, log);
    }
    for (const { key, value } of batch.others) {
      if (value === undefined) transaction.unlink(key);
      else transaction.putJson(key, value);
    }
    const { rootseq } = await (this.#isKept ? this.#commitKept(transaction) : this.#kvs.commit(transaction));
    this.#rootseq = rootseq;
  }

  async #commitKept(transaction: KvsTransaction): Promise<KvsRoot> {
    try {
      return await this.#kvs.commit(transaction, { flags: CommitFlag.sync });
    } catch (error) {
      // There is nothing that could keep it.
      if (asFluxError(error).code !== 'ENOSYS') throw error;
      return this.#kvs.commit(transaction);
    }
  }

  #tell(batch: Batch, error: FluxError | undefined): void {
    const { held, waiting } = batch;
    batch.held = new Map();
    batch.waiting = [];
    for (const submitted of held.values()) submitted(error);
    for (const committed of waiting) committed(error);
  }
}
