/**
 * What the shell of a job is to its plugins, those that come with it and those that an initrc names.
 *
 * A shell is the part of a job on one of its ranks. It turns the jobspec and R into tasks, starts them, and ends when they
 * have ended and nobody holds it any more. Its plugins are asked at the moments that `ShellHooks` lists, in the order in
 * which they were loaded. A hook that throws ends the job with an exception; one that returns a promise is waited for,
 * where the table says so.
 */

import type { ServiceContext } from '../../core/broker/service.ts';
import type { IdSet } from '../../core/formats/idset.ts';
import type { TaskMap } from '../../core/formats/taskmap.ts';
import type { Method } from '../../core/handle/methods.ts';
import type { Responses } from '../../core/handle/rpc.ts';
import type { JsonObject, JsonValue } from '../../core/json.ts';
import type { Process, ProcessSpec, Stdio } from '../../native/process.ts';
import type { ShellFiles } from './files.ts';

/** Severities of what a shell logs, as numbers in its events (RFC 24, Log Event). */
export const LogLevel = { fatal: 0, error: 3, warn: 4, notice: 5, debug: 6, trace: 7 } as const;
export type LogLevel = (typeof LogLevel)[keyof typeof LogLevel];

export interface LogEntry {
  readonly level: LogLevel;
  readonly message: string;
  /** The plugin that says it. */
  readonly component?: string | undefined;
  /** Rank of the shell that says it. */
  readonly rank: number;
}

/** What a job has on one of its ranks. */
export interface ShellNode {
  /** Rank of the shell there. */
  readonly id: number;
  readonly hostname: string;
  readonly brokerRank: number;
  readonly taskids: IdSet;
  readonly cores: IdSet;
  readonly gpus: IdSet;
}

/** How a task will be started; what a plugin changes here before `task.fork` counts. */
export type TaskSpec = {
  -readonly [K in keyof Omit<ProcessSpec, 'env' | 'argv' | 'stdio'>]: ProcessSpec[K];
} & {
  argv: string[];
  /** By the task's descriptor: standard input, output and error, and what plugins have added. */
  stdio: Stdio[];
};

export interface ShellTask {
  /** Within the job. */
  readonly rank: number;
  /** Within this shell. */
  readonly index: number;
  readonly spec: TaskSpec;
  /** Its process; undefined until `task.fork`. */
  readonly process: Process | undefined;
  /** Its wait status; undefined until it has exited. */
  readonly status: number | undefined;
  /** Whether it is there, or being started. */
  readonly isRunning: boolean;
  /** A variable of this task, which may be one of the job. */
  getEnv(name: string): string | undefined;
  /** Sets a variable of this task alone; undefined takes it away. */
  setEnv(name: string, value: string | undefined): void;
  /** Adds a socket pair; what the task sends over it goes to `onData`, null at its end. Returns the task's descriptor. */
  addChannel(onData: (bytes: Buffer | null) => void): number;
  /** Takes what the task writes to a descriptor; null stands for its end. It then does not become output of the job. */
  takeOutput(descriptor: number, onData: (bytes: Buffer | null) => void): void;
  /** Takes bytes as if the task had written them to its standard output (1) or error (2); null ends the stream. */
  output(descriptor: 1 | 2, bytes: Buffer | null): void;
  /**
   * Has somebody else write the task's standard input: `onData` is called with what comes for it, null at its end, and
   * `onRoom` when the process takes more, after a write that it did not take the whole of.
   */
  takeInput(onData: (bytes: Buffer | null) => void, onRoom?: () => void): void;
  /** Sends a signal to the task's process group; does nothing when it does not run. */
  kill(signum: number): void;
  /** What events and other shells are told of it. */
  describe(): JsonObject;
}

/** Says what a tag of a template stands for; undefined when it does not know. */
export type MustacheTag = (context: {
  readonly node: ShellNode;
  readonly task: ShellTask | undefined;
}) => string | undefined;

