/** Tells how far a command has come that goes through many keys: on a terminal as it goes, else once at its end. */

import type { Handle } from '../core/handle/handle.ts';

/** Milliseconds between two messages; systemd wants to hear something several times in its timeout. */
const TERMINAL_MS = 100;
const SYSTEMD_MS = 1000;

export interface ProgressOptions {
  /** Say nothing on stderr. */
  readonly silent?: boolean;
  /** Tell systemd, too, through the broker. */
  readonly systemd?: boolean;
}

export class KeyProgress {
  readonly #handle: Handle;
  readonly #options: ProgressOptions;
  readonly #describe: () => { readonly terminal: string; readonly systemd: string };
  #shownAt = 0;
  #notifiedAt = 0;

  /** @param describe what there is to say now */
  constructor(
    handle: Handle,
    options: ProgressOptions,
    describe: () => { readonly terminal: string; readonly systemd: string },
  ) {
    this.#handle = handle;
    this.#options = options;
    this.#describe = describe;
  }

  /** Something has been done. */
  step(): void {
    const { silent, systemd } = this.#options;
    if ((silent || !process.stderr.isTTY) && !systemd) return;
    const now = performance.now();
    if (!silent && process.stderr.isTTY && now - this.#shownAt >= TERMINAL_MS) {
      this.#shownAt = now;
      process.stderr.write(`\r${this.#describe().terminal}`);
    }
    if (systemd && now - this.#notifiedAt >= SYSTEMD_MS) {
      this.#notifiedAt = now;
      this.#notify();
    }
  }

  /** All has been done. */
  end(): void {
    const { silent, systemd } = this.#options;
    if (!silent) process.stderr.write(`${process.stderr.isTTY ? '\r' : ''}${this.#describe().terminal}\n`);
    if (systemd) this.#notify();
  }

  #notify(): void {
    this.#handle.notify('state-machine.sd-notify', { status: this.#describe().systemd });
  }
}
