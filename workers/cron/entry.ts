/** One cron entry: a command, what triggers it, and what became of it so far. */

import type { ServiceContext } from '../../core/broker/service.ts';
import { FluxError } from '../../core/errno.ts';
import { type JsonObject, real } from '../../core/json.ts';
import type { EntrySpec } from './request.ts';
import type { SyncPoint } from './sync-point.ts';
import { Task, type TaskEvents } from './task.ts';
import type { MakeTrigger, Trigger, Triggered } from './trigger.ts';

export class Entry implements Triggered {
  readonly id: number;
  readonly label: string;
  readonly #context: ServiceContext;
  readonly #sync: SyncPoint;
  readonly #spec: EntrySpec;
  readonly #onGone: () => void;
  readonly #trigger: Trigger;
  #isStopped = true;
  #isDeleted = false;
  /** The task that waits or runs; there is never more than one. */
  #task: Task | undefined;
  readonly #run = () => this.#runTask();
  /** The latest tasks that are over, the oldest first. */
  readonly #history: Task[] = [];

  readonly #created: number;
  #startedAt = 0;
  #lastRun = 0;
  // Since it was started.
  #count = 0;
  #failCount = 0;
  // Ever.
  #total = 0;
  #success = 0;
  #failure = 0;
  #deferred = 0;

  /**
   * One that is stopped.
   *
   * @param onGone called once it is deleted and its task is over
   * @throws FluxError what is wrong with the arguments of its trigger
   */
  constructor(
    context: ServiceContext,
    sync: SyncPoint,
    id: number,
    spec: EntrySpec,
    makeTrigger: MakeTrigger,
    onGone: () => void,
  ) {
    this.id = id;
    this.label = `cron-${id}`;
    this.#context = context;
    this.#sync = sync;
    this.#spec = spec;
    this.#onGone = onGone;
    this.#created = context.clock.now();
    this.#trigger = makeTrigger(context, spec.args, this);
  }

  get lastRun(): number {
    return this.#lastRun;
  }

  /** @throws FluxError EINVAL: it is started already, or deleted */
  start(): void {
    if (!this.#isStopped) throw new FluxError('EINVAL', `${this.label} is started already`);
    if (this.#isDeleted) throw new FluxError('EINVAL', `${this.label} is deleted once its task is over`);
    this.#isStopped = false;
    this.#startedAt = this.#context.clock.now();
    this.#count = 0;
    this.#failCount = 0;
    this.#trigger.start();
  }

  /** @throws FluxError EINVAL: it is stopped already */
  stop(): void {
    if (this.#isStopped) throw new FluxError('EINVAL', `${this.label} is stopped already`);
    this.#isStopped = true;
    this.#trigger.stop();
  }

  /** Stops it for good; it is gone once its task is, which is asked to end when `kill` is set. */
  delete(kill: boolean): void {
    this.#isDeleted = true;
    if (!this.#isStopped) this.stop();
    if (this.#task?.isWaiting) {
      this.#sync.forget(this.#run);
      this.#task = undefined;
    }
    if (kill) this.#task?.kill();
    if (!this.#task) this.#onGone();
  }

  /** Ends it with the service: nothing happens afterwards. */
  abandon(): void {
    if (!this.#isStopped) this.stop();
    this.#task?.kill();
    this.#task?.abandon();
  }

  // ---- what the trigger calls

  fire(): void {
    const { name, repeat, rank, command, cwd, environ, timeout } = this.#spec;
    if (this.#task) {
      this.#context.log('info', `${this.label}: ${name}: task still running or scheduled`);
      return;
    }
    const spec = { rank, command, cwd, environ, timeout };
    this.#task = new Task(this.#context, spec, this.#events);
    this.#total++;
    if (++this.#count === repeat) this.stop();
    if (this.#sync.isOpen) this.#runTask();
    else {
      this.#deferred++;
      this.#context.log('debug', `${this.label}: deferred to the next event ${this.#sync.topic}`);
      this.#sync.wait(this.#run);
    }
  }

  exhausted(): void {
    if (this.#isStopped) return;
    this.#context.log('err', `${this.label}: no time within two years matches; stopping`);
    this.stop();
  }

  // ---- tasks

  #runTask(): void {
    this.#lastRun = this.#context.clock.now();
    this.#task!.run();
  }

  readonly #events: TaskEvents = {
    output: (stream, line) => {
      const { name, rank, command } = this.#spec;
      const text = `${this.label}[${name}]: rank=${rank}: command="${command}": "${line}"`;
      this.#context.log(stream === 'stderr' ? 'err' : 'info', text);
    },
    finished: () => this.#finished(),
  };

  #finished(): void {
    const task = this.#task!;
    this.#task = undefined;
    const { failure } = task;
    if (failure === undefined) this.#success++;
    else this.#failed(failure);
    this.#history.push(task);
    if (this.#history.length > this.#spec.historyCount) this.#history.shift();
    if (this.#isDeleted) this.#onGone();
  }

  #failed(why: string): void {
    const { command, stopOnFailure } = this.#spec;
    this.#context.log('err', `${this.label}: command="${command}": failed: ${why}`);
    this.#failure++;
    this.#failCount++;
    if (stopOnFailure <= 0 || this.#failCount < stopOnFailure || this.#isStopped) return;
    this.#context.log('err', `${this.label}: failed ${this.#failCount} times; stopping`);
    this.stop();
  }

  toJSON(): JsonObject {
    const { rank, name, command, repeat, type, timeout } = this.#spec;
    const tasks = [...(this.#task ? [this.#task] : []), ...this.#history.toReversed()];
    return {
      id: this.id,
      rank,
      name,
      command,
      repeat,
      stopped: this.#isStopped,
      type,
      ...(timeout >= 0 && { timeout: real(timeout) }),
      stats: {
        ctime: real(this.#created),
        starttime: real(this.#startedAt),
        lastrun: real(this.#lastRun),
        count: this.#count,
        failcount: this.#failCount,
        total: this.#total,
        success: this.#success,
        failure: this.#failure,
        deferred: this.#deferred,
      },
      typedata: this.#trigger.toJSON(),
      tasks: tasks.map((task) => task.toJSON()),
    };
  }
}
