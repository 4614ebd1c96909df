/** What is between the ranks of a simulation, and between them and their clients. */

import type { Clock } from '../../core/broker/service.ts';
import type { State } from '../../core/broker/state-machine.ts';
import type { Message } from '../../core/message/message.ts';

export interface Fabric {
  /** The time of a rank. */
  clock(rank: number): Clock;
  /** A rank is about to start. */
  starts(rank: number, start: () => void): void;
  /** Whether two ranks are in different processes. */
  isRemote(rank: number, other: number): boolean;
  /** What hands messages of a rank to its neighbour. */
  connect(from: number, to: number): (message: Message) => void;
  /** Carries an event that a rank has numbered, or passes on. */
  broadcast(event: Message, rank: number): void;
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
