/**
 * Ranks that are as far from each other as if each had a machine of its own. Events go down the tree as responses do, over
 * the same lines, so every rank sees both in the order in which rank 0 sent them.
 */

import type { Clock } from '../../core/broker/service.ts';
import { type Message, MessageType } from '../../core/message/message.ts';
import { Moves } from '../../core/overlay/moves.ts';
import type { Topology } from '../../core/overlay/topology.ts';
import { type Fabric, startingStates } from './fabric.ts';
import type { Line } from './network.ts';
import type { Simulation } from './simulation.ts';

export class TreeOfLines implements Fabric {
  readonly #sim: Simulation;
  readonly #lines = new Map<string, Line>();

  readonly #moves: Moves;
  readonly nodeOfRank: Int32Array;

  constructor(sim: Simulation) {
    this.#sim = sim;
    this.nodeOfRank = new Int32Array(sim.size);
    this.#moves = new Moves({ topology: sim.topology, overlay: (rank) => sim.ranks[rank]!.overlay });
  }

  clock(rank: number): Clock {
    return this.#sim.agenda.clock(`rank ${rank}`);
  }

  starts(_: number, start: () => void): void {
    start();
  }

  topology(): Topology {
    return this.#sim.topology;
  }

  moves(): Moves {
    return this.#moves;
  }

  async reach(): Promise<void> {}

  address(): undefined {}

  connect(from: number, to: number): (message: Message) => void {
    return (message) => this.#line(from, to).send(message);
  }

  #line(from: number, to: number): Line {
    const key = `${from}-${to}`;
    let line = this.#lines.get(key);
    if (!line) {
      line = this.#sim.network.line(`${from}→${to}`, (message) => this.#arrive(message, from, to));
      this.#lines.set(key, line);
    }
    return line;
  }

  #arrive(message: Message, from: number, to: number): void {
    const { overlay } = this.#sim.ranks[to]!;
    if (overlay.parent?.rank === from && message.type === MessageType.event) this.#takeEvent(message, to);
    else overlay.receive(from, message);
  }

  /** Every rank passes events on before it looks at them itself. */
  #takeEvent(event: Message, rank: number): void {
    if (!this.#sim.ranks[rank]!.broker.isOnline) return;
    this.broadcast(event, rank);
    this.#sim.node.deliverEvent(event, rank);
  }

  broadcast(event: Message, rank: number): void {
    for (const child of this.#sim.topology.children(rank)) this.#line(rank, child).send(event);
  }

  delivered(): void {}

  severed(rank: number): void {
    this.#sim.ranks[rank]!.broker.cutOff();
  }

  exited(rank: number, exitCode: number): void {
    const leader = this.#sim.ranks[0]!;
    if (rank > 0 && exitCode && startingStates.includes(leader.lifecycle.state)) leader.lifecycle.panic(exitCode);
  }

  fromClient(_: number, action: () => void): void {
    action();
  }

  sever(rank: number, other: number): void {
    this.#line(rank, other).cut();
    this.#line(other, rank).cut();
  }
}
