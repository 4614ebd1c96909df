/**
 * Ids of new jobs: FLUIDs (RFC 19), the rank being the generator, so that no rank asks another one for each job.
 *
 * Rank 0 goes on behind the last job of the instance's earlier life; other ranks begin where rank 0 is, when they are
 * first asked.
 */

import type { Clock } from '../../core/broker/service.ts';
import { FluidGenerator } from '../../core/formats/fluid.ts';

export class JobIds {
  readonly #rank: number;
  readonly #clock: Clock;
  readonly #epoch: () => Promise<number>;
  #generator: FluidGenerator | undefined;
  #starting: Promise<void> | undefined;

  /** `epoch` tells what the present time counts as in ids, in milliseconds. */
  constructor(rank: number, clock: Clock, epoch: () => Promise<number>) {
    this.#rank = rank;
    this.#clock = clock;
    this.#epoch = epoch;
  }

  get isReady(): boolean {
    return this.#generator !== undefined;
  }

  /** Resolves when ids can be made; rejects with the FluxError that hinders it, and may be called again. */
  ready(): Promise<void> {
    this.#starting ??= this.#start().finally(() => {
      this.#starting = undefined;
    });
    return this.#starting;
  }

  async #start(): Promise<void> {
    if (this.#generator) return;
    const epoch = await this.#epoch();
    this.#generator = new FluidGenerator(this.#rank, () => this.#clock.monotonic() * 1000, epoch);
  }

  /** The id of a new job; throws FluxError EOVERFLOW when there are no more. */
  next(): bigint {
    return this.#ready.generate();
  }

  /** The present time as ids count it, in milliseconds. */
  timestamp(): number {
    return this.#ready.timestamp();
  }

  get #ready(): FluidGenerator {
    if (!this.#generator) throw new Error('ids were asked for before they are ready');
    return this.#generator;
  }
}
