/**
 * One program that rexec runs: its streams, who listens to it, and what is left of it when it has ended.
 */

import { constants } from 'node:os';
import type { ServiceContext, SpawnEvents } from '../../core/broker/service.ts';
import { FluxError, strerror } from '../../core/errno.ts';
import { encodeIo } from '../../core/formats/io.ts';
import { exitCodeOf, signalOf } from '../../core/formats/wait-status.ts';
import type { Request } from '../../core/handle/methods.ts';
import { ExecFlag, LocalExecFlag } from '../../core/handle/remote-process.ts';
import type { JsonObject } from '../../core/json.ts';
import { type Process, type ProcessSpec, SpawnError, type Stdio } from '../../native/process.ts';
import { bufferBytes, type Command, isLineBuffered, programName } from './command.ts';
import { LineCutter } from './lines.ts';
import type { SlowReaders } from './slow-readers.ts';

/** Bytes of its latest output that are kept of a program that somebody may wait for. */
const RETAINED_BYTES = 8192;

const STDIN = 0;
const STDOUT = 1;
const STDERR = 2;
const FIRST_CHANNEL = 3;

export interface SubprocessOptions {
  readonly command: Command;
  readonly flags: number;
  readonly localFlags: number;
  /** Nobody listens from the start, and it lives on when its client goes. */
  readonly background: boolean;
  /** The request that started it. */
  readonly request: Request;
}

/** Bytes on their way to the program. */
interface Input {
  readonly capacity: number;
  queue: Buffer[];
  queuedBytes: number;
  ended: boolean;
}

interface Output {
  readonly cutter: LineCutter | undefined;
  ended: boolean;
}

/** Names a request: its client, and the matchtag that is unique to that client. */
export function requestKey(sender: string, matchtag: number): string {
  return `${matchtag}:${sender}`;
}

export class Subprocess {
  readonly command: Command;
  readonly background: boolean;
  /** Names the request that started it; see `requestKey`. */
  readonly requestKey: string;
  readonly #context: ServiceContext;
  readonly #slowReaders: SlowReaders;
  readonly #process: Process;
  readonly #names: readonly string[];
  readonly #inputs = new Map<string, Input>();
  readonly #outputs = new Map<string, Output>();
  readonly #onEnd: (subprocess: Subprocess) => void;
  #flags: number;
  // What is wrong with the way it was started.
  #complaint: string | undefined;
  // Who gets its output and its status: the one who started it, or who attached to it.
  #listener: Request | undefined;
  #status: number | undefined;
  #closed = false;
  #retained: { io: JsonObject; bytes: number }[] = [];
  #retainedBytes = 0;
  isWaitable: boolean;
  waiter: Request | undefined;

  /**
   * Starts the program.
   *
   * @param onEnd called once it has exited and all its output is read
   * @throws FluxError what the start failed with
   */
  constructor(
    context: ServiceContext,
    slowReaders: SlowReaders,
    options: SubprocessOptions,
    onEnd: (subprocess: Subprocess) => void,
  ) {
    const { command, flags, localFlags, background, request } = options;
    this.#context = context;
    this.#slowReaders = slowReaders;
    this.command = command;
    this.background = background;
    this.requestKey = requestKey(request.sender, request.message.matchtag);
    this.#flags = flags;
    this.#onEnd = onEnd;
    this.isWaitable = background && (flags & ExecFlag.waitable) !== 0;
    this.#names = ['stdin', 'stdout', 'stderr', ...command.channels];
    const env = { ...command.env };
    for (const [index, channel] of command.channels.entries()) env[channel] = String(FIRST_CHANNEL + index);
    this.#process = this.#start(
      {
        argv: command.cmdline,
        env: Object.entries(env).map(([name, value]) => `${name}=${value}`),
        ...(command.cwd !== undefined && { cwd: command.cwd }),
        processGroup: (localFlags & LocalExecFlag.sameGroup) === 0,
        stdio: this.#stdio((localFlags & LocalExecFlag.passThrough) !== 0),
      },
      {
        data: (stream, bytes) => this.#read(stream, bytes),
        drain: (stream) => this.#drain(stream),
        exit: (status) => this.#exited(status),
        stopped: () => this.#tell({ type: 'stopped' }),
        close: () => this.#finish(),
      },
    );
    if (!background) this.#listen(request);
    request.respond({ type: 'started', pid: this.pid });
    if (this.#complaint) this.#complain(this.#complaint);
    if (flags & ExecFlag.writeCredit) for (const [name, { capacity }] of this.#inputs) this.#credit(name, capacity);
  }

  /** A program whose folder is not there runs in /tmp, as it does with flux-core, and is told so. */
  #start(spec: ProcessSpec, events: SpawnEvents): Process {
    try {
      return this.#context.spawn(spec, events);
    } catch (error) {
      if (!(error instanceof SpawnError) || error.step !== 'cwd') throw error;
      this.#complaint = `Could not change dir to ${spec.cwd}: ${strerror(error.errno)}. Going to /tmp instead`;
      return this.#context.spawn({ ...spec, cwd: '/tmp' }, events);
    }
  }

