/**
 * What becomes of a job whose first task has ended: the event `shell.task-exit`, and an end to the rest, at once with
 * `-o exit-on-error` when that task failed, otherwise after `-o exit-timeout=…` (30 s).
 */

import type { Timer } from '../../../core/broker/service.ts';
import { FluxError } from '../../../core/errno.ts';
import { formatDuration, parseDuration } from '../../../core/formats/duration.ts';
import { signalText } from '../../../core/formats/signal.ts';
import { type JsonObject, type JsonValue, Real } from '../../../core/json.ts';
import { isObject, unpack } from '../../../core/message/unpack.ts';
import type { Shell, ShellPlugin } from '../plugin.ts';

const name = 'task-exit';

const DEFAULT_TIMEOUT = 30;

export const taskExitPlugin: ShellPlugin = {
  name,
  load(shell) {
    const timeout = parseTimeout(shell.option('exit-timeout'));
    const watchdog = shell.isLeader ? new Watchdog(shell, timeout) : undefined;
    if (watchdog) shell.onTold(name, (payload) => watchdog.taskExited(payload));
    let isTold = false;
    return {
      'task.exit'(task) {
        if (isTold) return;
        isTold = true;
        shell.tellLeader(name, task.describe());
      },
      'shell.lost': (shellRank) => watchdog?.shellLost(shellRank),
      'shell.tasks-complete': () => watchdog?.cancel(),
      destroy: () => watchdog?.cancel(),
    };
  },
};

/**
 * Seconds; undefined for no end to the waiting.
 *
 * @throws FluxError EINVAL: neither a duration nor `none`
 */
export function parseTimeout(option: JsonValue | undefined): number | undefined {
  if (option === undefined) return DEFAULT_TIMEOUT;
  const value = option instanceof Real ? option.value : option;
  if (typeof value === 'number' && value >= 0) return value;
  if (typeof value === 'string') {
    if (value.toLowerCase() === 'none') return undefined;
    try {
      return parseDuration(value);
    } catch {
      // As any other value that is none.
    }
  }
  throw new FluxError('EINVAL', 'exit-timeout is not a valid Flux Standard Duration');
}

/** What ended first. */
interface FirstEnd {
  /** `task rank 3`, say. */
  readonly who: string;
  readonly host: string;
  readonly exitCode: number;
  /** As waitpid(2) gives it, where it is known. */
  readonly waitStatus?: number;
}

/** Of the leader: is told what ended first, and ends the job when that is wanted. */
class Watchdog {
  readonly #shell: Shell;
  readonly #timeout: number | undefined;
  #isTold = false;
  #timer: Timer | undefined;

  constructor(shell: Shell, timeout: number | undefined) {
    this.#shell = shell;
    this.#timeout = timeout;
  }

  taskExited(task: JsonObject): void {
    if (this.#isTold) return;
    this.#isTold = true;
    this.#shell.appendEvent('exec.eventlog', 'shell.task-exit', task);
    const { rank, wait_status: waitStatus } = unpack(task, { rank: 'i', wait_status: 'i' });
    const node = this.#shell.nodes[this.#shell.taskmap.nodeid(rank)];
    this.#check({
      who: `task rank ${rank}`,
      host: node?.hostname ?? 'unknown',
      exitCode: waitStatus & 0x7f ? 128 + (waitStatus & 0x7f) : (waitStatus >> 8) & 0xff,
      waitStatus,
    });
  }

  shellLost(rank: number): void {
    this.#check({ who: `shell rank ${rank}`, host: this.#shell.nodes[rank]?.hostname ?? 'unknown', exitCode: 1 });
  }

  cancel(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  #check(first: FirstEnd): void {
    const { who, host } = first;
    if (first.exitCode !== 0 && this.#shell.option('exit-on-error') !== undefined) {
      this.#end(first, `${who} on host ${host} failed${disposition(first)} and exit-on-error is set`);
    } else if (this.#timeout !== undefined) this.#startTimer(first, this.#timeout);
  }

  #startTimer(first: FirstEnd, timeout: number): void {
    if (this.#timer || timeout === Infinity) return;
    const { who, host } = first;
    this.#timer = this.#shell.context.clock.after(timeout, () => {
      const limit = `exit-timeout=${formatDuration(timeout)} has expired`;
      this.#end(first, `${who} on host ${host} exited${disposition(first)} and ${limit}`);
    });
  }

  #end({ exitCode, waitStatus }: FirstEnd, what: string): void {
    const note = `${programName(this.#shell.jobspec)}: ${what}`;
    this.#shell.raise('exec', 0, note, waitStatus);
    this.#shell.fail(exitCode, note, name);
  }
}

/** How it ended: ` (Exit 2)`, ` (Killed)`, nothing when that is not known. */
function disposition({ waitStatus }: FirstEnd): string {
  if (waitStatus === undefined) return '';
  const signum = waitStatus & 0x7f;
  return signum ? ` (${signalText(signum)})` : ` (Exit ${(waitStatus >> 8) & 0xff})`;
}

/** The last part of the command's path. */
function programName({ tasks }: JsonObject): string {
  const [task] = Array.isArray(tasks) ? tasks : [];
  const command = isObject(task) ? task.command : undefined;
  const [program] = Array.isArray(command) ? command : [command];
  return String(program ?? 'unknown').replace(/^.*\//, '');
}
