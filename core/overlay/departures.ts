/**
 * Which ranks below a rank are no part of the instance any more, and when: with a child that leaves go all below it. Where ranks
 * may move, only the lost process's own are gone at once; those below it have some time to find other parents.
 */

import type { Clock, Timer } from '../broker/service.ts';
import type { Topology } from './topology.ts';

export interface DeparturesHost {
  readonly topology: Topology;
  readonly clock: Clock;
  /** Index of the process that hosts a rank. */
  nodeOf(rank: number): number;
}

export type RanksListener = (ranks: readonly number[]) => void;

export class Departures {
  readonly #host: DeparturesHost;
  readonly #listeners: RanksListener[] = [];
  // By child: what happens unless something else does before.
  readonly #graces = new Map<number, Timer>();

  constructor(host: DeparturesHost) {
    this.#host = host;
  }

  /** Calls back with ranks that are no part of the instance any more. */
  onGone(listener: RanksListener): void {
    this.#listeners.push(listener);
  }

  /** A child is gone, and all below it. */
  leave(child: number): void {
    this.settle(child);
    this.#tell(this.#host.topology.subtree(child));
  }

  /** A child's process is lost; those below in other processes are gone after so many seconds, if they are still there. */
  lose(child: number, seconds: number): void {
    const { topology, nodeOf } = this.#host;
    const node = nodeOf(child);
    this.#tell(topology.subtree(child).filter((rank) => nodeOf(rank) === node));
    this.await(child, seconds, () => this.#tell(topology.subtree(child)));
  }

  /** Calls back unless `settle` is called for that child before so many seconds are over. */
  await(child: number, seconds: number, callback: () => void): void {
    this.settle(child);
    const timer = this.#host.clock.after(seconds, () => {
      this.#graces.delete(child);
      callback();
    });
    this.#graces.set(child, timer);
  }

  isAwaited(child: number): boolean {
    return this.#graces.has(child);
  }

  /** What becomes of a child is known. */
  settle(child: number): void {
    this.#graces.get(child)?.cancel();
    this.#graces.delete(child);
  }

  #tell(ranks: readonly number[]): void {
    for (const listener of this.#listeners) listener(ranks);
  }

  stop(): void {
    for (const child of [...this.#graces.keys()]) this.settle(child);
  }
}
