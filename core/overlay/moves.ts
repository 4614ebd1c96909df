/**
 * The moves of ranks in the tree, as the ranks of one thread know them.
 *
 * Rank 0 decides on each move and publishes it as an event, so all ranks make the same moves in the same order. A process that
 * comes later asks rank 0 for those that have been. Of two moves of a rank the one with the higher event number counts, in
 * whichever order they are heard of.
 */

import { FluxError } from '../errno.ts';
import type { JsonObject, JsonValue } from '../json.ts';
import { Role } from '../message/credentials.ts';
import type { Message } from '../message/message.ts';
import { unpack } from '../message/unpack.ts';
import type { Overlay } from './overlay.ts';
import type { Topology } from './topology.ts';

/** The event of a move: {rank, parent}. */
export const REPARENT_EVENT = 'overlay.reparent';

export interface Move {
  readonly rank: number;
  readonly parent: number;
  /** Of the event that told of it. */
  readonly sequence: number;
}

export interface MovesHost {
  readonly topology: Topology;
  /** The overlay of a rank of this thread. */
  overlay(rank: number): Overlay | undefined;
}

export class Moves {
  readonly #host: MovesHost;
  readonly #moves = new Map<number, Move>();
  // What could not be done before all earlier moves are known.
  #postponed: Move[] = [];
  #isWhole: boolean;
  #isAsking = false;

  /** @param isWhole whether this process is there from the first event on */
  constructor(host: MovesHost, isWhole: boolean) {
    this.#host = host;
    this.#isWhole = isWhole;
  }

  /**
   * Takes the event of a move.
   *
   * @throws FluxError EPERM, EPROTO, EINVAL: it is none that rank 0 published; nothing has changed
   */
  takeEvent(event: Message): void {
    if ((event.rolemask & Role.owner) === 0)
      throw new FluxError('EPERM', `${REPARENT_EVENT}: only the owner moves ranks`);
    const move = { ...event.unpack({ rank: 'i', parent: 'i' }), sequence: event.sequence };
    try {
      this.#take(move);
    } catch (error) {
      if (this.#isWhole) throw error;
      // It may be possible after one that is not known yet.
      this.#postponed.push(move);
    }
  }

  /**
   * Learns those that have been before this process was there, if it does not know them yet.
   *
   * @param ask resolves to what `list` tells at rank 0
   * @throws FluxError what asking fails with; EPROTO, EINVAL: it is no such list
   */
  async complete(ask: () => Promise<readonly JsonValue[]>): Promise<void> {
    if (this.#isWhole || this.#isAsking) return;
    this.#isAsking = true;
    try {
      this.#learn(await ask());
      this.#isWhole = true;
      this.#postponed = [];
    } finally {
      this.#isAsking = false;
    }
  }

  #learn(list: readonly JsonValue[]): void {
    const fields = { rank: 'i', parent: 'i', sequence: 'i' } as const;
    let moves: Move[] = [...list.map((move) => unpack(move as JsonObject, fields)), ...this.#postponed];
    // A rank may have to wait until another one is not below it any more.
    for (;;) {
      const left: Move[] = [];
      let fault: unknown;
      for (const move of moves) {
        try {
          this.#take(move);
        } catch (error) {
          left.push(move);
          fault = error;
        }
      }
      if (!left.length) return;
      if (left.length === moves.length) throw fault;
      moves = left;
    }
  }

  /** Whether the tree is as it was at first. */
  get isEmpty(): boolean {
    return this.#moves.size === 0;
  }

  /** A rank, and those below it, have left the subtrees of its old parent, and of some above that. */
  #tellThoseAbove(old: number, rank: number): void {
    const { topology, overlay } = this.#host;
    const moved = topology.subtree(rank);
    for (let at: number | undefined = old; at !== undefined; at = topology.parent(at)) {
      if (topology.isInSubtree(rank, at)) return;
      overlay(at)?.movedAway(moved);
    }
  }

  /** The last move of each rank that has moved. */
  list(): JsonObject[] {
    return Array.from(this.#moves.values(), (move) => ({ ...move }));
  }

  #take(move: Move): void {
    const { rank, parent, sequence } = move;
    const { topology, overlay } = this.#host;
    const known = this.#moves.get(rank);
    if (known && known.sequence >= sequence) return;
    const old = topology.parent(rank);
    if (old !== parent) topology.reparent(rank, parent);
    this.#moves.set(rank, move);
    if (old === parent) return;
    overlay(old!)?.removeChild(rank);
    this.#tellThoseAbove(old!, rank);
    overlay(parent)?.addChild(rank);
    overlay(rank)?.moveBelow(parent);
  }
}
