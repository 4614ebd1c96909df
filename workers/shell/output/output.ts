/**
 * The plugin `output`: standard output and error of the tasks become events of the job's log `output` (RFC 24), written by
 * the leader, or go to files. Whoever writes faster than that is taken is not read for a while, and waits as on a pipe.
 */

import { IdSet } from '../../../core/formats/idset.ts';
import { encodeIo } from '../../../core/formats/io.ts';
import type { JsonObject } from '../../../core/json.ts';
import { LineCutter } from '../../rexec/lines.ts';
import { type LogEntry, LogLevel, type Shell, type ShellHooks, type ShellPlugin } from '../plugin.ts';
import type { Task } from '../task.ts';
import { type OutputFile, OutputFiles } from './output-file.ts';
import { type OutputSettings, readOutputSettings, type StreamSettings } from './settings.ts';
import { describeSize } from './size.ts';

/** Bytes that wait to be written from which on the tasks are not read, and those from which on they are again. */
const BACKLOG_MAX = 8 * 1024 * 1024;
const BACKLOG_LOW = 2 * 1024 * 1024;
/** Bytes in the KVS that are worth a word. */
const HIGH_VOLUME = 100 * 1024 * 1024;

type StreamName = 'stdout' | 'stderr';
const streamNames: readonly StreamName[] = ['stdout', 'stderr'];

export const outputPlugin: ShellPlugin = {
  name: 'output',
  load: (shell) => new Output(shell).hooks,
};

class Output {
  readonly #shell: Shell;
  #settings: OutputSettings | undefined;
  #files: OutputFiles | undefined;
  /** On the leader: where output of all ranks goes that do not write files of their own. */
  readonly #shared: { [K in StreamName]?: OutputFile } = {};
  readonly #bytes: { [K in StreamName]: number } = { stdout: 0, stderr: 0 };
  #isPaused = false;

  constructor(shell: Shell) {
    this.#shell = shell;
    shell.onRoom(() => this.#regulate());
  }

  readonly hooks: ShellHooks = {
    'shell.init': () => this.#init(),
    'shell.exit': () => this.#exit(),
  };

  async #init(): Promise<void> {
    const shell = this.#shell;
    const settings = readOutputSettings(shell);
    this.#settings = settings;
    if (shell.isLeader) {
      this.#writeHeader(settings);
      shell.onTold('output', ({ stream, rank, data }) => {
        if (typeof data === 'object') this.#put(stream as StreamName, String(rank), data as JsonObject);
      });
    }
    this.#files = new OutputFiles(shell, settings.appends, () => this.#regulate());
    for (const task of shell.tasks as readonly Task[]) {
      const [stdout, stderr] = [
        await this.#writer('stdout', settings.stdout, task),
        await this.#writer('stderr', settings.stderr, task),
      ];
      task.setOutputs(stdout, stderr);
    }
    const log = this.#shared.stderr ?? (settings.stderr.isPerRank ? await this.#ownFile(settings.stderr) : undefined);
    if (log) shell.redirectLog((entry) => log.writeLine(formatLog(entry)));
    if (shell.isLeader) shell.openLog();
  }

