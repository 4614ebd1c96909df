/**
 * What the KVS tells of references to blobs, on its way to the backing store, which removes those that are garbage.
 *
 * New references are told soon. What is garbage is told only when it has been so for the time of grace, since who has
 * looked at it may still want to read it or refer to it. Nothing is told before all is stored that was there when it
 * happened, so that the backing store knows every blob that it hears of.
 *
 * The backing store counts; where it may have missed something, it is told of no garbage any more.
 */

import type { Clock, Timer } from '../../core/broker/service.ts';
import { asFluxError } from '../../core/errno.ts';
import type { HashName } from '../../core/formats/blobref.ts';
import type { Reference } from '../../core/formats/tree-references.ts';
import type { ReferenceLog } from './access.ts';
import { ReferenceWriter, type Replacement } from './reference-changes.ts';

export interface ReferencesOptions {
  readonly hash: HashName;
  readonly clock: Clock;
  /** Resolves when all blobs that are here now are in the backing store. */
  flush(): Promise<void>;
  /** Garbage is not collected any more. */
  abandoned(reason: string): void;
}

interface Chunk {
  /** Seconds on the monotonic clock: when the last change in it was made, or a little later. */
  readonly time: number;
  readonly bytes: Buffer;
}

/** Seconds until references are told of, if the time of grace is longer than that. */
const PERIOD = 1;
const PERIOD_MIN = 0.05;
/** Seconds until that is tried again when blobs cannot be stored. */
const RETRY = 30;
/** Bytes of changes beyond which the time of grace is cut short, and beyond which nothing helps. */
const WAITING_MAX = 64 * 1024 * 1024;
const UNSENT_MAX = 2 * WAITING_MAX;
const none = Buffer.alloc(0);

export class References implements ReferenceLog {
  grace = 0;
  readonly #options: ReferencesOptions;
  readonly #added: ReferenceWriter;
  readonly #garbage: ReferenceWriter;
  /** New references that could not be told of yet. */
  #unsent = none;
  #waiting: Chunk[] = [];
  #waitingBytes = 0;
  #state: 'unused' | 'used' | 'abandoned' = 'unused';
  #send: ((changes: Uint8Array) => Promise<void>) | undefined;
  /** There was one, which counted. */
  #wasDetached = false;
  #timer: Timer | undefined;
  /** The timer is for what waits; there was nothing new. */
  #isResting = false;
  #sending: Promise<void> = Promise.resolve();

  constructor(options: ReferencesOptions) {
    this.#options = options;
    this.#added = new ReferenceWriter(options.hash);
    this.#garbage = new ReferenceWriter(options.hash);
  }

  // ---- ReferenceLog

