/**
 * The plugin `task-exit`: what the end of the first task, or of a shell, means for the others. It is an event of the job; with
 * `exit-on-error` a failure ends the job, and otherwise the other tasks have `exit-timeout` to end, too.
 */

import type { Timer } from '../../../core/broker/service.ts';
import { FluxError } from '../../../core/errno.ts';
import { formatDuration, parseDuration } from '../../../core/formats/duration.ts';
import { signalText } from '../../../core/formats/signal.ts';
import { exitCodeOf, signalOf } from '../../../core/formats/wait-status.ts';
import { type JsonObject, Real } from '../../../core/json.ts';
import { unpack } from '../../../core/message/unpack.ts';
import type { Shell, ShellHooks, ShellPlugin } from '../plugin.ts';

const name = 'task-exit';

const DEFAULT_TIMEOUT = 30;

export const taskExitPlugin: ShellPlugin = {
  name,
  load: (shell) => new TaskExit(shell).hooks,
};

/** Who ended first. */
interface FirstExit {
  readonly what: 'task' | 'shell';
  readonly rank: number;
  readonly host: string;
  readonly exitCode: number;
  /** Undefined for a shell that is lost. */
  readonly status: number | undefined;
}

class TaskExit {
  readonly #shell: Shell;
  // Seconds; undefined is for ever.
  #timeout: number | undefined;
  #exitOnError = false;
  #isDone = false;
  #timer: Timer | undefined;

  constructor(shell: Shell) {
    this.#shell = shell;
  }

  readonly hooks: ShellHooks = {
    'shell.init': () => {
      this.#timeout = readTimeout(this.#shell);
      this.#exitOnError = this.#shell.option('exit-on-error') !== undefined;
      if (this.#shell.isLeader) this.#shell.onTold('doom', (info) => this.#taskExited(info));
    },
    'task.exit': (task) => {
      if (this.#isDone) return;
      if (!this.#shell.isLeader) this.#isDone = true;
      this.#shell.tellLeader('doom', task.describe());
    },
    'shell.lost': (shellRank) => {
      const host = this.#shell.nodes[shellRank]?.hostname ?? 'unknown';
      this.#check({ what: 'shell', rank: shellRank, host, exitCode: 1, status: undefined });
    },
    'shell.tasks-complete': () => this.#timer?.cancel(),
    destroy: () => this.#timer?.cancel(),
  };

  /** On the leader: a task ended; the first one counts. */
  #taskExited(info: JsonObject): void {
    if (this.#isDone) return;
    this.#isDone = true;
    this.#shell.appendEvent('exec.eventlog', 'shell.task-exit', info);
    const { rank, wait_status: status } = unpack(info, { rank: 'i', wait_status: 'i' });
    const host = this.#shell.nodes[this.#shell.taskmap.nodeid(rank)]?.hostname ?? 'unknown';
    this.#check({ what: 'task', rank, host, exitCode: exitCodeOf(status), status });
  }

  #check(exit: FirstExit): void {
    if (this.#exitOnError && exit.exitCode !== 0) {
      this.#fail(exit, `${describe(exit, 'failed')} and exit-on-error is set`);
      return;
    }
    const timeout = this.#timeout;
    if (timeout === undefined || this.#timer) return;
    this.#timer = this.#shell.context.clock.after(timeout, () => {
      const duration = formatDuration(timeout);
      this.#fail(exit, `${describe(exit, 'exited')} and exit-timeout=${duration} has expired`);
    });
  }

  #fail(exit: FirstExit, why: string): void {
    const note = `${commandName(this.#shell)}: ${why}`;
    this.#shell.raise('exec', 0, note, exit.status);
    this.#shell.fail(exit.exitCode, note, name);
  }
}

function describe({ what, rank, host, status }: FirstExit, how: string): string {
  return `${what} rank ${rank} on host ${host} ${how}${disposition(status)}`;
}

function disposition(status: number | undefined): string {
  if (status === undefined) return '';
  const signal = signalOf(status);
  return signal ? ` (${signalText(signal)})` : ` (Exit ${exitCodeOf(status)})`;
}

function commandName(shell: Shell): string {
  const { tasks } = unpack(shell.jobspec, { tasks: 'a' });
  const { command } = unpack(tasks[0], { command: 'a' });
  return String(command[0]).replace(/.*\//, '');
}

function readTimeout(shell: Shell): number | undefined {
  const option = shell.option('exit-timeout');
  if (option === undefined) return DEFAULT_TIMEOUT;
  const value = option instanceof Real ? option.value : option;
  if (typeof value === 'number' && value >= 0) return value;
  if (typeof value === 'string') {
    if (value.toLowerCase() === 'none') return undefined;
    try {
      const seconds = parseDuration(value);
      return seconds === Number.POSITIVE_INFINITY ? undefined : seconds;
    } catch {}
  }
  throw new FluxError('EINVAL', 'exit-timeout is not a valid Flux Standard Duration');
}
