/**
 * Signals of who is attached to a job: some go to the job. Two ctrl-C within a time cancel it; a ctrl-Z behind one leaves
 * it alone from then on.
 */

import { constants } from 'node:os';
import type { Handle } from '../core/handle/handle.ts';
import { killJob, raiseException } from './job-raise.ts';

const { signals } = constants;
const forwarded = ['SIGTERM', 'SIGHUP', 'SIGALRM', 'SIGUSR1', 'SIGUSR2'] as const;

/** A second ctrl-C, or a ctrl-Z behind one, counts within this. */
const CTRL_C_MS = 2000;

/** Tells who looks on what happens. */
export function log(message: string): void {
  process.stderr.write(`flux-job: ${message}\n`);
}

export class AttachSignals {
  readonly #handle: Handle;
  readonly #id: bigint;
  readonly #detach: () => void;
  readonly #cleanups: (() => void)[] = [];
  #lastInterrupt = Number.NEGATIVE_INFINITY;
  #stopSuspending: (() => void) | undefined;

  /** @param detach leaves the job */
  constructor(handle: Handle, id: bigint, detach: () => void) {
    this.#handle = handle;
    this.#id = id;
    this.#detach = detach;
  }

  start(): void {
    for (const signal of forwarded)
      this.#on(signal, () => {
        killJob(this.#handle, this.#id, signals[signal]).catch((error: Error) => log(`kill: ${error.message}`));
      });
    this.#on('SIGINT', () => this.#interrupt());
  }

  stop(): void {
    for (const cleanup of this.#cleanups) cleanup();
  }

  #on(signal: NodeJS.Signals, listener: () => void): () => void {
    process.on(signal, listener);
    const off = () => {
      process.off(signal, listener);
    };
    this.#cleanups.push(off);
    return off;
  }

  #interrupt(): void {
    const now = performance.now();
    if (now - this.#lastInterrupt <= CTRL_C_MS) {
      const cancel = raiseException(this.#handle, this.#id, 'cancel', 0, 'interrupted by ctrl-C');
      cancel.catch((error: Error) => log(`cancel: ${error.message}`));
      return;
    }
    this.#lastInterrupt = now;
    this.#stopSuspending ??= this.#on('SIGTSTP', () => this.#suspend());
    log('one more ctrl-C within 2s to cancel or ctrl-Z to detach');
  }

  #suspend(): void {
    if (performance.now() - this.#lastInterrupt <= CTRL_C_MS) {
      log('detaching...');
      this.#detach();
      return;
    }
    this.#stopSuspending?.();
    this.#stopSuspending = undefined;
    log('one more ctrl-Z to suspend');
  }
}