/**
 * Maps the tasks of a job to its nodes.
 *
 * @param value what stands behind the scheme's name and its colon
 * @param map the map that there is: blocks of tasks
 * @throws FluxError EINVAL: not such a value
 */
export type TaskMapScheme = (value: string, map: TaskMap) => TaskMap | Promise<TaskMap>;

type Maybe = void | Promise<void>;

/** The moments of a shell's life, in their order. */
export interface ShellHooks {
  /** Names of schemes of `-o taskmap=SCHEME[:VALUE]`, and what they do. */
  readonly taskmaps?: Readonly<Record<string, TaskMapScheme>>;
  /** Tags of templates, without braces, and what they stand for. */
  readonly tags?: Readonly<Record<string, MustacheTag>>;
  /** There are a task map and tasks; waited for. */
  readonly 'shell.init'?: () => Maybe;
  /** The shells of all ranks have come so far; waited for. */
  readonly 'shell.post-init'?: () => Maybe;
  /** A task is going to be started; waited for. */
  readonly 'task.init'?: (task: ShellTask) => Maybe;
  /** The last before a task is started: templates in its command are rendered. */
  readonly 'task.exec'?: (task: ShellTask) => void;
  /** A task has a process. */
  readonly 'task.fork'?: (task: ShellTask) => void;
  /** All tasks of this shell have processes; waited for. */
  readonly 'shell.start'?: () => Maybe;
  /** A task has ended; output of it may still come. */
  readonly 'task.end'?: (task: ShellTask) => void;
  /** A task has ended and so has its output. */
  readonly 'task.exit'?: (task: ShellTask) => void;
  /** The last task of this shell has ended. */
  readonly 'shell.finish'?: () => void;
  /** On the leader: the tasks of all shells have ended. */
  readonly 'shell.tasks-complete'?: () => void;
  /** On the leader: another shell is lost. */
  readonly 'shell.lost'?: (shellRank: number, severity: number) => void;
  /** Nobody holds the shell any more; waited for. */
  readonly 'shell.exit'?: () => Maybe;
  /** The shell is over, whatever became of it: give back what is held. Not called before `load` has returned. */
  readonly destroy?: () => void;
  /** Something is logged. */
  readonly 'shell.log'?: (entry: LogEntry) => void;
}

export interface ShellPlugin {
  /** A later plugin of the same name takes the place of this one. */
  readonly name: string;
  /**
   * Begins with a job: R and jobspec are known, there is no task map yet. Options may still be changed.
   *
   * @param conf what `plugin.load` of a file in Lua gives it
   * @returns nothing when the job does not concern it
   * @throws FluxError an option is wrong; the job ends with an exception
   */
  load(shell: Shell, conf?: JsonObject): ShellHooks | undefined;
}

export interface RenderOptions {
  readonly task?: ShellTask | undefined;
  /** The rank of the shell that tags of nodes are about; this one when absent. */
  readonly rank?: number | undefined;
}

export interface Shell {
  readonly jobid: bigint;
  /** Who the job belongs to. */
  readonly userid: number;
  /** Rank of this shell within the job; the shell of rank 0 is the leader. */
  readonly rank: number;
  /** Shells of the job. */
  readonly size: number;
  readonly isLeader: boolean;
  /** Tasks of the job. */
  readonly taskCount: number;
  /** `<userid>-shell-<jobid>`: what requests to shells of the job begin with. */
  readonly service: string;
  readonly namespace: string;
  readonly hostname: string;
  readonly jobspec: JsonObject;
  readonly R: JsonObject;
  /** All ranks of the job, by their shells. */
  readonly nodes: readonly ShellNode[];
  /** This rank. */
  readonly node: ShellNode;
  readonly coresPerSlot: number;
  readonly gpusPerSlot: number;
  /** Which tasks run where; from `shell.init` on. */
  readonly taskmap: TaskMap;
  /** The tasks of this shell, by their ranks; from `shell.init` on. */
  readonly tasks: readonly ShellTask[];
  /** The task that a hook is called for. */
  readonly currentTask: ShellTask | undefined;
  /** Working directory of the tasks. */
  readonly cwd: string;
  /** The job id as people read it. */
  readonly jobidText: string;
  /** Userid of the instance owner. */
  readonly owner: number;
  /** 0 to 2, by `-o verbose`. */
  readonly verbosity: number;
  /** Messages, the clock and random numbers; requests go out as the instance owner. */
  readonly context: ServiceContext;
  readonly files: ShellFiles;