  #writeHeader({ stdout, stderr }: OutputSettings): void {
    const shell = this.#shell;
    shell.beginOutput();
    const rank = IdSet.range(0, shell.taskCount - 1).encode({ brackets: true });
    for (const [stream, { path }] of [
      ['stdout', stdout],
      ['stderr', stderr],
    ] as const) {
      // Tags of nodes and tasks stay: there is one event for all of them.
      if (path !== undefined)
        shell.appendEvent('output', 'redirect', { stream, rank, path: shell.render(path, { rank: shell.size }) });
    }
  }

  /** What takes a stream of a task. */
  async #writer(name: StreamName, settings: StreamSettings, task: Task): Promise<(bytes: Buffer | null) => void> {
    const write = await this.#target(name, settings, task);
    const cutter = settings.isLineBuffered ? new LineCutter() : undefined;
    return (bytes) => {
      const pieces = bytes === null ? (cutter?.end() ?? []) : cutter ? cutter.push(bytes) : [bytes];
      for (const piece of pieces) write(piece);
      if (bytes === null) write(null);
      this.#regulate();
    };
  }

  async #target(name: StreamName, settings: StreamSettings, task: Task): Promise<(piece: Buffer | null) => void> {
    const rank = String(task.rank);
    if (settings.path !== undefined && (this.#shell.isLeader || settings.isPerRank)) {
      const path = this.#shell.render(settings.path, { task });
      const file = await this.#files!.open(path, settings.hasLabels);
      if (this.#shell.isLeader) this.#shared[name] ??= file;
      return (piece) => {
        if (piece !== null) file.write(rank, piece);
      };
    }
    if (this.#shell.isLeader) return (piece) => this.#toKvs(name, encodeIo(name, task.rank, piece), piece?.length ?? 0);
    return (piece) => this.#shell.tellLeader('output', { stream: name, rank, data: encodeIo(name, task.rank, piece) });
  }

  async #ownFile({ path, hasLabels }: StreamSettings): Promise<OutputFile | undefined> {
    const [task] = this.#shell.tasks;
    return task && this.#files!.open(this.#shell.render(path!, { task }), hasLabels);
  }

  /** Takes what another shell read. */
  #put(stream: StreamName, rank: string, io: JsonObject): void {
    const file = this.#shared[stream];
    const { data, encoding } = io;
    const bytes =
      typeof data === 'string' ? Buffer.from(data, encoding === 'base64' ? 'base64' : 'utf8') : Buffer.alloc(0);
    if (file) file.write(rank, bytes);
    else this.#toKvs(stream, io, bytes.length);
  }

  #toKvs(stream: StreamName, io: JsonObject, length: number): void {
    const { limit, limitText } = this.#settings!;
    const before = this.#bytes[stream];
    this.#bytes[stream] += length;
    if (this.#bytes[stream] > limit && length > 0) {
      if (before <= limit)
        this.#shell.log(LogLevel.warn, `${stream} will be truncated, ${limitText} limit exceeded`, 'output.kvs');
      return;
    }
    this.#shell.appendEvent('output', 'data', io);
  }

  #regulate(): void {
    const backlog = this.#shell.backlog + (this.#files?.backlog ?? 0);
    if (this.#isPaused ? backlog > BACKLOG_LOW : backlog < BACKLOG_MAX) return;
    this.#isPaused = !this.#isPaused;
    for (const task of this.#shell.tasks as readonly Task[]) task.setPaused(this.#isPaused);
  }

  async #exit(): Promise<void> {
    if (this.#shell.isLeader && this.#settings) this.#warnOfVolume(this.#settings.limit);
    await this.#files?.close();
  }

  #warnOfVolume(limit: number): void {
    for (const stream of streamNames) {
      const bytes = this.#bytes[stream];
      const warn = (text: string) => this.#shell.log(LogLevel.warn, text, 'output.kvs');
      if (bytes > limit) warn(`${stream}: ${bytes - limit} of ${bytes} bytes truncated`);
      else if (bytes > HIGH_VOLUME)
        warn(
          `high ${stream} volume (${describeSize(bytes)}), consider redirecting to a file next time (e.g. use --output=FILE)`,
        );
    }
  }
}

const levelNames: Readonly<Record<number, string>> = {
  [LogLevel.fatal]: 'FATAL',
  [LogLevel.error]: 'ERROR',
  [LogLevel.warn]: ' WARN',
  [LogLevel.debug]: 'DEBUG',
  [LogLevel.trace]: 'TRACE',
};

/** A log entry as a line of a file. */
function formatLog({ rank, level, component, message }: LogEntry): string {
  const parts = [`flux-shell[${rank}]`, levelNames[level], component, message];
  return parts.filter((part) => part !== undefined).join(': ');
}
