/**
 * The shell as its plugins see it: what it knows of the job, what they set in it, what it says, and whom it reaches. What
 * happens to it, from its start to its end, is told in `shell.ts`.
 */

import type { ServiceContext } from '../../core/broker/service.ts';
import { FluxError } from '../../core/errno.ts';
import { encodeFluid } from '../../core/formats/fluid.ts';
import { systemAttributes } from '../../core/formats/system-attributes.ts';
import type { TaskMap } from '../../core/formats/taskmap.ts';
import type { Method } from '../../core/handle/methods.ts';
import type { Responses } from '../../core/handle/rpc.ts';
import type { JsonObject, JsonValue } from '../../core/json.ts';
import { Eventlogs, type LifeEvent } from './eventlogs.ts';
import type { ShellFiles } from './files.ts';
import { Hooks } from './hooks.ts';
import { JobEnvironment } from './job-environment.ts';
import type { JobLayout } from './job-layout.ts';
import { JobNodes } from './job-nodes.ts';
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
} from './plugin.ts';
import { ShellLinks } from './shell-links.ts';
import { ShellLog } from './shell-log.ts';
import { ShellTasks } from './shell-tasks.ts';
import { shellTag } from './tags.ts';
import type { Task } from './task.ts';
import { TaskStarter } from './task-starter.ts';

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
  /** The plugins of the files that a job names; the shells of the job on one thread have the layout in common. */
  loadPlugins(shell: Shell, layout: JobLayout): AsyncIterable<ShellPlugin>;
  register(service: string, method: string, answer: Omit<Method, 'allow'>): void;
}

/** What has its part in how long a shell lives. */
export interface ShellLife extends Pick<Shell, 'hold' | 'raise' | 'fail'> {
  taskExited(): void;
}

export class PluginShell implements Shell {
  readonly jobid: bigint;
  readonly userid: number;
  readonly owner: number;
  readonly rank: number;
  readonly service: string;
  readonly namespace: string;
  readonly hostname: string;
  readonly jobspec: JsonObject;
  readonly R: JsonObject;
  readonly layout: JobLayout;
  readonly context: ServiceContext;
  readonly files: ShellFiles;
  // Its parts, for who leads its life.
  readonly hooks = new Hooks();
  readonly jobNodes: JobNodes;
  readonly shellTasks: ShellTasks;
  readonly shellLog: ShellLog;
  readonly eventlogs: Eventlogs;
  readonly links: ShellLinks;
  readonly #host: ShellHost;
  readonly #life: ShellLife;
  readonly #options: ShellOptions;
  readonly #environment: JobEnvironment;
  readonly #starter: TaskStarter;
  readonly #onRoom: (() => void)[] = [];

  /** @throws FluxError EINVAL: the job has nothing on this rank */
  constructor(start: ShellStart, host: ShellHost, life: ShellLife) {
    const { context } = host;
    const { jobid, userid, jobspec, layout } = start;
    this.#host = host;
    this.#life = life;
    this.context = context;
    this.files = host.files;
    this.jobid = jobid;
    this.userid = userid;
    this.owner = start.owner;
    this.namespace = start.namespace;
    this.jobspec = jobspec;
    this.R = start.R;
    this.layout = layout;
    this.rank = layout.nodes.findIndex(({ brokerRank }) => brokerRank === context.rank);
    if (this.rank < 0) throw new FluxError('EINVAL', `the job has nothing on rank ${context.rank}`);
    this.service = `${userid}-shell-${encodeFluid(jobid, 'f58plain')}`;
    this.hostname = layout.nodes[this.rank]!.hostname;
    this.jobNodes = new JobNodes(layout);
    this.#options = new ShellOptions(shellOptions(jobspec));
    this.#environment = new JobEnvironment(jobspec);
    const { cwd } = systemAttributes(jobspec);
    this.#starter = new TaskStarter(
      this,
      this.#environment,
      typeof cwd === 'string' ? cwd : context.attribute('rundir'),
    );
    this.shellTasks = new ShellTasks(this, this.hooks, this.#starter, () => life.taskExited());
    this.shellLog = new ShellLog(this, this.hooks);
    const madeRoom = () => this.#madeRoom();
    this.eventlogs = new Eventlogs(context, start.namespace, madeRoom);
    this.links = new ShellLinks(this, layout, madeRoom);
  }

