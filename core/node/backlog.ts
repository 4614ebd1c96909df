/**
 * What waits for neighbours that do not take what they are sent.
 *
 * While such a one takes something now and then, this process reads less of its clients. One that takes nothing is not waited
 * for: who wants something of it is refused, and the others go on. In the end it is lost.
 */

import type { NodeLink } from '../overlay/node-link.ts';

/** Bytes that may wait for a neighbour before this process reads no more of its clients, and before the neighbour is lost. */
const HOLD_BYTES = 16 * 1024 * 1024;
const LOST_BYTES = 256 * 1024 * 1024;
/** Seconds without progress after which a neighbour takes nothing. */
export const STUCK_AFTER = 1;
/** A neighbour that ZeroMQ's threads still hear of has so many times as long as one that is silent. */
const PATIENCE = 4;

export interface Backlogged {
  readonly link: Pick<NodeLink, 'waitingBytes' | 'acknowledged' | 'isOpen'>;
  isStuck: boolean;
  /** Seconds of a monotonic clock, and what it had taken then. */
  lastProgress: number;
  acknowledged: number;
}

export interface BacklogHost<N> {
  /** Seconds of silence after which a neighbour is lost; 0: never. */
  readonly timeout: number;
  setHeldUp(isHeldUp: boolean): void;
  setStuck(neighbour: N, isStuck: boolean): void;
  lose(neighbour: N, why: string): void;
}

export class Backlog<N extends Backlogged> {
  readonly #host: BacklogHost<N>;
  readonly #neighbours: ReadonlyMap<number, N>;
  #isHeldUp = false;

  constructor(host: BacklogHost<N>, neighbours: ReadonlyMap<number, N>) {
    this.#host = host;
    this.#neighbours = neighbours;
  }

  /** Something was sent to a neighbour. */
  sent(neighbour: N): void {
    if (neighbour.link.waitingBytes > HOLD_BYTES) this.#check();
  }

  /** Looks who has taken something since the last look. */
  look(now: number): void {
    const { timeout } = this.#host;
    for (const neighbour of [...this.#neighbours.values()]) {
      const { link } = neighbour;
      if (link.waitingBytes === 0 || link.acknowledged !== neighbour.acknowledged) {
        neighbour.acknowledged = link.acknowledged;
        neighbour.lastProgress = now;
        this.#setStuck(neighbour, false);
        continue;
      }
      const silent = now - neighbour.lastProgress;
      if (link.waitingBytes > HOLD_BYTES && silent >= STUCK_AFTER) this.#setStuck(neighbour, true);
      if (link.isOpen && timeout && silent > PATIENCE * timeout)
        this.#host.lose(neighbour, `it has taken nothing for ${PATIENCE * timeout}s`);
    }
    this.relax();
  }

  /** A neighbour may be gone that others waited for. */
  relax(): void {
    if (this.#isHeldUp) this.#check();
  }

  #setStuck(neighbour: N, isStuck: boolean): void {
    if (neighbour.isStuck === isStuck) return;
    neighbour.isStuck = isStuck;
    this.#host.setStuck(neighbour, isStuck);
  }

  #check(): void {
    let most = 0;
    for (const neighbour of [...this.#neighbours.values()]) {
      const { waitingBytes } = neighbour.link;
      if (waitingBytes > LOST_BYTES) this.#host.lose(neighbour, `${waitingBytes} bytes wait that it does not take`);
      else if (!neighbour.isStuck) most = Math.max(most, waitingBytes);
    }
    // Relieved at half the mark, so that it does not flicker.
    const isHeldUp = most > (this.#isHeldUp ? HOLD_BYTES / 2 : HOLD_BYTES);
    if (isHeldUp === this.#isHeldUp) return;
    this.#isHeldUp = isHeldUp;
    this.#host.setHeldUp(isHeldUp);
  }
}
