/** Lets a simulation go on, one event after the other, for as long as somebody waits for something. */

import type { Agenda } from './agenda.ts';
import type { Network } from './network.ts';

interface Waiter {
  readonly condition: () => boolean;
  readonly what: string;
  readonly deadline: number;
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

/** Seconds of virtual time within which what is waited for must come. */
const PATIENCE = 600;
/** Seconds without anything to do that count as quiet; every message is faster. */
const QUIET = 0.05;

/** Resolves once all promises that can go on have gone on. */
const microtasks = () => new Promise<void>((resolve) => setImmediate(resolve));

export class Runner {
  readonly #agenda: Agenda;
  readonly #network: Network;
  readonly #seed: number | undefined;
  #waiters: Waiter[] = [];
  #running = false;

  constructor(agenda: Agenda, network: Network, seed: number | undefined) {
    this.#agenda = agenda;
    this.#network = network;
    this.#seed = seed;
  }

  /**
   * Resolves once the condition holds; it is looked at after each event.
   *
   * @throws Error it does not hold within `seconds` of virtual time, or nothing will happen any more
   */
  when(condition: () => boolean, what: string, seconds = PATIENCE): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#waiters.push({ condition, what, deadline: this.#agenda.time + seconds, resolve, reject });
      if (!this.#running) void this.#run();
    });
  }

  async until<T>(promise: Promise<T>, what: string, seconds?: number): Promise<T> {
    let settled = false;
    const note = () => {
      settled = true;
    };
    promise.then(note, note);
    await this.when(() => settled, what, seconds);
    return promise;
  }

  async advance(seconds: number): Promise<void> {
    const end = this.#agenda.time + seconds;
    await this.when(() => this.#agenda.nextTime > end, `${seconds} seconds`, seconds + 1);
    this.#agenda.skipTo(end);
  }

  settle(): Promise<void> {
    return this.when(() => this.#network.inFlight === 0 && this.#agenda.nextTime > this.#agenda.time + QUIET, 'quiet');
  }

  async #run(): Promise<void> {
    this.#running = true;
    for (;;) {
      await microtasks();
      this.#answer();
      if (this.#waiters.length === 0) break;
      const fault = this.#step();
      if (!fault) continue;
      for (const { reject } of this.#takeWaiters()) reject(fault);
      break;
    }
    this.#running = false;
  }

  /** Does what is next; what it throws is a bug in what is simulated. */
  #step(): Error | undefined {
    try {
      if (this.#agenda.step()) return undefined;
    } catch (error) {
      return error as Error;
    }
    return this.#error(`nothing will happen any more: no ${this.#waiters.map(({ what }) => what).join(', no ')}`);
  }

  #answer(): void {
    const { time } = this.#agenda;
    const waiting = this.#takeWaiters();
    for (const waiter of waiting) {
      let holds: boolean;
      try {
        holds = waiter.condition();
      } catch (error) {
        waiter.reject(error as Error);
        continue;
      }
      if (holds) waiter.resolve();
      else if (time > waiter.deadline) waiter.reject(this.#error(`no ${waiter.what} until ${time.toFixed(3)} s`));
      else this.#waiters.push(waiter);
    }
  }

  #takeWaiters(): Waiter[] {
    const waiters = this.#waiters;
    this.#waiters = [];
    return waiters;
  }

  #error(text: string): Error {
    return new Error(this.#seed === undefined ? text : `${text} (seed ${this.#seed})`);
  }
}
