/**
 * The plugin `input`: standard input of the tasks. It comes by requests `stdin` to the leader, which notes it in the job's log
 * `input` (RFC 24) and hands it to the shells of the tasks it is for; or it is a file that each task reads for itself.
 */

import type { FileHandle } from 'node:fs/promises';
import { asFluxError, FluxError, strerror } from '../../../core/errno.ts';
import { IdSet } from '../../../core/formats/idset.ts';
import { decodeIo } from '../../../core/formats/io.ts';
import type { JsonObject, JsonValue } from '../../../core/json.ts';
import { isObject, unpack } from '../../../core/message/unpack.ts';
import { describeSize, parseSize } from '../output/size.ts';
import { LogLevel, type Shell, type ShellHooks, type ShellPlugin } from '../plugin.ts';
import type { Task } from '../task.ts';

const LIMIT = '10M';
const LIMIT_MAX = 32 * 1024 * 1024;
/** Bytes that wait for a task to read them. */
const TASK_BUFFER_BYTES = 32 * 1024 * 1024;

export const inputPlugin: ShellPlugin = {
  name: 'input',
  load: inputHooks,
};

/** The option may still change until `shell.init`, and so may what is to be done. */
function inputHooks(shell: Shell): ShellHooks {
  let file: FileInput | undefined;
  return {
    async 'shell.init'() {
      const option = shell.option('input.stdin');
      const { type = 'service', path } = isObject(option) ? unpack(option, { type: 's?', path: 's?' }) : {};
      if (type === 'file') {
        if (path === undefined) throw new FluxError('EINVAL', 'path for stdin file input not specified');
        file = new FileInput(shell, path);
        await file.check();
      } else if (type === 'service') new InputService(shell).start();
      else throw new FluxError('EINVAL', `input.stdin.type=${type} invalid`);
    },
    'task.init': (task) => file?.open(task as Task),
    'task.fork': () => void file?.close(),
    destroy: () => void file?.close(),
  };
}

function writeHeader(shell: Shell): void {
  shell.appendEvent('input', 'header', { version: 1, encoding: { stdin: 'UTF-8' }, count: { stdin: 1 }, options: {} });
}

class FileInput {
  readonly #shell: Shell;
  readonly #path: string;
  #handle: FileHandle | undefined;

  constructor(shell: Shell, path: string) {
    this.#shell = shell;
    this.#path = path;
  }

  get #fullPath(): string {
    return this.#path.startsWith('/') ? this.#path : `${this.#shell.cwd}/${this.#path}`;
  }

  async #open(): Promise<FileHandle> {
    try {
      return await this.#shell.files.open(this.#fullPath, 'r');
    } catch (error) {
      const { errno } = asFluxError(error);
      throw new FluxError(errno, `error opening input file '${this.#path}': ${strerror(errno)}`);
    }
  }

  /** One error for all tasks, before any is started. */
  async check(): Promise<void> {
    await (await this.#open()).close();
    if (!this.#shell.isLeader) return;
    writeHeader(this.#shell);
    this.#shell.appendEvent('input', 'redirect', { stream: 'stdin', rank: 'all', path: this.#path });
  }

  async open(task: Task): Promise<void> {
    this.#handle = await this.#open();
    task.spec.stdio[0] = this.#handle.fd;
  }

  /** The task has it by now. */
  async close(): Promise<void> {
    const handle = this.#handle;
    this.#handle = undefined;
    await handle?.close();
  }
}

class InputService {
  readonly #shell: Shell;
  readonly #limit: number;
  #open: IdSet;
  #bytes = 0;

  constructor(shell: Shell) {
    this.#shell = shell;
    this.#limit = readLimit(shell.option('input.limit'));
    this.#open = IdSet.range(0, shell.taskCount - 1);
  }

  start(): void {
    const shell = this.#shell;
    shell.register('input', {
      handler: (request) => {
        const { rank, io } = request.unpack({ rank: 's', io: 'o' });
        this.#write(rank === 'all' ? undefined : IdSet.parse(rank), io);
        return undefined;
      },
    });
    if (!shell.isLeader) return;
    writeHeader(shell);
    shell.register('stdin', {
      handler: (request) => {
        if (!isObject(request.payload)) throw new FluxError('EPROTO');
        this.#take(request.payload);
        return undefined;
      },
    });
  }

  /** @throws FluxError EPIPE: a task's standard input has ended */
  #take(io: JsonObject): void {
    const { rank } = unpack(io, { rank: 's' });
    const { data, eof } = decodeIo(io);
    const ids = rank === 'all' ? undefined : IdSet.parse(rank);
    if (this.#open.count === 0 || (ids && ids.difference(this.#open).count > 0)) throw new FluxError('EPIPE');
    this.#bytes += data.length;
    if (this.#bytes > this.#limit) {
      this.#open = IdSet.empty;
      this.#shell.fail(
        1,
        `stdin exceeds ${describeSize(this.#limit)} limit. Try file input (flux submit --input=FILE) or redirect input to ` +
          'your command to avoid the KVS for large amounts of input',
      );
      throw new FluxError('EPIPE');
    }
    this.#shell.appendEvent('input', 'data', io);
    if (eof) this.#open = ids ? this.#open.difference(ids) : IdSet.empty;
    this.#write(ids, io);
    if (this.#shell.size > 1) this.#handOn(rank, ids, io);
  }

  /** Tells the shells of the tasks it is for. */
  #handOn(rank: string, ids: IdSet | undefined, io: JsonObject): void {
    for (const node of this.#shell.nodes)
      if (node.id > 0 && (!ids || ids.intersects(node.taskids))) this.#shell.notify(node.id, 'input', { rank, io });
  }

  #write(ids: IdSet | undefined, io: JsonObject): void {
    const { data, eof } = decodeIo(io);
    for (const task of this.#shell.tasks as readonly Task[]) {
      if (ids && !ids.has(task.rank)) continue;
      if (data.length && !task.write(data, TASK_BUFFER_BYTES))
        this.#shell.log(LogLevel.warn, `task ${task.rank}: buffer full, closing stdin`);
      if (eof) task.write(null, TASK_BUFFER_BYTES);
    }
  }
}

function readLimit(option: JsonValue | undefined): number {
  const value = option ?? LIMIT;
  const limit = typeof value === 'string' ? parseSize(value) : typeof value === 'number' ? value : undefined;
  if (limit === undefined || !Number.isInteger(limit) || limit <= 0 || limit > LIMIT_MAX)
    throw new FluxError('EINVAL', `Invalid KVS input.limit=${String(value)}`);
  return limit;
}