  // ---- options and environment

  /** A shell option (RFC 14, attributes.system.shell.options), inner ones with dots; undefined when it is not given. */
  option(path: string): JsonValue | undefined;
  setOption(path: string, value: JsonValue | undefined): void;
  /** Variables of all tasks of this shell. */
  getEnv(name: string): string | undefined;
  setEnv(name: string, value: string | undefined): void;
  environment(): Readonly<Record<string, string>>;
  /** A text with its `{{tags}}` replaced; unknown ones stay, with a warning. */
  render(template: string, options?: RenderOptions): string;

  // ---- what it says

  log(level: LogLevel, message: string, component?: string): void;
  /** Appends the header of `output`, when this is the leader and it is not there yet. */
  beginOutput(): void;
  /** What is logged is written from now on, and what was before; it waits for the header of `output`. */
  openLog(): void;
  /** Has somebody else write what is logged, in place of events of `output`. */
  redirectLog(write: (entry: LogEntry) => void): void;
  /** Adds members to the context of `shell.init` or `shell.start`, on the leader; the event must still be to come. */
  addEventContext(event: 'shell.init' | 'shell.start', context: JsonObject): void;
  /** Appends an event to a log of the job's namespace: `exec.eventlog`, `output`, `input`. */
  appendEvent(log: string, name: string, context?: JsonObject): void;
  /**
   * Tells the leader something that its plugins take by `onTold`: in order, several things together, and each shell ends only
   * when all is taken.
   */
  tellLeader(name: string, payload: JsonObject): void;
  /** On the leader: takes what shells tell it by `tellLeader`, itself among them. */
  onTold(name: string, take: (payload: JsonObject, shellRank: number) => void): void;
  /** Bytes of events, and of what the leader is told, that nobody has taken yet. */
  readonly backlog: number;
  /** Calls back whenever some of the backlog was taken. */
  onRoom(callback: () => void): void;
  /** Sets for how many seconds events wait for others to be appended with. */
  setBatchTimeout(seconds: number): void;
  /** Raises an exception of the job; of severity 0 it ends it. */
  raise(type: string, severity: number, note: string, waitStatus?: number): void;
  /** Ends the job: logs why, kills the tasks, and raises an exception; the shell's exit code is at least `exitCode`. */
  fail(exitCode: number, message: string, component?: string): void;

  // ---- what it waits for

  /** Keeps the shell from ending until the function returned is called. */
  hold(): () => void;
  killAll(signum: number): void;

  // ---- messages

  /** Answers requests `<service>.<method>` of the job's user and the instance owner; `allow` of the method is not looked at. */
  register(method: string, answer: Omit<Method, 'allow'>): void;
  /** Asks a shell of the job. */
  rpc(shellRank: number, method: string, payload?: JsonValue): Promise<JsonValue | undefined>;
  /** Asks a shell of the job for a stream of answers. */
  request(shellRank: number, method: string, payload?: JsonValue): Responses;
  /** Tells a shell of the job something. */
  notify(shellRank: number, method: string, payload?: JsonValue): void;
  /** Calls back for events `shell-<jobid>.<name>`, `kill` excepted, until the shell ends. */
  onEvent(name: string, callback: (payload: JsonValue | undefined) => void): void;
}
