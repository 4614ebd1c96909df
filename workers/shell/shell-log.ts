/** What a shell logs: events of `output` (RFC 24), unless somebody else writes it, and what plugins make of it. */

import type { Hooks } from './hooks.ts';
import { type LogEntry, LogLevel, type Shell } from './plugin.ts';

export class ShellLog {
  readonly #shell: Shell;
  readonly #hooks: Hooks;
  // What was logged before the log is open.
  #early: LogEntry[] | undefined = [];
  #write: ((entry: LogEntry) => void) | undefined;
  #isLogging = false;

  constructor(shell: Shell, hooks: Hooks) {
    this.#shell = shell;
    this.#hooks = hooks;
  }

  /** Logs what the job's verbosity has it log; kept until the log is open. */
  log(level: LogLevel, message: string, component?: string): void {
    // Who takes log entries may have something to say, too.
    if (this.#isLogging || level > LogLevel.notice + this.#shell.verbosity) return;
    const entry: LogEntry = { level, message, rank: this.#shell.rank, ...(component !== undefined && { component }) };
    if (this.#early) {
      this.#early.push(entry);
      return;
    }
    this.#isLogging = true;
    try {
      if (this.#write) this.#write(entry);
      else this.#shell.appendEvent('output', 'log', { ...entry });
      this.#hooks.run('shell.log', entry);
    } finally {
      this.#isLogging = false;
    }
  }

  /** Whether something waits for the log to be opened. */
  get hasEarly(): boolean {
    return this.#early !== undefined && this.#early.length > 0;
  }

  /** Writes from now on, and what has waited. */
  open(): void {
    const early = this.#early ?? [];
    this.#early = undefined;
    for (const { level, message, component } of early) this.log(level, message, component);
  }

  /** Has somebody else write it. */
  redirect(write: (entry: LogEntry) => void): void {
    this.#write = write;
  }
}
