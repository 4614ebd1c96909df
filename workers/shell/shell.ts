/**
 * The shell of a job on one of its ranks: it lays the job out, asks its plugins, starts the tasks, and reports what became
 * of them. It is an object of the thread that starts programs for its rank, not a process.
 */

import { constants } from 'node:os';
import type { ServiceContext } from '../../core/broker/service.ts';
import { asFluxError, FluxError, strerror } from '../../core/errno.ts';
import { encodeFluid } from '../../core/formats/fluid.ts';
import { systemAttributes } from '../../core/formats/system-attributes.ts';
import type { TaskMap } from '../../core/formats/taskmap.ts';
import { exitCodeOf } from '../../core/formats/wait-status.ts';
import type { Method } from '../../core/handle/methods.ts';
import type { Responses } from '../../core/handle/rpc.ts';
import type { JsonObject, JsonValue } from '../../core/json.ts';
import { isObject } from '../../core/message/unpack.ts';
import { findPackageFile } from '../../native/index.ts';
import { type Process, SpawnError } from '../../native/process.ts';
import type { LogText } from './event-writer.ts';
import { Eventlogs, type LifeEvent } from './eventlogs.ts';
import type { ShellFiles } from './files.ts';
import { Hooks } from './hooks.ts';
import { JobEnvironment, setJobVariables } from './job-environment.ts';
import type { JobLayout } from './job-layout.ts';
import { JobNodes } from './job-nodes.ts';
import { logLayout, warnOfTrimmed } from './layout-log.ts';
import { renderMustache } from './mustache.ts';
import { ShellOptions, shellOptions } from './options.ts';
import {
  type LogEntry,
  LogLevel,
  type RenderOptions,
  type Shell,
  type ShellNode,
  type ShellPlugin,
  type ShellTask,
  type TaskSpec,
} from './plugin.ts';
import { rcPaths } from './rc-file.ts';
import { ShellLinks } from './shell-links.ts';
import { ShellLog } from './shell-log.ts';
import { shellTag } from './tags.ts';
import { Task, type TaskEvents, type TaskUsage } from './task.ts';
import { mapTasks } from './task-mapping.ts';

/** What a shell is made of. */
export interface ShellStart {
  readonly jobid: bigint;
  readonly userid: number;
  /** Userid of the instance owner. */
  readonly owner: number;
  readonly namespace: string;
  readonly jobspec: JsonObject;
  readonly R: JsonObject;
  readonly layout: JobLayout;
}

/** What a shell reaches. */
export interface ShellHost {
  readonly context: ServiceContext;
  readonly files: ShellFiles;
  readonly plugins: readonly ShellPlugin[];
  /** FLUX_URI of the tasks. */
  readonly uri: string;
  /** Whether job ids are written with ƒ. */
  readonly isUtf8: boolean;
  /** The plugins that an initrc names. */
  loadPlugins(path: string): Promise<readonly ShellPlugin[]>;
  register(service: string, method: string, answer: Omit<Method, 'allow'>): void;
}

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

const FALLBACK_CWD = '/tmp';
/** The command of Flux. */
const COMMAND = 'flux';

