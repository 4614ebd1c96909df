/**
 * The shell of a job on one of its ranks: it lays the job out, asks its plugins, starts the tasks, and reports what became
 * of them. It is an object of the thread that starts programs for its rank, not a process.
 */

import { constants } from 'node:os';
import { asFluxError } from '../../core/errno.ts';
import type { JsonObject } from '../../core/json.ts';
import type { LogText } from './event-writer.ts';
import type { Hooks } from './hooks.ts';
import { setJobVariables } from './job-environment.ts';
import { logLayout, warnOfTrimmed } from './layout-log.ts';
import { LogLevel } from './plugin.ts';
import { PluginShell, type ShellHost, type ShellLife, type ShellStart } from './plugin-shell.ts';
import type { ShellTasks } from './shell-tasks.ts';
import type { TaskUsage } from './task.ts';
import { mapTasks } from './task-mapping.ts';
import { TaskStartError } from './task-starter.ts';

/** What a shell tells of itself. */
export interface ShellEvents {
  /** It waits for the shells of the other ranks. */
  barrier(): void;
  /** It is over; `log` is still to be appended to the namespace. */
  finished(result: ShellResult): void;
}

export interface ShellResult {
  /** As waitpid(2) would give it for a shell that is a process. */
  readonly status: number;
  readonly log: readonly LogText[];
  readonly usage: TaskUsage | undefined;
}

/** A shell ends at once with an exit code; what went wrong is told already. */
class ShellExit extends Error {}

export class JobShell implements ShellLife {
  readonly #host: ShellHost;
  readonly #events: ShellEvents;
  readonly #shell: PluginShell;
  readonly #hooks: Hooks;
  readonly #tasks: ShellTasks;
  #leaveBarrier: ((isComplete: boolean) => void) | undefined;
  #shellDone: (shellRank: number) => void = () => {};
  #holds = 0;
  // Set when the shell is not to end with its tasks' highest exit code.
  #exitCode: number | undefined;
  #killSignal = 0;
  #takesSignals = false;
  #hasRaised = false;
  #isEnding = false;
  #isExiting = false;
  #isOver = false;
  #onIdle: (() => void) | undefined;

  /** @throws FluxError EINVAL: the job has nothing on this rank */
  constructor(start: ShellStart, host: ShellHost, events: ShellEvents) {
    this.#host = host;
    this.#events = events;
    this.#shell = new PluginShell(start, host, this);
    this.#hooks = this.#shell.hooks;
    this.#tasks = this.#shell.shellTasks;
  }

  get jobid(): bigint {
    return this.#shell.jobid;
  }
  get service(): string {
    return this.#shell.service;
  }
  get jobidText(): string {
    return this.#shell.jobidText;
  }

