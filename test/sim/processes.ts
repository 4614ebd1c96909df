/** The processes that an instance is spread over, and what can befall them and what is between them. */

import type { Clock } from '../../core/broker/service.ts';
import { IdSet } from '../../core/formats/idset.ts';
import type { Message } from '../../core/message/message.ts';
import type { Moves } from '../../core/overlay/moves.ts';
import { nodesOfRanks, parentNodes } from '../../core/overlay/placement.ts';
import { rewireTimeout } from '../../core/overlay/policy.ts';
import type { Topology } from '../../core/overlay/topology.ts';
import type { Call, SimulatedClient } from './client.ts';
import type { Fabric } from './fabric.ts';
import { type ProcessMap, SimulatedProcess } from './process.ts';
import type { Simulation } from './simulation.ts';
import { type Learning, WireNetwork } from './wires.ts';

export class Processes implements Fabric {
  readonly list: SimulatedProcess[];
  readonly wires: WireNetwork;
  readonly #sim: Simulation;
  readonly #map: ProcessMap;
  readonly nodeOfRank: Int32Array;
  // Ranks that were to be moved on demand, and who asked for it.
  readonly #moved = new Set<number>();
  readonly #movers = new Map<SimulatedClient, Call>();
  // Connections that broke, as `child-parent`.
  readonly #broken = new Set<string>();

  constructor(sim: Simulation, hasFeed: boolean) {
    const { placement, size } = sim.instance;
    this.#sim = sim;
    this.wires = new WireNetwork(sim.network);
    this.nodeOfRank = nodesOfRanks(placement.nodes, size);
    this.#map = {
      placement: placement.nodes,
      nodeOfRank: this.nodeOfRank,
      parents: (own) => parentNodes({ own, nodes: placement.nodes }, sim.topology),
      hasFeed,
      rewireTimeout: rewireTimeout((name) => new Map(sim.instance.attributes).get(name) ?? undefined),
    };
    this.list = placement.nodes.map((_, index) => this.#make(index, 0));
  }

  #make(index: number, life: number): SimulatedProcess {
    const ranks = [...IdSet.parse(this.#map.placement[index]!.ranks)];
    return new SimulatedProcess(this.#sim, index, ranks, this.#map, this.wires, life);
  }

  /** The process that hosts a rank. */
  of(rank: number): SimulatedProcess {
    return this.list[this.nodeOfRank[rank]!]!;
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

  /** A process that crashed, or has ended because it was cut off, is started again. */
  restart(index: number): void {
    const process = this.list[index]!;
    if (process.isAlive || !this.list[0]!.isAlive) return;
    // Nothing that it still had to do is done by the one that takes its place.
    process.crash();
    this.list[index] = this.#make(index, process.life + 1);
    this.#sim.restartRanks(process.ranks);
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

  /** Rank 0 is asked to move a rank below another one. */
  move(rank: number, parent: number): void {
    if (!this.list[0]!.isAlive) return;
    this.#moved.add(rank);
    const client = this.#sim.connect(0);
    this.#movers.set(client, client.call('overlay.reparent', { rank, parent }));
  }

  /** A client goes, if it does not wait for a move, after which others look. */
  clientGoes(client: SimulatedClient | undefined): void {
    if (client && !this.#movers.has(client)) client.disconnect();
  }

  /** Whether no move on demand is under way, and all know which connections broke. */
  get isAtRest(): boolean {
    for (const { finalAnswers } of this.#movers.values()) if (!finalAnswers.length) return false;
    return this.wires.connections.every(({ isSettled }) => isSettled);
  }

  /** Whether a rank has to be part of the instance in the end; undefined when it may, or not. */
  hasToBe(rank: number): boolean | undefined {
    if (this.of(rank).hasCrashed || this.list[0]!.hasCrashed) return false;
    if (this.#sim.rewires || this.isReachable(rank)) return true;
    // It may have come before one above was started again, or after.
    return this.#isAgain(rank) ? undefined : false;
  }

  /** Whether the process of a rank, or of one above, was started again. */
  #isAgain(rank: number): boolean {
    const parent = this.#sim.topology.parent(rank);
    return this.of(rank).life > 0 || (parent !== undefined && this.#isAgain(parent));
  }

  /** Whether a rank is part of the instance, once nothing changes any more. */
  isMember(rank: number): boolean {
    return this.hasToBe(rank) ?? this.#sim.stateOf(rank) === 'run';
  }

  /** Whether nothing ever came between a rank and rank 0. */
  isReachable(rank: number): boolean {
    const { hasCrashed, life } = this.of(rank);
    if (hasCrashed || life > 0 || this.#moved.has(rank)) return false;
    const parent = this.#sim.topology.parent(rank);
    if (parent === undefined) return true;
    const link = `${this.nodeOfRank[rank]}-${this.nodeOfRank[parent]}`;
    return !this.#broken.has(link) && this.isReachable(parent);
  }

  // ---- the ranks

  clock(rank: number): Clock {
    return this.of(rank).clock(`rank ${rank}`);
  }

  starts(rank: number, start: () => void): void {
    this.of(rank).starts(start);
  }

  topology(rank: number): Topology {
    return this.of(rank).topology;
  }

  moves(rank: number): Moves {
    return this.of(rank).moves;
  }

  async reach(rank: number, other: number, uri: string | undefined): Promise<void> {
    if (this.of(rank) !== this.of(other)) await this.of(rank).reach(this.nodeOfRank[other]!, uri);
  }

  address(rank: number): string {
    return this.of(rank).uri;
  }

  connect(from: number, to: number): (message: Message) => void {
    const process = this.of(from);
    return (message) => process.send(from, to, message);
  }

  broadcast(event: Message, rank: number): void {
    this.of(rank).publish(event);
  }

  delivered(event: Message, rank: number): void {
    if (rank === 0) this.list[0]!.delivered(event);
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