export class JobShell implements Shell {
  readonly jobid: bigint;
  readonly userid: number;
  readonly rank: number;
  readonly service: string;
  readonly namespace: string;
  readonly hostname: string;
  readonly jobspec: JsonObject;
  readonly R: JsonObject;
  readonly context: ServiceContext;
  readonly files: ShellFiles;
  readonly layout: JobLayout;
  readonly owner: number;
  readonly #host: ShellHost;
  readonly #events: ShellEvents;
  readonly #eventlogs: Eventlogs;
  readonly #log: ShellLog;
  readonly #links: ShellLinks;
  readonly #options: ShellOptions;
  readonly #environment: JobEnvironment;
  readonly #hooks = new Hooks();
  readonly #nodes: JobNodes;
  #tasks: Task[] = [];
  #currentTask: ShellTask | undefined;
  #cwd: string;
  readonly #onRoom: (() => void)[] = [];
  #leaveBarrier: ((isComplete: boolean) => void) | undefined;
  #shellDone: (shellRank: number) => void = () => {};
  #holds = 0;
  #openTasks = 0;
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
    const { context } = host;
    const { jobspec, layout } = start;
    this.#host = host;
    this.#events = events;
    this.context = context;
    this.files = host.files;
    this.jobid = start.jobid;
    this.userid = start.userid;
    this.owner = start.owner;
    this.namespace = start.namespace;
    this.jobspec = jobspec;
    this.R = start.R;
    this.layout = layout;
    this.rank = layout.nodes.findIndex(({ brokerRank }) => brokerRank === context.rank);
    if (this.rank < 0) throw new FluxError('EINVAL', `the job has nothing on rank ${context.rank}`);
    this.service = `${start.userid}-shell-${encodeFluid(start.jobid, 'f58plain')}`;
    this.hostname = layout.nodes[this.rank]!.hostname;
    this.#nodes = new JobNodes(layout);
    const system = systemAttributes(jobspec);
    this.#options = new ShellOptions(shellOptions(jobspec));
    this.#environment = new JobEnvironment(jobspec);
    this.#cwd = typeof system.cwd === 'string' ? system.cwd : (context.attribute('rundir') ?? FALLBACK_CWD);
    this.#log = new ShellLog(this, this.#hooks);
    const madeRoom = () => this.#madeRoom();
    this.#eventlogs = new Eventlogs(context, start.namespace, madeRoom);
    this.#links = new ShellLinks(this, layout, madeRoom);
  }

  get size(): number {
    return this.layout.nodes.length;
  }
  get isLeader(): boolean {
    return this.rank === 0;
  }
  get taskCount(): number {
    return this.layout.taskCount;
  }
  get coresPerSlot(): number {
    return this.layout.coresPerSlot;
  }
  get gpusPerSlot(): number {
    return this.layout.gpusPerSlot;
  }
  get taskmap(): TaskMap {
    return this.#nodes.taskmap;
  }
  get tasks(): readonly Task[] {
    return this.#tasks;
  }
  get currentTask(): ShellTask | undefined {
    return this.#currentTask;
  }
  get cwd(): string {
    return this.#cwd;
  }
  get node(): ShellNode {
    return this.#nodes.at(this.rank)!;
  }
  get nodes(): readonly ShellNode[] {
    return this.#nodes.all();
  }
  get verbosity(): number {
    const verbose = this.option('verbose');
    return typeof verbose === 'number' ? verbose : verbose === true ? 1 : 0;
  }
  /** The job id as people read it. */
  get jobidText(): string {
    const isAscii = !this.#host.isUtf8 || this.getEnv('FLUX_F58_FORCE_ASCII') !== undefined;
    return encodeFluid(this.jobid, isAscii ? 'f58plain' : 'f58');
  }

  // ---- its life

  /** Runs the job's part on this rank; what becomes of it is told by the events it was made with. */
  async run(): Promise<void> {
    const leave = this.hold();
    try {
      await this.#initialize();
      await this.#barrier();
      this.openLog();
      if (this.isLeader) this.#eventlogs.appendLifeEvent('shell.init');
      this.#eventlogs.hold();
      await this.#hooks.runAndWait('shell.post-init', this.#goOn);
      await this.#startTasks();
      await this.#hooks.runAndWait('shell.start', this.#goOn);
      await this.#barrier();
      this.#eventlogs.release(this.isLeader ? 'shell.start' : undefined);
    } catch (error) {
      if (!(error instanceof ShellExit)) this.fail(1, asFluxError(error).message);
    }
    leave();
    await this.#idle();
    await this.#end();
  }

  async #initialize(): Promise<void> {
    await this.#loadPlugins();
    this.#nodes.setTaskmap(
      await mapTasks(this, (scheme) => this.#hooks.find('taskmaps', (hooks) => hooks.taskmaps?.[scheme])),
    );
    warnOfTrimmed(this, this.layout);
    if (this.isLeader) {
      this.addEventContext('shell.init', {
        service: this.service,
        'leader-rank': this.layout.nodes[0]!.brokerRank,
        size: this.size,
      });
      this.addEventContext('shell.start', { taskmap: { version: 1, map: this.taskmap.toJson() } });
    }
    setJobVariables(this, this.#host.uri);
    this.#tasks = this.#makeTasks();
    if (this.isLeader) this.#awaitShells();
    this.#takesSignals = true;
    await this.#hooks.runAndWait('shell.init', this.#goOn);
    logLayout(this, this.layout);
  }

  async #loadPlugins(): Promise<void> {
    for (const plugin of this.#host.plugins) this.#hooks.load(plugin.name, plugin.load(this));
    for (const path of rcPaths(this)) {
      this.log(LogLevel.debug, `Loading ${path}`);
      for (const plugin of await this.#host.loadPlugins(path)) this.#hooks.load(plugin.name, plugin.load(this));
    }
  }

  #makeTasks(): Task[] {
    const [entry] = Array.isArray(this.jobspec.tasks) ? this.jobspec.tasks : [];
    const command = isObject(entry) ? entry.command : undefined;
    if (!Array.isArray(command) || command.length === 0) throw new FluxError('EINVAL', 'Malformed command entry');
    const argv = command.map(String);
    const processGroup = !this.option('nosetpgrp');
    return [...this.node.taskids].map(
      (rank, index) => new Task({ rank, index, argv, processGroup, jobEnv: (name) => this.getEnv(name) }),
    );
  }

  /** Waits for the shells of the other ranks. */
  async #barrier(): Promise<void> {
    this.#goOn();
    if (this.size === 1) return;
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

  async #startTasks(): Promise<void> {
    for (const task of this.#tasks) {
      this.#goOn();
      this.#currentTask = task;
      await this.#hooks.runAndWait('task.init', this.#goOn, task);
      task.spec.cwd ??= this.#cwd;
      task.spec.argv = task.spec.argv.map((word) => (word.includes('{{') ? this.render(word, { task }) : word));
      this.#hooks.run('task.exec', task);
      await this.#startTask(task);
      // The end of another one may have come meanwhile.
      this.#currentTask = task;
      this.#hooks.run('task.fork', task);
    }
    this.#currentTask = undefined;
    if (this.#tasks.length === 0) this.#finish();
  }

  async #startTask(task: Task): Promise<void> {
    // Before it is there: a signal that waits for it may end it at once.
    this.#openTasks++;
    this.#holds++;
    try {
      await task.start(
        (events) => this.#spawn(task, events),
        () => this.#taskExited(task),
        () => this.#taskClosed(task),
      );
    } catch (error) {
      this.#openTasks--;
      this.#holds--;
      const { errno, message } = asFluxError(error);
      const code = { [constants.errno.EPERM]: 126, [constants.errno.EACCES]: 126, [constants.errno.ENOENT]: 127 }[
        errno
      ];
      const why = error instanceof SpawnError && error.step === 'exec' ? strerror(errno) : message;
      this.fail(code ?? 1, `task ${task.rank} (host ${this.hostname}): start failed: ${task.spec.argv[0]}: ${why}`);
      throw new ShellExit();
    }
  }

  async #spawn(task: Task, events: TaskEvents): Promise<Process> {
    for (;;) {
      try {
        const env = this.#environment.entriesWith(task.ownEnv);
        return await this.context.spawnSoon({ ...task.spec, env }, events);
      } catch (error) {
        if (!(error instanceof SpawnError) || !this.#mend(task.spec, error)) throw error;
      }
    }
  }

  /** Changes what a task could not be started with, where something else may do. */
  #mend(spec: TaskSpec, error: SpawnError): boolean {
    if (error.step === 'cwd' && spec.cwd !== FALLBACK_CWD) {
      this.#missCwd(spec.cwd, error);
      spec.cwd = FALLBACK_CWD;
      return true;
    }
    // Jobs bring a PATH of their own, and those that are instances need the command.
    const own = error.code === 'ENOENT' && spec.argv[0] === COMMAND ? findPackageFile(`bin/${COMMAND}`) : undefined;
    if (own !== undefined) spec.argv = [own, ...spec.argv.slice(1)];
    return own !== undefined;
  }

  /** A task whose folder is not there runs in another one, and all after it. */
  #missCwd(cwd: string | undefined, error: FluxError): void {
    if (cwd !== this.#cwd) return;
    this.#cwd = FALLBACK_CWD;
    this.log(
      LogLevel.error,
      `host ${this.hostname}: Could not change dir to ${cwd}: ${strerror(error.errno)}. Going to ${FALLBACK_CWD} instead`,
    );
  }

  #taskExited(task: Task): void {
    if (this.#isOver) return;
    try {
      this.#hooks.run('task.end', task);
    } catch (error) {
      this.#bug('task.end', error);
    }
    if (this.#isEnding && !this.#tasks.some((task) => task.isRunning)) this.#onIdle?.();
  }

  #taskClosed(task: Task): void {
    if (this.#isOver) return;
    const code = exitCodeOf(task.status ?? 0);
    this.log(LogLevel.debug, `task ${task.rank} complete status=${code}`);
    this.#currentTask = task;
    try {
      this.#hooks.run('task.exit', task);
      this.#currentTask = undefined;
      if (--this.#openTasks === 0 && this.#tasks.every((each) => each.isClosed)) this.#finish();
    } catch (error) {
      this.#bug('task.exit', error);
    }
    this.#release();
  }

  #finish(): void {
    this.#hooks.run('shell.finish');
    this.tellLeader('tasks-complete', {});
  }

  #bug(where: string, error: unknown): void {
    this.fail(1, `${where}: ${asFluxError(error).message}`);
  }

  // ---- its end

  hold(): () => void {
    this.#holds++;
    let isHeld = true;
    return () => {
      if (!isHeld) return;
      isHeld = false;
      this.#release();
    };
  }

  #release(): void {
    if (--this.#holds === 0) this.#onIdle?.();
  }

  /** Whether nothing keeps it: nobody holds it, or it is to end and no task runs. */
  get #isIdle(): boolean {
    return this.#holds === 0 || (this.#isEnding && !this.#tasks.some((task) => task.isRunning));
  }

  async #idle(): Promise<void> {
    while (!this.#isIdle)
      await new Promise<void>((resolve) => {
        this.#onIdle = resolve;
      });
  }

  /** Ends the shell as soon as its tasks, which are killed, have ended. */
  #stop(): void {
    this.#isEnding = true;
    this.killAll(constants.signals.SIGKILL);
    this.leaveBarrier(false);
    if (!this.#isExiting) this.#hooks.giveUp();
    this.#onIdle?.();
  }

  readonly #goOn = (): void => {
    if (this.#isEnding) throw new ShellExit();
  };

  async #end(): Promise<void> {
    this.#isExiting = true;
    this.#eventlogs.release();
    // A plugin that came before `output` has failed, and said why.
    if (this.#takesSignals && this.#log.hasEarly) this.beginOutput();
    this.openLog();
    try {
      await this.#hooks.runAndWait('shell.exit');
    } catch (error) {
      this.#exitCode ??= 1;
      this.log(LogLevel.error, `shell.exit: ${asFluxError(error).message}`);
    }
    const codes = this.#tasks.map((task) => (task.status === undefined ? 0 : exitCodeOf(task.status)));
    const exitCode = this.#exitCode ?? Math.max(0, ...codes);
    this.log(LogLevel.debug, `exit ${exitCode}`);
    this.#isOver = true;
    this.#hooks.run('destroy');
    this.#links.unsubscribe();
    const log = await this.#eventlogs.takeRest();
    this.#events.finished({ status: this.#killSignal || exitCode << 8, log, usage: this.#usage() });
  }

  #usage(): TaskUsage | undefined {
    const usages = this.#tasks.flatMap(({ usage }) => (usage ? [usage] : []));
    if (usages.length === 0) return undefined;
    return usages.reduce((sum, each) => ({
      utime: sum.utime + each.utime,
      stime: sum.stime + each.stime,
      maxrss: sum.maxrss + each.maxrss,
    }));
  }

  /** Somebody signals the shell itself: it hands signals on to its tasks, but for the one that ends it. */
  signal(signum: number): void {
    if (signum === constants.signals.SIGKILL) {
      this.#killSignal = signum;
      this.#stop();
      this.#hooks.giveUp();
      return;
    }
    if (this.#tasks.some((task) => task.isRunning)) {
      this.log(LogLevel.debug, `forwarding signal ${signum} to tasks`);
      this.killAll(signum);
    } else if (this.#leaveBarrier || (this.#hooks.isWaiting && !this.#isEnding && !this.#isExiting)) {
      this.#killSignal = signum;
      this.#stop();
    }
  }

  killAll(signum: number): void {
    for (const task of this.#tasks) task.kill(signum);
  }

  fail(exitCode: number, message: string, component?: string): void {
    if (this.#isOver) return;
    this.log(LogLevel.fatal, message, component);
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
    const payload = {
      id: this.jobid,
      type,
      severity,
      note,
      ...(waitStatus !== undefined && { wait_status: waitStatus }),
    };
    const leave = this.hold();
    this.context
      .rpc('job-manager.raise', payload)
      .catch((error: unknown) =>
        this.context.log('err', `cannot raise an exception of ${this.jobidText}: ${asFluxError(error).message}`),
      )
      .finally(leave);
  }

  /** The leader counts the shells whose tasks have ended, and waits for them. */
  #awaitShells(): void {
    const active = new Set(this.layout.nodes.keys());
    const leave = this.hold();
    this.#shellDone = (shellRank) => {
      if (!active.delete(shellRank) || active.size > 0) return;
      this.log(LogLevel.debug, 'all shells report tasks complete', 'tasks-complete');
      this.#hooks.run('shell.tasks-complete');
      leave();
    };
    this.onTold('tasks-complete', (_, shellRank) => this.#shellDone(shellRank));
  }

  /** Another shell of the job will not be heard of any more. */
  shellLost(shellRank: number, severity: number, message: string): void {
    if (message !== '') this.log(LogLevel.warn, message);
    this.#hooks.run('shell.lost', shellRank, severity);
    this.#shellDone(shellRank);
  }

  // ---- options and environment

  option(path: string): JsonValue | undefined {
    return this.#options.get(path);
  }

  setOption(path: string, value: JsonValue | undefined): void {
    this.#options.set(path, value);
  }

  getEnv(name: string): string | undefined {
    return this.#environment.get(name);
  }

  setEnv(name: string, value: string | undefined): void {
    this.#environment.set(name, value);
  }

  environment(): Readonly<Record<string, string>> {
    return this.#environment.toRecord();
  }

  render(template: string, { task = this.#currentTask, rank = this.rank }: RenderOptions = {}): string {
    const node = this.#nodes.at(rank);
    const tag = (name: string) =>
      shellTag(this, name, task, node) ??
      this.#hooks.find('tags', (hooks) => hooks.tags?.[name])?.({ node: node ?? this.node, task });
    return renderMustache(template, tag, (position) =>
      this.log(LogLevel.error, `mustache template error at pos=${position}`),
    );
  }

  // ---- what it says

  log(level: LogLevel, message: string, component?: string): void {
    this.#log.log(level, message, component);
  }

  beginOutput(): void {
    if (this.isLeader) this.#eventlogs.beginOutput(this.taskCount);
  }

  openLog(): void {
    this.#log.open();
  }

  redirectLog(write: (entry: LogEntry) => void): void {
    this.#log.redirect(write);
  }

  addEventContext(event: LifeEvent, context: JsonObject): void {
    this.#eventlogs.addContext(event, context);
  }

  appendEvent(log: string, name: string, context?: JsonObject): void {
    this.#eventlogs.append(log, name, context);
  }

  get backlog(): number {
    return this.#eventlogs.backlog + this.#links.backlog;
  }

  tellLeader(name: string, payload: JsonObject): void {
    this.#links.tellLeader(name, payload);
  }

  onTold(name: string, take: (payload: JsonObject, shellRank: number) => void): void {
    this.#links.onTold(name, take);
  }

  #madeRoom(): void {
    for (const callback of this.#onRoom) callback();
  }

  onRoom(callback: () => void): void {
    this.#onRoom.push(callback);
  }

  setBatchTimeout(seconds: number): void {
    this.#eventlogs.setDelay(seconds);
  }

  // ---- messages

  register(method: string, answer: Omit<Method, 'allow'>): void {
    this.#host.register(this.service, method, answer);
  }

  rpc(shellRank: number, method: string, payload: JsonValue = {}): Promise<JsonValue | undefined> {
    return this.#links.rpc(shellRank, method, payload);
  }

  request(shellRank: number, method: string, payload: JsonValue = {}): Responses {
    return this.#links.request(shellRank, method, payload);
  }

  notify(shellRank: number, method: string, payload: JsonValue = {}): void {
    this.#links.notify(shellRank, method, payload);
  }

  onEvent(name: string, callback: (payload: JsonValue | undefined) => void): void {
    this.#links.onEvent(name, callback);
  }
}