  /** Says it where the program's errors are read, or in the log. */
  #complain(complaint: string): void {
    if (this.#outputs.has('stderr')) this.#read(STDERR, Buffer.from(`${complaint}\n`));
    else this.#context.log('err', complaint);
  }

  #listen(request: Request): void {
    this.#listener = request;
    this.#slowReaders.add(request, this);
  }

  /** Nobody gets its output any more; it is still read, so that the program can end. */
  #forgetListener(): void {
    this.#listener = undefined;
    this.#slowReaders.remove(this);
  }

  /** What each of the program's descriptors is; notes those that lead here. */
  #stdio(passThrough: boolean): Stdio[] {
    if (passThrough) return [STDIN, STDOUT, STDERR];
    const stdio: Stdio[] = this.background ? ['null'] : ['input'];
    if (!this.background) this.#addInput('stdin');
    for (const [name, flag] of [
      ['stdout', ExecFlag.stdout],
      ['stderr', ExecFlag.stderr],
    ] as const) {
      const wanted = this.background || (this.#flags & flag) !== 0;
      stdio.push(wanted ? 'output' : 'null');
      if (wanted) this.#addOutput(name);
    }
    for (const channel of this.command.channels) {
      stdio.push('channel');
      this.#addInput(channel);
      this.#addOutput(channel);
    }
    return stdio;
  }

  #addInput(name: string): void {
    this.#inputs.set(name, { capacity: bufferBytes(this.command, name), queue: [], queuedBytes: 0, ended: false });
  }

  #addOutput(name: string): void {
    this.#outputs.set(name, {
      cutter: isLineBuffered(this.command, name) ? new LineCutter() : undefined,
      ended: false,
    });
  }

  get pid(): number {
    return this.#process.pid;
  }

  /** Whether it has exited and all its output is read. */
  get isOver(): boolean {
    return this.#closed;
  }

  /** Whether its status is known; others may still hold its output open. */
  get hasExited(): boolean {
    return this.#status !== undefined;
  }

  get isAttached(): boolean {
    return this.background && this.#listener !== undefined;
  }

  describe(): JsonObject {
    return {
      pid: this.pid,
      cmd: programName(this.command),
      label: this.command.label ?? '',
      state: this.isOver ? 'Z' : 'R',
    };
  }

  // ---- output

  #isForwarded(name: string): boolean {
    const flag = name === 'stdout' ? ExecFlag.stdout : name === 'stderr' ? ExecFlag.stderr : ExecFlag.channel;
    return this.#listener !== undefined && (this.#flags & flag) !== 0;
  }

  #tell(payload: JsonObject): void {
    this.#listener?.respond(payload);
  }

  #tellOutput(name: string, data: Buffer | null): void {
    if (this.#isForwarded(name))
      this.#tell({ type: 'output', pid: this.pid, io: encodeIo(name, this.#context.rank, data) });
  }

  #read(stream: number, bytes: Buffer | null): void {
    const name = this.#names[stream]!;
    const output = this.#outputs.get(name);
    if (!output) return;
    const { cutter } = output;
    const pieces = bytes === null ? (cutter?.end() ?? []) : cutter ? cutter.push(bytes) : [bytes];
    for (const piece of pieces) {
      this.#tellOutput(name, piece);
      if (this.background) this.#note(name, piece);
    }
    if (bytes !== null) return;
    output.ended = true;
    this.#tellOutput(name, null);
  }

  /** A program in the background leaves its output in the log, and its latest to whom waits for it. */
  #note(name: string, data: Buffer): void {
    const who = this.command.label ?? this.command.cmdline[0]!.replace(/.*\//, '');
    this.#context.log(name === 'stderr' ? 'err' : 'info', `${who}[${this.pid}]: ${data.toString().replace(/\n$/, '')}`);
    if (!this.isWaitable) return;
    this.#retained.push({ io: encodeIo(name, this.#context.rank, data), bytes: data.length });
    this.#retainedBytes += data.length;
    while (this.#retainedBytes > RETAINED_BYTES && this.#retained.length > 1)
      this.#retainedBytes -= this.#retained.shift()!.bytes;
  }

  // ---- input

  /**
   * Sends bytes to a stream of the program; those to a stream that is ended or unknown are dropped.
   *
   * @throws FluxError ENOSPC: more than its buffer holds
   */
  write(name: string, data: Buffer, eof: boolean): void {
    const input = this.#inputs.get(name);
    if (!input || input.ended || this.#status !== undefined) return;
    if (input.queuedBytes + data.length > input.capacity)
      throw new FluxError(
        'ENOSPC',
        `${name} of process ${this.pid}: ${data.length} bytes exceed its buffer of ${input.capacity}`,
      );
    if (data.length) {
      input.queue.push(data);
      input.queuedBytes += data.length;
    }
    if (eof) input.ended = true;
    this.#flush(name, input);
  }

  #drain(stream: number): void {
    const name = this.#names[stream]!;
    const input = this.#inputs.get(name);
    if (input) this.#flush(name, input);
  }

  #flush(name: string, input: Input): void {
    const stream = this.#names.indexOf(name);
    let written = 0;
    while (input.queue.length) {
      const [bytes] = input.queue;
      const taken = this.#process.write(stream, bytes!);
      if (taken < 0) {
        // The program has closed its end; nobody will ever read this.
        written += input.queuedBytes;
        input.queue = [];
        break;
      }
      written += taken;
      if (taken < bytes!.length) {
        input.queue[0] = bytes!.subarray(taken);
        break;
      }
      input.queue.shift();
    }
    input.queuedBytes -= written;
    if (written && this.#flags & ExecFlag.writeCredit) this.#credit(name, written);
    if (input.ended && input.queue.length === 0) this.#process.end(stream);
  }

  #credit(name: string, bytes: number): void {
    this.#tell({ type: 'add-credit', channels: { [name]: bytes } });
  }

  // ---- signals and the end

  /** @throws FluxError EINVAL: no such signal; ESRCH: it is over */
  kill(signum: number): void {
    if (this.isOver) throw new FluxError('ESRCH', `process ${this.pid} has ended`);
    try {
      this.#process.kill(signum);
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException;
      throw new FluxError(
        code === 'ESRCH' ? 'ESRCH' : code === 'EPERM' ? 'EPERM' : 'EINVAL',
        `cannot send signal ${signum} to process ${this.pid}: ${message}`,
      );
    }
  }

  #exited(status: number): void {
    this.#status = status;
    this.#tell({ type: 'finished', status });
    if (!this.background) return;
    const signal = signalOf(status);
    const who = `${this.command.label ? `${this.command.label}: ` : ''}${this.command.cmdline[0]!.replace(/.*\//, '')}[${this.pid}]`;
    this.#context.log('info', signal ? `${who}: Killed by signal ${signal}` : `${who}: Exit ${exitCodeOf(status)}`);
  }

  #finish(): void {
    this.#closed = true;
    if (this.#listener) {
      this.#listener.endStream();
      if (this.background) this.isWaitable = false;
    }
    this.#forgetListener();
    this.#answerWaiter();
    this.#onEnd(this);
  }

  #answerWaiter(): void {
    if (!this.waiter || !this.isOver) return;
    const output = this.#retained.map(({ io }) => io);
    this.waiter.respond({ status: this.#status!, ...(output.length && { output }) });
    this.waiter = undefined;
    this.isWaitable = false;
  }

  // ---- those who come later

  /** Somebody waits for its status; it is told at once when there is one. */
  wait(request: Request): void {
    this.waiter = request;
    this.#answerWaiter();
  }

  /** Somebody listens from now on to the streams that `flags` name. */
  attach(request: Request, flags: number): void {
    this.#flags = flags;
    this.#listen(request);
    this.#tell({ type: 'attached', pid: this.pid, cmd: this.command.json });
    for (const [name, { ended }] of this.#outputs) if (ended) this.#tellOutput(name, null);
    if (!this.isOver) return;
    this.#tell({ type: 'finished', status: this.#status! });
    request.endStream();
    this.#forgetListener();
    this.isWaitable = false;
  }

  /** A client is gone: what it started ends, what it attached to goes on without it. */
  disconnect(sender: string): void {
    if (this.waiter?.sender === sender) this.waiter = undefined;
    if (this.#listener?.sender !== sender) return;
    this.#forgetListener();
    if (this.background || this.hasExited) return;
    this.kill(constants.signals.SIGKILL);
  }

  /** Ends it because something that can't be mended went wrong with it. */
  abort(error: FluxError): void {
    this.#listener?.fail(error);
    this.#forgetListener();
    if (!this.hasExited) this.kill(constants.signals.SIGKILL);
  }

  // ---- flow control of its output

  pause(): void {
    for (const [name, { ended }] of this.#outputs) if (!ended) this.#process.pause(this.#names.indexOf(name));
  }

  resume(): void {
    for (const [name, { ended }] of this.#outputs) if (!ended) this.#process.resume(this.#names.indexOf(name));
  }
}