  // ---- what it knows

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
    return this.jobNodes.taskmap;
  }
  get node(): ShellNode {
    return this.jobNodes.at(this.rank)!;
  }
  get nodes(): readonly ShellNode[] {
    return this.jobNodes.all();
  }
  get tasks(): readonly Task[] {
    return this.shellTasks.list;
  }
  get currentTask(): ShellTask | undefined {
    return this.shellTasks.current;
  }
  get cwd(): string {
    return this.#starter.cwd;
  }
  get jobidText(): string {
    const isAscii = !this.#host.isUtf8 || this.getEnv('FLUX_F58_FORCE_ASCII') !== undefined;
    return encodeFluid(this.jobid, isAscii ? 'f58plain' : 'f58');
  }
  get verbosity(): number {
    const verbose = this.option('verbose');
    return typeof verbose === 'number' ? verbose : verbose === true ? 1 : 0;
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

  render(template: string, { task = this.currentTask, rank = this.rank }: RenderOptions = {}): string {
    const node = this.jobNodes.at(rank);
    const tag = (name: string) =>
      shellTag(this, name, task, node) ??
      this.hooks.find('tags', (hooks) => hooks.tags?.[name])?.({ node: node ?? this.node, task });
    return renderMustache(template, tag, (position) =>
      this.log(LogLevel.error, `mustache template error at pos=${position}`),
    );
  }

  // ---- what it says

  log(level: LogLevel, message: string, component?: string): void {
    this.shellLog.log(level, message, component);
  }
  openLog(): void {
    this.shellLog.open();
  }
  redirectLog(write: (entry: LogEntry) => void): void {
    this.shellLog.redirect(write);
  }
  beginOutput(): void {
    if (this.isLeader) this.eventlogs.beginOutput(this.taskCount);
  }
  addEventContext(event: LifeEvent, context: JsonObject): void {
    this.eventlogs.addContext(event, context);
  }
  appendEvent(log: string, name: string, context?: JsonObject): void {
    this.eventlogs.append(log, name, context);
  }
  setBatchTimeout(seconds: number): void {
    this.eventlogs.setDelay(seconds);
  }

  get backlog(): number {
    return this.eventlogs.backlog + this.links.backlog;
  }
  onRoom(callback: () => void): void {
    this.#onRoom.push(callback);
  }
  #madeRoom(): void {
    for (const callback of this.#onRoom) callback();
  }

  // ---- its life

  raise(type: string, severity: number, note: string, waitStatus?: number): void {
    this.#life.raise(type, severity, note, waitStatus);
  }
  fail(exitCode: number, message: string, component?: string): void {
    this.#life.fail(exitCode, message, component);
  }
  hold(): () => void {
    return this.#life.hold();
  }
  killAll(signum: number): void {
    this.shellTasks.kill(signum);
  }

  // ---- the other shells

  register(method: string, answer: Omit<Method, 'allow'>): void {
    this.#host.register(this.service, method, answer);
  }
  rpc(shellRank: number, method: string, payload: JsonValue = {}): Promise<JsonValue | undefined> {
    return this.links.rpc(shellRank, method, payload);
  }
  request(shellRank: number, method: string, payload: JsonValue = {}): Responses {
    return this.links.request(shellRank, method, payload);
  }
  notify(shellRank: number, method: string, payload: JsonValue = {}): void {
    this.links.notify(shellRank, method, payload);
  }
  tellLeader(name: string, payload: JsonObject): void {
    this.links.tellLeader(name, payload);
  }
  onTold(name: string, take: (payload: JsonObject, shellRank: number) => void): void {
    this.links.onTold(name, take);
  }
  onEvent(name: string, callback: (payload: JsonValue | undefined) => void): void {
    this.links.onEvent(name, callback);
  }
}
