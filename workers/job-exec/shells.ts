/** How the shells of a job are reached: as parts of the brokers of its ranks, or as programs that these run. */

import type { ProcessUsage } from '../../native/process.ts';
import type { LogText } from '../shell/event-writer.ts';

/** What a shell, or its rank, tells. */
export interface ShellListener {
  started(rank: number): void;
  /** It waits for the other shells. */
  barrier(rank: number): void;
  /** It has ended; `log` is still to be appended to the job's namespace. */
  ended(rank: number, status: number, log: readonly LogText[], usage: ProcessUsage | undefined): void;
  /** It is gone without having ended, or never came to be. */
  failed(rank: number, error: Error): void;
  /** It has said something that is not its tasks'. */
  output(rank: number, stream: string, data: string): void;
}

/** A shell that the leader is not to wait for any more. */
export interface LostShell {
  readonly shellRank: number;
  readonly severity: number;
  readonly message: string;
}

export interface Shells {
  /** Whether they hear events `shell-<jobid>.kill` by themselves. */
  readonly hearEvents: boolean;
  /** Prepares for `start`; rejects with a FluxError when there can be no shells. */
  prepare(): Promise<void>;
  /** Starts the shell of a rank. */
  start(rank: number, listener: ShellListener): void;
  /** A signal for the shell itself. */
  signal(rank: number, signum: number): void;
  /** A signal for the tasks of these ranks. */
  signalTasks(ranks: Iterable<number>, signum: number): void;
  leaveBarrier(rank: number, isComplete: boolean): void;
  /** Tells the leader, which is on `rank`. */
  tellLost(rank: number, shell: LostShell): void;
}
