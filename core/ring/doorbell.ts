/**
 * One word per thread that says whether it sleeps, and wakes it.
 *
 * The protocol, so that no wake-up is lost:
 *
 *     sender                                   owner
 *     1  publish a record (store TAIL),        1  store ASLEEP
 *        or give room (store HEAD and          2  look at all its rings: records (TAIL), room (STARVED)
 *        clear STARVED)                        3  if there is work: store AWAKE, do not sleep
 *     2  load the word; if ASLEEP,                else wait until the word is no longer ASLEEP
 *        swap in AWAKE and notify
 *
 * An owner that sleeps may look at its rings from a timer or socket of its own: it stores AWAKE, looks for a while, and goes
 * on from 1. Its waiter stays where it was and hears the next notify.
 *
 * Each side stores first and looks at the other's word second. Atomics are sequentially consistent, so either the sender
 * sees ASLEEP and notifies, or the owner sees the work. `npm run model` checks it.
 */

const AWAKE = 0;
const ASLEEP = 1;
/** Words lie on cache lines of their own. */
const STRIDE = 64 / Int32Array.BYTES_PER_ELEMENT;

export function createDoorbells(threads: number): SharedArrayBuffer {
  return new SharedArrayBuffer(threads * STRIDE * Int32Array.BYTES_PER_ELEMENT);
}

export class Doorbell {
  readonly #words: Int32Array;
  readonly #at: number;
  // Of the owner: whether it will be notified, and what ends its sleep.
  #hasWaiter = false;
  #wake: (() => void) | undefined;

  constructor(doorbells: SharedArrayBuffer, thread: number) {
    this.#words = new Int32Array(doorbells);
    this.#at = thread * STRIDE;
  }

  /** Wakes the owner if it sleeps; cheap when it does not. */
  ring(): void {
    if (Atomics.load(this.#words, this.#at) !== ASLEEP) return;
    // Of several senders one wins, and only that one makes the system call.
    if (Atomics.compareExchange(this.#words, this.#at, ASLEEP, AWAKE) === ASLEEP) Atomics.notify(this.#words, this.#at);
  }

  /** Owner: says that it is about to sleep. It must then look at its rings once more. */
  prepareSleep(): void {
    Atomics.store(this.#words, this.#at, ASLEEP);
  }

  /** Owner: does not sleep after all, or for a moment while it looks at its rings. */
  cancelSleep(): void {
    Atomics.store(this.#words, this.#at, AWAKE);
  }

  /** Owner: whether a call of `sleep` is pending. */
  get isSleeping(): boolean {
    return this.#wake !== undefined;
  }

  /**
   * Owner: sleeps until somebody rings, or `wake`. The thread's timers and I/O go on meanwhile; they do not end the sleep.
   */
  sleep(): Promise<void> {
    // Who was woken by `wake` left a waiter behind: it is still notified, and serves this sleep too.
    if (!this.#hasWaiter) {
      const waiter = Atomics.waitAsync(this.#words, this.#at, ASLEEP);
      if (!waiter.async) return Promise.resolve();
      this.#hasWaiter = true;
      waiter.value.then(() => {
        this.#hasWaiter = false;
        this.#wake?.();
      });
    }
    return new Promise((resolve) => {
      this.#wake = () => {
        this.#wake = undefined;
        resolve();
      };
    });
  }

  /** Owner: ends a sleep from the thread itself. */
  wake(): void {
    this.cancelSleep();
    this.#wake?.();
  }
}
