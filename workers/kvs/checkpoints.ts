/**
 * Checkpoints of the primary namespace: its root, kept in the backing store beside the blobs, so that an instance that
 * starts again finds it.
 */

import type { ServiceContext, Timer } from '../../core/broker/service.ts';
import { asFluxError, FluxError } from '../../core/errno.ts';
import type { Checkpoint, ContentAccess } from '../content/access.ts';
import type { Root } from './follower.ts';

/** What a checkpoint remembers. */
type Point = Pick<Root, 'rootref' | 'rootseq'>;

export class Checkpoints {
  readonly #context: ServiceContext;
  readonly #content: () => ContentAccess;
  readonly #now: () => Point | undefined;
  // The newest that is kept, and what is on its way there.
  #last: Point | undefined;
  #writing: Promise<void> = Promise.resolve();
  #period = 0;
  #timer: Timer | undefined;

  /** `now` tells what to remember, if anything. */
  constructor(context: ServiceContext, content: () => ContentAccess, now: () => Point | undefined) {
    this.#context = context;
    this.#content = content;
    this.#now = now;
  }

  /**
   * The checkpoints that are kept, newest first; none without a backing store.
   *
   * Rejects with a FluxError when they cannot be read: not to know them is not to have none
   */
  async #list(): Promise<readonly Checkpoint[]> {
    try {
      return await this.#content().checkpoints();
    } catch (error) {
      const { code } = asFluxError(error);
      // ENOSYS: no store; ENOENT: an empty one.
      if (code !== 'ENOSYS' && code !== 'ENOENT') throw error;
      return [];
    }
  }

  /**
   * The newest checkpoint whose root is there; undefined when there are no checkpoints.
   *
   * @param check rejects when a root cannot be read. What this returns rejects with EIO when there are checkpoints, and
   *   none is any good: to begin anew would lose what can be repaired
   */
  async restore(check: (rootref: string) => Promise<void>): Promise<Checkpoint | undefined> {
    const checkpoints = await this.#list();
    for (const checkpoint of checkpoints) {
      const { rootref, sequence, timestamp } = checkpoint;
      const date = new Date(timestamp * 1000).toISOString();
      try {
        await check(rootref);
      } catch (error) {
        this.#context.log('err', `cannot restore KVS from checkpoint on ${date}: ${(error as Error).message}`);
        continue;
      }
      this.#context.log('info', `restored KVS from checkpoint on ${date}`);
      this.#last = { rootref, rootseq: sequence };
      return checkpoint;
    }
    if (checkpoints.length) throw new FluxError('EIO', 'no checkpoint of the KVS has a root that can be read');
    return undefined;
  }

  /**
   * Writes all blobs that are not in the backing store, and a checkpoint there. One at a time, and none that is older
   * than the last.
   *
   * Rejects with FluxError ENOSYS without a backing store, EIO or ENOSPC when that fails.
   */
  put({ rootref, rootseq }: Point): Promise<void> {
    const { references } = this.#content();
    // The namespace may have another root before this is done.
    references?.addStored(rootref);
    const done = this.#writing.then(() => this.#put({ rootref, rootseq })).finally(() => references?.release(rootref));
    this.#writing = done.catch(() => {});
    return done;
  }

  async #put({ rootref, rootseq }: Point): Promise<void> {
    if (this.#last && rootseq < this.#last.rootseq) return;
    if (this.#last?.rootseq === rootseq && this.#last.rootref === rootref) return;
    const content = this.#content();
    await content.flush();
    await content.checkpointPut({ version: 1, rootref, sequence: rootseq, timestamp: this.#context.clock.now() });
    this.#last = { rootref, rootseq };
  }

  /** Writes one now; that there is no backing store is no fault. */
  async #save(): Promise<void> {
    const point = this.#now();
    if (!point) return;
    try {
      await this.put(point);
    } catch (error) {
      const { code, message } = asFluxError(error);
      if (code !== 'ENOSYS') this.#context.log('err', `error saving a checkpoint of the KVS: ${message}`);
    }
  }

  /** Writes one every so many seconds when the root has changed; 0: never. */
  setPeriod(seconds: number): void {
    if (seconds === this.#period) return;
    this.#period = seconds;
    this.#timer?.cancel();
    this.#schedule();
  }

  #schedule(): void {
    if (this.#period <= 0) return;
    this.#timer = this.#context.clock.after(this.#period, async () => {
      const timer = this.#timer;
      await this.#save();
      if (this.#timer === timer) this.#schedule();
    });
  }

  /** Writes the last one. */
  async stop(): Promise<void> {
    this.#period = 0;
    this.#timer?.cancel();
    await this.#save();
  }
}