  use(): void {
    if (this.#state === 'unused') this.#state = 'used';
  }

  abandon(): void {
    this.#state = 'abandoned';
    this.#timer?.cancel();
    this.#unsent = none;
    this.#waiting = [];
    this.#waitingBytes = 0;
    this.#added.take();
    this.#garbage.take();
  }

  add(references: readonly Reference[]): void {
    if (!this.#isUsed || !references.length) return;
    for (const { blobref, isDirectory } of references)
      if (isDirectory) this.#added.link(blobref);
      else this.#added.addition(blobref);
    this.#schedule();
  }

  addStored(blobref: string): void {
    if (!this.#isUsed) return;
    this.#added.addition(blobref);
    this.#schedule();
  }

  doubt(directories: Iterable<string>): void {
    if (!this.#isUsed) return;
    for (const blobref of directories) this.#added.doubt(blobref);
    this.#schedule();
  }

  replace(replacements: readonly Replacement[]): void {
    if (!this.#isUsed || !replacements.length) return;
    for (const replacement of replacements) this.#garbage.replacement(replacement);
    this.#schedule();
  }

  release(rootref: string): void {
    if (!this.#isUsed) return;
    this.#garbage.release(rootref);
    this.#schedule();
  }

  // ---- the backing store

  attach(send: (changes: Uint8Array) => Promise<void>): void {
    if (this.#wasDetached) this.#options.abandoned('the backing store does not know of earlier references');
    this.#send = send;
    this.#schedule();
  }

  /** The backing store is gone, and what it has counted. */
  detach(): void {
    if (!this.#send) return;
    this.#send = undefined;
    this.#wasDetached = this.#isUsed;
    this.abandon();
  }

  stop(): void {
    this.abandon();
  }

  #fail(reason: string): void {
    this.abandon();
    this.#options.abandoned(reason);
  }

  // ---- on the way

  get #isUsed(): boolean {
    return this.#state === 'used';
  }

  get #period(): number {
    return Math.min(PERIOD, Math.max(PERIOD_MIN, this.grace / 4));
  }

  /** Looks soon at what is new. */
  #schedule(): void {
    if (this.#timer && !this.#isResting) return;
    this.#wake(this.#period, false);
  }

  #wake(seconds: number, isResting: boolean): void {
    if (!this.#send || !this.#isUsed) return;
    this.#timer?.cancel();
    this.#isResting = isResting;
    this.#timer = this.#options.clock.after(seconds, () => {
      this.#timer = undefined;
      // Rejects when blobs cannot be stored, which others tell.
      this.#tell(false).then(
        () => this.#scheduleRest(),
        () => this.#wake(RETRY, false),
      );
    });
  }

  #scheduleRest(): void {
    if (this.#added.length || this.#garbage.length) this.#schedule();
    else if (this.#waiting.length) {
      const rest = this.#waiting[0]!.time + this.grace - this.#options.clock.monotonic();
      this.#wake(Math.max(this.#period, rest), true);
    }
  }

  /** Tells of all that has happened so far, also of what is still in its time of grace. */
  collect(): Promise<void> {
    return this.#tell(true);
  }

  /** Tells what is to be told; rejects when blobs cannot be stored. One at a time. */
  #tell(all: boolean): Promise<void> {
    const told = this.#sending.then(() => this.#tellNow(all));
    this.#sending = told.catch(() => {});
    return told;
  }

  async #tellNow(all: boolean): Promise<void> {
    if (!this.#send || !this.#isUsed) return;
    const now = this.#options.clock.monotonic();
    this.#seal(now);
    let count = this.#countDue(all ? Infinity : now);
    if (!this.#unsent.length && !count) return;
    await this.#options.flush();
    while (this.#unsent.length || count > 0) {
      const bytes = Buffer.concat([this.#unsent, count-- > 0 ? this.#nextWaiting() : none]);
      this.#unsent = none;
      await this.#sendNow(bytes);
      if (!this.#isUsed) return;
    }
  }

  #nextWaiting(): Buffer {
    const { bytes } = this.#waiting.shift() ?? { bytes: none };
    this.#waitingBytes -= bytes.length;
    return bytes;
  }

  async #sendNow(changes: Buffer): Promise<void> {
    try {
      await this.#send?.(changes);
    } catch (error) {
      // A backing store that has no such method never collects garbage.
      const { code, message } = asFluxError(error);
      if (code === 'ENOSYS') this.abandon();
      else this.#fail(message);
    }
  }

  /** Changes that were made until now belong together. */
  #seal(now: number): void {
    if (this.#added.length) this.#unsent = Buffer.concat([this.#unsent, this.#added.take()]);
    if (this.#garbage.length) {
      const bytes = this.#garbage.take();
      this.#waiting.push({ time: now, bytes });
      this.#waitingBytes += bytes.length;
    }
    if (this.#unsent.length + this.#waitingBytes > UNSENT_MAX) this.#fail('too much waits to be told');
  }

  #countDue(now: number): number {
    let bytes = this.#waitingBytes;
    let count = 0;
    for (const chunk of this.#waiting) {
      if (chunk.time + this.grace > now && bytes <= WAITING_MAX) break;
      bytes -= chunk.bytes.length;
      count++;
    }
    return count;
  }
}
