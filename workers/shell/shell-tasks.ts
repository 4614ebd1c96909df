/** The tasks of a shell: made by the jobspec, started one after the other, and followed until the last has ended. */

import { asFluxError, FluxError } from '../../core/errno.ts';
import { exitCodeOf } from '../../core/formats/wait-status.ts';
import { isObject } from '../../core/message/unpack.ts';
import type { Hooks } from './hooks.ts';
import { LogLevel, type Shell, type ShellTask } from './plugin.ts';
import { Task, type TaskUsage } from './task.ts';
import { TaskStartError, type TaskStarter } from './task-starter.ts';

export class ShellTasks {
  readonly #shell: Shell;
  readonly #hooks: Hooks;
  readonly #starter: TaskStarter;
  readonly #onExit: () => void;
  #list: readonly Task[] = [];
  #current: ShellTask | undefined;
  #openCount = 0;
  #isFollowed = true;

  /** @param onExit called when a task has ended */
  constructor(shell: Shell, hooks: Hooks, starter: TaskStarter, onExit: () => void) {
    this.#shell = shell;
    this.#hooks = hooks;
    this.#starter = starter;
    this.#onExit = onExit;
  }

  get list(): readonly Task[] {
    return this.#list;
  }

  /** The one that a hook is called for. */
  get current(): ShellTask | undefined {
    return this.#current;
  }

  /** Whether a task is there, or being started. */
  get isRunning(): boolean {
    return this.#list.some((task) => task.isRunning);
  }

  /**
   * Makes those of this rank.
   *
   * @throws FluxError EINVAL: the jobspec has no command
   */
  make(): void {
    const { jobspec, node } = this.#shell;
    const [entry] = Array.isArray(jobspec.tasks) ? jobspec.tasks : [];
    const command = isObject(entry) ? entry.command : undefined;
    if (!Array.isArray(command) || command.length === 0) throw new FluxError('EINVAL', 'Malformed command entry');
    const argv = command.map(String);
    const processGroup = !this.#shell.option('nosetpgrp');
    const jobEnv = (name: string) => this.#shell.getEnv(name);
    this.#list = [...node.taskids].map((rank, index) => new Task({ rank, index, argv, processGroup, jobEnv }));
  }

  /**
   * Starts all of them.
   *
   * @param goOn throws when no more are to be started
   * @throws TaskStartError; FluxError EINVAL: a hook has failed; and what `goOn` throws
   */
  async start(goOn: () => void): Promise<void> {
    for (const task of this.#list) {
      goOn();
      this.#current = task;
      await this.#hooks.runAndWait('task.init', goOn, task);
      task.spec.cwd ??= this.#starter.cwd;
      task.spec.argv = task.spec.argv.map((word) => (word.includes('{{') ? this.#shell.render(word, { task }) : word));
      this.#hooks.run('task.exec', task);
      goOn();
      await this.#startOne(task);
      // The end of another one may have come meanwhile.
      this.#current = task;
      this.#hooks.run('task.fork', task);
    }
    this.#current = undefined;
    if (this.#list.length === 0) this.#finish();
  }

  async #startOne(task: Task): Promise<void> {
    // Before it is there: a signal that waits for it may end it at once.
    this.#openCount++;
    const leave = this.#shell.hold();
    try {
      await task.start(
        (events) => this.#starter.spawn(task, events),
        () => this.#exited(task),
        () => this.#closed(task, leave),
      );
    } catch (error) {
      this.#openCount--;
      leave();
      throw new TaskStartError(task, this.#shell.hostname, error);
    }
  }

  #exited(task: Task): void {
    if (!this.#isFollowed) return;
    try {
      this.#hooks.run('task.end', task);
    } catch (error) {
      this.#bug('task.end', error);
    }
    this.#onExit();
  }

  #closed(task: Task, leave: () => void): void {
    if (!this.#isFollowed) return;
    this.#shell.log(LogLevel.debug, `task ${task.rank} complete status=${exitCodeOf(task.status ?? 0)}`);
    this.#current = task;
    try {
      this.#hooks.run('task.exit', task);
      this.#current = undefined;
      if (--this.#openCount === 0 && this.#list.every(({ isClosed }) => isClosed)) this.#finish();
    } catch (error) {
      this.#bug('task.exit', error);
    }
    leave();
  }

  #finish(): void {
    this.#hooks.run('shell.finish');
    this.#shell.tellLeader('tasks-complete', {});
  }

  #bug(where: string, error: unknown): void {
    this.#shell.fail(1, `${where}: ${asFluxError(error).message}`);
  }

  /** Sends a signal to those that run. */
  kill(signum: number): void {
    for (const task of this.#list) task.kill(signum);
  }

  // ---- what became of them

  /** What still comes of them is not looked at. */
  abandon(): void {
    this.#isFollowed = false;
  }

  /** The highest of their exit codes. */
  get exitCode(): number {
    return Math.max(0, ...this.#list.map(({ status }) => (status === undefined ? 0 : exitCodeOf(status))));
  }

  /** What they have used together; undefined when that is not known. */
  get usage(): TaskUsage | undefined {
    const usages = this.#list.flatMap(({ usage }) => (usage ? [usage] : []));
    if (usages.length === 0) return undefined;
    return usages.reduce((sum, each) => ({
      utime: sum.utime + each.utime,
      stime: sum.stime + each.stime,
      maxrss: sum.maxrss + each.maxrss,
    }));
  }
}