  /** For `stats-get`. */
  describe(): JsonObject {
    return { tasks: this.#tasks.list.map((task) => task.describe()), backlog: this.#shell.backlog };
  }

  // ---- from its start to its end

  /** Runs the job's part on this rank; what becomes of it is told by the events it was made with. */
  async run(): Promise<void> {
    const leave = this.hold();
    const { eventlogs, isLeader } = this.#shell;
    try {
      await this.#initialize();
      await this.#barrier();
      this.#shell.openLog();
      if (isLeader) eventlogs.appendLifeEvent('shell.init');
      eventlogs.hold();
      await this.#hooks.runAndWait('shell.post-init', this.#goOn);
      await this.#tasks.start(this.#goOn);
      await this.#hooks.runAndWait('shell.start', this.#goOn);
      await this.#barrier();
      eventlogs.release(isLeader ? 'shell.start' : undefined);
    } catch (error) {
      if (!(error instanceof ShellExit))
        this.fail(error instanceof TaskStartError ? error.exitCode : 1, asFluxError(error).message);
    }
    leave();
    await this.#idle();
    await this.#end();
  }

  readonly #goOn = (): void => {
    if (this.#isEnding) throw new ShellExit();
  };

  async #initialize(): Promise<void> {
    const shell = this.#shell;
    const { layout, jobNodes, eventlogs } = shell;
    await this.#loadPlugins();
    jobNodes.setTaskmap(
      await mapTasks(shell, (scheme) => this.#hooks.find('taskmaps', (hooks) => hooks.taskmaps?.[scheme])),
    );
    warnOfTrimmed(shell, layout);
    if (shell.isLeader) {
      eventlogs.addContext('shell.init', {
        service: shell.service,
        'leader-rank': layout.nodes[0]!.brokerRank,
        size: shell.size,
      });
      eventlogs.addContext('shell.start', { taskmap: { version: 1, map: shell.taskmap.toJson() } });
    }
    setJobVariables(shell, this.#host.uri);
    this.#tasks.make();
    if (shell.isLeader) this.#awaitShells();
    this.#takesSignals = true;
    await this.#hooks.runAndWait('shell.init', this.#goOn);
    logLayout(shell, layout);
  }

  async #loadPlugins(): Promise<void> {
    const shell = this.#shell;
    for (const plugin of this.#host.plugins) this.#hooks.load(plugin.name, plugin.load(shell));
    for await (const plugin of this.#host.loadPlugins(shell, shell.layout))
      this.#hooks.load(plugin.name, plugin.load(shell));
    this.#goOn();
  }

  /** Waits for the shells of the other ranks. */
  async #barrier(): Promise<void> {
    this.#goOn();
    if (this.#shell.size === 1) return;
    const entered = new Promise<boolean>((resolve) => {
      this.#leaveBarrier = resolve;
    });
    this.#events.barrier();
    if (!(await entered)) {
      this.#exitCode ??= 1;
      this.#stop();
    }
    this.#goOn();
  }

  /** The shells of all ranks wait; or one of them never will. */
  leaveBarrier(isComplete: boolean): void {
    this.#leaveBarrier?.(isComplete);
    this.#leaveBarrier = undefined;
  }

  async #end(): Promise<void> {
    const shell = this.#shell;
    this.#isExiting = true;
    shell.eventlogs.release();
    // A plugin that came before `output` has failed, and said why.
    if (this.#takesSignals && shell.shellLog.hasEarly) shell.beginOutput();
    shell.openLog();
    try {
      await this.#hooks.runAndWait('shell.exit');
    } catch (error) {
      this.#exitCode ??= 1;
      shell.log(LogLevel.error, `shell.exit: ${asFluxError(error).message}`);
    }
    const exitCode = this.#exitCode ?? this.#tasks.exitCode;
    shell.log(LogLevel.debug, `exit ${exitCode}`);
    this.#isOver = true;
    this.#tasks.abandon();
    this.#hooks.run('destroy');
    shell.links.unsubscribe();
    const log = await shell.eventlogs.takeRest();
    this.#events.finished({ status: this.#killSignal || exitCode << 8, log, usage: this.#tasks.usage });
  }

  // ---- what keeps it

  hold(): () => void {
    this.#holds++;
    let isHeld = true;
    return () => {
      if (!isHeld) return;
      isHeld = false;
      if (--this.#holds === 0) this.#onIdle?.();
    };
  }

  /** Whether nothing keeps it: nobody holds it, or it is to end and no task runs. */
  get #isIdle(): boolean {
    return this.#holds === 0 || (this.#isEnding && !this.#tasks.isRunning);
  }

  async #idle(): Promise<void> {
    while (!this.#isIdle)
      await new Promise<void>((resolve) => {
        this.#onIdle = resolve;
      });
  }

  /** It may be the last task that it had to wait for. */
  taskExited(): void {
    if (this.#isIdle) this.#onIdle?.();
  }

  /** The leader counts the shells whose tasks have ended, and waits for them. */
  #awaitShells(): void {
    const shell = this.#shell;
    const active = new Set(shell.layout.nodes.keys());
    const leave = this.hold();
    this.#shellDone = (shellRank) => {
      if (!active.delete(shellRank) || active.size > 0) return;
      shell.log(LogLevel.debug, 'all shells report tasks complete', 'tasks-complete');
      this.#hooks.run('shell.tasks-complete');
      leave();
    };
    shell.onTold('tasks-complete', (_, shellRank) => this.#shellDone(shellRank));
  }

  /** Another shell of the job will not be heard of any more. */
  shellLost(shellRank: number, severity: number, message: string): void {
    if (message !== '') this.#shell.log(LogLevel.warn, message);
    this.#hooks.run('shell.lost', shellRank, severity);
    this.#shellDone(shellRank);
  }

  // ---- what ends it early

  /** Ends the shell as soon as its tasks, which are killed, have ended. */
  #stop(): void {
    this.#isEnding = true;
    this.#tasks.kill(constants.signals.SIGKILL);
    this.leaveBarrier(false);
    if (!this.#isExiting) this.#hooks.giveUp();
    this.#onIdle?.();
  }

  /** Somebody signals the shell itself: it hands signals on to its tasks, but for the one that ends it. */
  signal(signum: number): void {
    if (signum === constants.signals.SIGKILL) {
      this.#killSignal = signum;
      this.#stop();
      this.#hooks.giveUp();
      return;
    }
    if (this.#tasks.isRunning) {
      this.#shell.log(LogLevel.debug, `forwarding signal ${signum} to tasks`);
      this.signalTasks(signum);
    } else if (this.#leaveBarrier || (this.#hooks.isWaiting && !this.#isEnding && !this.#isExiting)) {
      this.#killSignal = signum;
      this.#stop();
    }
  }

  /** Somebody signals the tasks. */
  signalTasks(signum: number): void {
    this.#tasks.kill(signum);
  }

  fail(exitCode: number, message: string, component?: string): void {
    if (this.#isOver) return;
    this.#shell.log(LogLevel.fatal, message, component);
    this.#exitCode ??= exitCode;
    // The exception has all shells terminated, and this one does not hand signals on yet.
    if (!this.#takesSignals) this.#killSignal ||= constants.signals.SIGTERM;
    this.raise('exec', 0, message);
    this.#stop();
  }

  raise(type: string, severity: number, note: string, waitStatus?: number): void {
    // One that ends the job is enough.
    if (severity === 0 && this.#hasRaised) return;
    if (severity === 0) this.#hasRaised = true;
    const shell = this.#shell;
    const { context } = shell;
    const payload = {
      id: shell.jobid,
      type,
      severity,
      note,
      ...(waitStatus !== undefined && { wait_status: waitStatus }),
    };
    const leave = this.hold();
    context
      .rpc('job-manager.raise', payload)
      .catch((error: unknown) =>
        context.log('err', `cannot raise an exception of ${shell.jobidText}: ${asFluxError(error).message}`),
      )
      .finally(leave);
  }
}
