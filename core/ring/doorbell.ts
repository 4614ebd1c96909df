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

  /** Owner: does not sleep after all. */
  cancelSleep(): void {
    Atomics.store(this.#words, this.#at, AWAKE);
  }

  /** Owner: sleeps until somebody rings. The thread's timers and I/O go on meanwhile; they do not end the sleep. */
  async sleep(): Promise<void> {
    const waiting = Atomics.waitAsync(this.#words, this.#at, ASLEEP);
    if (waiting.async) await waiting.value;
  }
}
