/** What is between the ranks of a simulation, and between them and their clients. */

import type { Clock } from '../../core/broker/service.ts';
import type { State } from '../../core/broker/state-machine.ts';
import type { Message } from '../../core/message/message.ts';
import type { Moves } from '../../core/overlay/moves.ts';
import type { Topology } from '../../core/overlay/topology.ts';

export interface Fabric {
  /** The time of a rank. */
  clock(rank: number): Clock;
  /** A rank is about to start. */
  starts(rank: number, start: () => void): void;
  /** The process of each rank. */
  readonly nodeOfRank: Int32Array;
  /** The tree as a rank knows it, and how it has changed. */
  topology(rank: number): Topology;
  moves(rank: number): Moves;
  /** Connects to the process of another rank. */
  reach(rank: number, other: number, uri: string | undefined): Promise<void>;
  /** Where the process of a rank takes connections. */
  address(rank: number): string | undefined;
  /** What hands messages of a rank to its neighbour. */
  connect(from: number, to: number): (message: Message) => void;
  /** Carries an event that a rank has numbered, or passes on. */
  broadcast(event: Message, rank: number): void;
  /** The subscribers of a rank have an event. */
  delivered(event: Message, rank: number): void;
  /** A rank and what is below it are no part of the instance any more. */
  severed(rank: number): void;
  exited(rank: number, exitCode: number): void;
  /** Hands a rank what a client has sent. */
  fromClient(rank: number, action: () => void): void;
  /** What two neighbours send each other is lost from now on, and neither learns of it. */
  sever(rank: number, other: number): void;
}

/** The states in which a rank that fails takes the instance with it. */
export const startingStates: readonly State[] = ['load-builtins', 'join', 'config-sync', 'init', 'quorum'];
