/** The processes that an instance is spread over, and what can befall them and what is between them. */

import type { Clock } from '../../core/broker/service.ts';
import { IdSet } from '../../core/formats/idset.ts';
import type { Message } from '../../core/message/message.ts';
import { nodesOfRanks, parentNodes } from '../../core/overlay/placement.ts';
import type { Fabric } from './fabric.ts';
import { type ProcessMap, SimulatedProcess } from './process.ts';
import type { Simulation } from './simulation.ts';
import { type Learning, WireNetwork } from './wires.ts';

export class Processes implements Fabric {
  readonly list: readonly SimulatedProcess[];
  readonly wires: WireNetwork;
  readonly #sim: Simulation;
  readonly #nodeOfRank: Int32Array;
  // Connections that broke, as `child-parent`.
  readonly #broken = new Set<string>();

  constructor(sim: Simulation, hasFeed: boolean) {
    const { placement, size } = sim.instance;
    this.#sim = sim;
    this.wires = new WireNetwork(sim.network);
    this.#nodeOfRank = nodesOfRanks(placement.nodes, size);
    const map: ProcessMap = {
      placement: placement.nodes,
      nodeOfRank: this.#nodeOfRank,
      parents: (own) => parentNodes({ own, nodes: placement.nodes }, sim.topology),
      hasFeed,
    };
    this.list = placement.nodes.map(
      ({ ranks }, index) => new SimulatedProcess(sim, index, [...IdSet.parse(ranks)], map, this.wires),
    );
  }

  /** The process that hosts a rank. */
  of(rank: number): SimulatedProcess {
    return this.list[this.#nodeOfRank[rank]!]!;
  }

  // ---- what befalls them

  /** The connection of a process to one above it breaks. */
  break(child: number, parent: number, learning: Learning): void {
    const connection = this.wires.connection(child, parent);
    if (!connection?.isUp) return;
    this.#broken.add(`${child}-${parent}`);
    connection.break(learning);
  }

  /** A process is gone; the others learn of it in time. */
  crash(index: number, learning: number): void {
    const process = this.list[index]!;
    if (!process.isAlive) return;
    process.crash();
    this.wires.crashed(process, learning);
    for (const client of this.#sim.clients) if (this.of(client.rank) === process) client.lost();
  }

  /** All events of the instance, by their numbers from 1 on. */
  get published(): readonly Message[] {
    return this.list[0]!.published;
  }

  /** The last event that a rank has been handed. */
  lastEvent(rank: number): number {
    if (rank === 0) return this.published.length;
    const { index, lastEvent } = this.of(rank);
    const parents = this.wires.connections.filter(({ client }) => client.index === index);
    return Math.max(lastEvent, ...parents.map(({ toClient }) => toClient.joinedAfter));
  }

  /** Whether a rank belongs to the instance for as long as nothing but what broke took it out. */
  isReachable(rank: number): boolean {
    if (this.of(rank).hasCrashed) return false;
    const parent = this.#sim.topology.parent(rank);
    if (parent === undefined) return true;
    const link = `${this.#nodeOfRank[rank]}-${this.#nodeOfRank[parent]}`;
    return !this.#broken.has(link) && this.isReachable(parent);
  }

  // ---- the ranks

  clock(rank: number): Clock {
    return this.of(rank).clock(`rank ${rank}`);
  }

  starts(rank: number, start: () => void): void {
    this.of(rank).starts(start);
  }

  isRemote(rank: number, other: number): boolean {
    return this.of(rank) !== this.of(other);
  }

  connect(from: number, to: number): (message: Message) => void {
    const process = this.of(from);
    return (message) => process.send(from, to, message);
  }

  broadcast(event: Message, rank: number): void {
    this.of(rank).publish(event);
  }

  severed(rank: number): void {
    this.of(rank).severed(rank);
  }

  exited(rank: number, exitCode: number): void {
    this.of(rank).exited(rank, exitCode);
  }

  fromClient(rank: number, action: () => void): void {
    this.of(rank).fromClient(action);
  }

  sever(): void {
    throw new Error('what is between processes breaks as a whole: see break()');
  }
}
