/**
 * How a rank that has lost its parent finds another: it asks the ranks above it, the nearest first, until one takes it.
 *
 *     this rank             a rank above                       rank 0
 *         seek ─────────────────▶   is it a child?  no: adopt ─────▶  event overlay.reparent
 *         (the event: a new parent) ◀─────────────────────────────────────┘ to all ranks
 *         seek ─────────────────▶   is it a child?  yes
 *            ◀───────────────── adopted
 *
 * The event may reach either of the two first; asking again makes up for that. The process of the lost parent comes last:
 * the connection to it may just have broken.
 */

import type { Clock, Timer } from '../broker/service.ts';
import type { Topology } from './topology.ts';

export interface ParentSearchHost {
  readonly rank: number;
  readonly topology: Topology;
  readonly clock: Clock;
  /** Index of the process that hosts a rank. */
  nodeOf(rank: number): number;
  /** Connects to the process of a rank; resolves once messages can be sent there. */
  reach(rank: number): Promise<void>;
  /** Asks a rank to be the parent. */
  seek(rank: number): void;
  /** Nobody took this rank in time. */
  gaveUp(): void;
}

/** Seconds to wait for a connection, and for an answer, before the next attempt. */
const ATTEMPT = 1;
/** Seconds after which those are asked again that could not be reached. */
const PAUSE = 0.1;

export class ParentSearch {
  readonly #host: ParentSearchHost;
  // Processes that could not be reached.
  readonly #unreached = new Set<number>();
  #isJoining = false;
  #deadline: Timer | undefined;
  #timer: Timer | undefined;
  // What is heard of an earlier attempt means nothing.
  #attempt = 0;

  constructor(host: ParentSearchHost) {
    this.#host = host;
  }

  get isRunning(): boolean {
    return this.#isJoining || this.#deadline !== undefined;
  }

  /** Begins to ask the parent, and nobody else: whoever starts together waits for each other. */
  join(): void {
    this.#isJoining = true;
    this.#try();
  }

  /**
   * Begins, or goes on at once because the tree has changed.
   *
   * @param seconds after which it gives up
   * @param lost index of a process that was lost
   */
  start(seconds: number, lost?: number): void {
    this.#isJoining = false;
    this.#deadline ??= this.#host.clock.after(seconds, () => {
      this.stop();
      this.#host.gaveUp();
    });
    if (lost !== undefined) this.#unreached.add(lost);
    this.#try();
  }

  stop(): void {
    this.#isJoining = false;
    this.#deadline?.cancel();
    this.#deadline = undefined;
    this.#end();
    this.#unreached.clear();
  }

  #end(): void {
    this.#attempt++;
    this.#timer?.cancel();
  }

  #try(): void {
    this.#end();
    const attempt = this.#attempt;
    const candidate = this.#candidate();
    if (candidate === undefined) {
      this.#unreached.clear();
      this.#timer = this.#host.clock.after(PAUSE, () => this.#try());
      return;
    }
    let isReached = false;
    const next = () => {
      if (attempt !== this.#attempt) return;
      if (!isReached) this.#unreached.add(this.#host.nodeOf(candidate));
      this.#try();
    };
    this.#timer = this.#host.clock.after(ATTEMPT, next);
    this.#host.reach(candidate).then(() => {
      if (attempt !== this.#attempt) return;
      isReached = true;
      this.#host.seek(candidate);
    }, next);
  }

  /** The nearest rank above whose process was not tried in vain. */
  #candidate(): number | undefined {
    const { rank, topology, nodeOf } = this.#host;
    if (this.#isJoining) return topology.parent(rank);
    for (let at = topology.parent(rank); at !== undefined; at = topology.parent(at))
      if (!this.#unreached.has(nodeOf(at))) return at;
    return undefined;
  }
}
