/**
 * Tells of tasks that the kernel has killed for want of memory; `-o oom.adjust=N` sets which processes it takes first.
 *
 * The kernel counts them by control group. A count that has grown when a task of ours was killed by SIGKILL is about that
 * task, so nothing needs to be watched meanwhile.
 */

import { asFluxError, FluxError, strerror } from '../../../core/errno.ts';
import { parseSignal } from '../../../core/formats/signal.ts';
import { formatSize } from '../../../core/formats/size.ts';
import { signalOf } from '../../../core/formats/wait-status.ts';
import type { JsonValue } from '../../../core/json.ts';
import { isObject } from '../../../core/message/unpack.ts';
import { LogLevel, type Shell, type ShellPlugin, type ShellTask } from '../plugin.ts';
import { Cgroup } from './cgroup.ts';

const name = 'oom';
const SIGKILL = parseSignal('KILL');

/** Of this thread: the control group is that of all its shells. */
class OomCounter {
  readonly cgroup: Cgroup;
  #known: number;

  private constructor(cgroup: Cgroup, known: number) {
    this.cgroup = cgroup;
    this.#known = known;
  }

  /** @throws FluxError ENOENT, with a sentence: the kernel does not count here */
  static async open(shell: Shell): Promise<OomCounter> {
    const cgroup = await Cgroup.find(shell.files);
    if (!cgroup) throw new FluxError('ENOENT', 'incompatible cgroup configuration');
    if (!(await cgroup.has('memory.events'))) throw new FluxError('ENOENT', 'no memory.events');
    return new OomCounter(cgroup, await cgroup.number('memory.events', 'oom_kill'));
  }

  /** How many processes were killed since the last call. */
  async more(): Promise<number> {
    const count = await this.cgroup.number('memory.events', 'oom_kill');
    const more = count - this.#known;
    this.#known = Math.max(this.#known, count);
    return Math.max(0, more);
  }
}

/** A plugin for the shells of one thread. */
export function oomPlugin(): ShellPlugin {
  let opening: Promise<OomCounter> | undefined;
  const counter = (shell: Shell) => {
    opening ??= OomCounter.open(shell);
    return opening;
  };
  return {
    name,
    load(shell) {
      let adjust: number | undefined;
      return {
        'shell.init'() {
          adjust = parseAdjust(shell.option(name));
          return announce(shell, counter(shell));
        },
        'task.fork'(task) {
          if (adjust !== undefined) void adjustScore(shell, task, adjust);
        },
        'task.exit'(task) {
          if (signalOf(task.status ?? 0) === SIGKILL) void lookForKills(shell, counter(shell));
        },
      };
    },
  };
}

/** @throws FluxError EINVAL: no object, a member that is not known, no integer */
export function parseAdjust(option: JsonValue | undefined): number | undefined {
  if (option === undefined) return undefined;
  const { adjust, ...unknown } = isObject(option) ? option : { other: option };
  if (Object.keys(unknown).length)
    throw new FluxError('EINVAL', `invalid shell option ${name}: only ${name}.adjust is known`);
  if (adjust === undefined) return undefined;
  if (typeof adjust !== 'number' || !Number.isInteger(adjust))
    throw new FluxError('EINVAL', `invalid shell option ${name}.adjust: it is not an integer`);
  return adjust;
}

async function announce(shell: Shell, counter: Promise<OomCounter>): Promise<void> {
  try {
    const { cgroup } = await counter;
    shell.log(LogLevel.debug, `monitoring ${cgroup.path('memory.events')}`, name);
  } catch (error) {
    shell.log(LogLevel.debug, `disabling oom detection: ${asFluxError(error).message}`, name);
  }
}

async function lookForKills(shell: Shell, counter: Promise<OomCounter>): Promise<void> {
  const release = shell.hold();
  try {
    const opened = await counter;
    const killed = await opened.more();
    if (!killed) return;
    const tasks = killed > 1 ? 'tasks' : 'task';
    shell.log(LogLevel.error, `Memory cgroup out of memory: killed ${killed} ${tasks} on ${shell.hostname}.`, name);
    const peak = await opened.cgroup.number('memory.peak').catch(() => undefined);
    if (peak !== undefined) shell.log(LogLevel.error, `memory.peak = ${formatSize(peak)}`, name);
  } catch (error) {
    shell.log(LogLevel.debug, `cannot tell whether memory ran out: ${asFluxError(error).message}`, name);
  } finally {
    release();
  }
}

/** A task must not fail for what may not be done here. */
async function adjustScore(shell: Shell, task: ShellTask, adjust: number): Promise<void> {
  const pid = task.process?.pid;
  const file = `/proc/${pid}/oom_score_adj`;
  let failure = '';
  try {
    await shell.files.writeFile(file, String(adjust));
  } catch (error) {
    failure = `: ${strerror(asFluxError(error).errno)}`;
  }
  shell.log(LogLevel.debug, `pid ${pid} score_adj ${adjust}${failure}`, name);
}
