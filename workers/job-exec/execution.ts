/** What runs a job: shells on its ranks, or a pretence of them. */

import type { IdSet } from '../../core/formats/idset.ts';
import type { Request } from '../../core/handle/methods.ts';
import type { JsonObject } from '../../core/json.ts';
import type { ProcessUsage } from '../../native/process.ts';
import type { LogText } from '../shell/event-writer.ts';

/** What an execution tells its job. */
export interface ExecutionEvents {
  /** All shells run. */
  started(): void;
  /** The shell of rank 0 has ended; others may not have. */
  leaderEnded(status: number): void;
  /** Nothing of the job runs any more. */
  complete(status: number, usage?: ProcessUsage, log?: readonly LogText[]): void;
  /** The job can't go on. */
  fatal(note: string): void;
  /** An exception that does not end it. */
  raise(type: string, severity: number, note: string): void;
  /** Nodes are not to be used any more. */
  drain(ranks: IdSet, reason: string): void;
  /** Something that a program of the job has said before or beside its tasks. */
  output(rank: number, component: string, stream: string, data: string): void;
  post(event: string, context?: JsonObject): void;
}

export interface Execution {
  readonly name: 'bulk-exec' | 'testexec';
  /** Whether those who run the tasks hear events `shell-<jobid>.kill` by themselves. */
  readonly hearsEvents: boolean;
  /** @throws FluxError it can't start */
  start(): void | Promise<void>;
  /**
   * Takes up a job that ran when the instance went down.
   *
   * @throws FluxError it can't
   */
  reattach?(): void | Promise<void>;
  /** What is not started yet never is. */
  cancel(): void;
  /** A signal for the shells. */
  kill(signum: number): void;
  /** A signal for the tasks. */
  killTasks(signum: number): void;
  /** Ranks on which something of the job may run; undefined when that is not known. */
  activeRanks(): IdSet | undefined;
  /** A shell that is a process waits for the others. */
  enterBarrier?(request: Request, rank: number): void;
  stats(): JsonObject;
}
