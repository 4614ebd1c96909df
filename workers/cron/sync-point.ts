/**
 * The event that tasks wait for: they run together when the cluster is not quiet anyway, right behind a heartbeat for
 * instance, and leave it quiet in between.
 */

import type { ServiceContext } from '../../core/broker/service.ts';
import { listen } from './topic.ts';

/** Seconds after the event for which tasks need not wait for the next, unless somebody says otherwise. */
const EPSILON = 0.015;

export class SyncPoint {
  epsilon = EPSILON;
  readonly #context: ServiceContext;
  #topic: string | undefined;
  #stopListening: (() => void) | undefined;
  /** When the event came last, by the monotonic clock. */
  #last = Number.NEGATIVE_INFINITY;
  readonly #waiting = new Set<() => void>();

  constructor(context: ServiceContext) {
    this.#context = context;
  }

  /** What tasks wait for; undefined: they do not. */
  get topic(): string | undefined {
    return this.#topic;
  }

  /** From now on tasks wait for events of this topic, those that wait already too. */
  follow(topic: string): void {
    this.#stopListening?.();
    this.#topic = topic;
    this.#last = Number.NEGATIVE_INFINITY;
    this.#stopListening = listen(this.#context, topic, () => this.#take());
    this.#context.log('info', `tasks run at events ${topic}`);
  }

  /** From now on tasks run at once; those that wait run now. */
  disable(): void {
    this.#stopListening?.();
    this.#stopListening = undefined;
    this.#topic = undefined;
    this.#runAll();
  }

  /** Whether a task may run now. */
  get isOpen(): boolean {
    return this.#topic === undefined || this.#context.clock.monotonic() - this.#last < this.epsilon;
  }

  /** Runs a task at the next event. */
  wait(run: () => void): void {
    this.#waiting.add(run);
  }

  /** It is not to run any more. */
  forget(run: () => void): void {
    this.#waiting.delete(run);
  }

  #take(): void {
    this.#last = this.#context.clock.monotonic();
    this.#runAll();
  }

  #runAll(): void {
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    for (const run of waiting) run();
  }
}
