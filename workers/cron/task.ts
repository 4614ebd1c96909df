/** One run of a cron entry's command, by the subprocess server of a rank (RFC 42), and what became of it. */

import { constants } from 'node:os';
import type { ServiceContext, Timer } from '../../core/broker/service.ts';
import { asFluxError, FluxError } from '../../core/errno.ts';
import { decodeIo, encodeIo } from '../../core/formats/io.ts';
import { signalText } from '../../core/formats/signal.ts';
import { type Responses, untilEnd } from '../../core/handle/rpc.ts';
import { type JsonObject, real } from '../../core/json.ts';
import { Flag, type Message } from '../../core/message/message.ts';

export interface TaskSpec {
  readonly rank: number;
  /** For the shell. */
  readonly command: string;
  readonly cwd: string | undefined;
  /** Instead of the rank's environment. */
  readonly environ: JsonObject | undefined;
  /** Seconds after which it is told to end; never unless positive. */
  readonly timeout: number;
}

export interface TaskEvents {
  output(stream: string, line: string): void;
  /** It is over, or could not be run. */
  finished(): void;
}

/** The server's flags that ask for both output streams. */
const WANT_OUTPUT = 1 | 2;

export class Task {
  readonly #context: ServiceContext;
  readonly #spec: TaskSpec;
  readonly #events: TaskEvents;
  readonly #created: number;
  #responses: Responses | undefined;
  #timer: Timer | undefined;
  #started: number | undefined;
  #running: number | undefined;
  #ended: number | undefined;
  #pid = 0;
  /** As wait(2) tells it. */
  #status: number | undefined;
  #timedOut = false;
  /** It is to end as soon as it runs. */
  #isUnwanted = false;
  /** Why it could not be run. */
  #error: FluxError | undefined;

  /** One that waits to be run. */
  constructor(context: ServiceContext, spec: TaskSpec, events: TaskEvents) {
    this.#context = context;
    this.#spec = spec;
    this.#events = events;
    this.#created = context.clock.now();
  }

  run(): void {
    const { rank, command, cwd, environ = {} } = this.#spec;
    const cmd = {
      cmdline: ['sh', '-c', command],
      ...(cwd !== undefined && { cwd }),
      env: environ,
      opts: {},
      channels: [],
      msgchan: [],
    };
    this.#started = this.#context.clock.now();
    const request = { cmd, flags: WANT_OUTPUT, local_flags: 0 };
    this.#responses = this.#context.request('rexec.exec', request, { nodeid: rank, flags: Flag.streaming });
    // Nobody will ever type anything.
    const nothing = { matchtag: this.#responses.matchtag, io: encodeIo('stdin', rank, null) };
    this.#context.notify('rexec.write', nothing, { nodeid: rank });
    untilEnd(this.#responses, (response) => this.#take(response)).then(
      (end) => this.#end(end),
      (error: unknown) => this.#end(asFluxError(error)),
    );
  }

  #take(response: Message): void {
    const { type, pid, status, io } = response.unpack({ type: 's', pid: 'i?', status: 'i?', io: 'o?' });
    if (type === 'started') this.#runs(pid ?? 0);
    else if (type === 'finished') this.#status = status ?? 0;
    else if (type === 'output' && io) this.#output(io);
  }

  #runs(pid: number): void {
    this.#pid = pid;
    this.#running = this.#context.clock.now();
    if (this.#isUnwanted) this.kill();
    const { timeout } = this.#spec;
    if (timeout > 0)
      this.#timer = this.#context.clock.after(timeout, () => {
        this.#timedOut = true;
        this.kill();
      });
  }

  #output(io: JsonObject): void {
    const { stream, data } = decodeIo(io);
    if (data.length === 0) return;
    for (const line of data.toString().replace(/\n$/, '').split('\n')) this.#events.output(stream, line);
  }

  #end(end: FluxError): void {
    this.abandon();
    this.#ended = this.#context.clock.now();
    if (end.code !== 'ENODATA') this.#error = end;
    else if (this.#status === undefined) this.#error = new FluxError('EPROTO', 'it ended without an exit status');
    this.#events.finished();
  }

  /** Asks it to end, if it has not ended. */
  kill(): void {
    this.#isUnwanted = true;
    if (this.#running === undefined || this.#status !== undefined) return;
    const request = { pid: this.#pid, signum: constants.signals.SIGTERM };
    this.#context.notify('rexec.kill', request, { nodeid: this.#spec.rank });
  }

  /** Nobody wants to know more of it; what it says is dropped. */
  abandon(): void {
    this.#timer?.cancel();
    this.#responses?.abandon();
  }

  get isWaiting(): boolean {
    return this.#started === undefined;
  }

  /** What went wrong; undefined when nothing did. */
  get failure(): string | undefined {
    if (this.#error) return this.#error.message;
    const status = this.#status ?? 0;
    if (status === 0) return undefined;
    const signal = status & 0x7f;
    return signal ? signalText(signal) : `exit code ${exitCode(status)}`;
  }

  get #state(): string {
    if (this.#error) return 'Rexec Failure';
    if (this.#started === undefined) return 'Deferred';
    if (this.#status === undefined) return 'Running';
    if (this.#timedOut) return 'Timeout';
    return this.#status === 0 ? 'Exited' : 'Failed';
  }

  toJSON(): JsonObject {
    const status = this.#status ?? 0;
    return {
      // A rank of its own only once it runs there, as in Flux.
      rank: this.#running === undefined ? 0 : this.#spec.rank,
      pid: this.#pid,
      status,
      state: this.#state,
      'create-time': real(this.#created),
      ...(this.#error && { rexec_errno: this.#error.errno }),
      ...(this.#timedOut && { timedout: true }),
      ...(this.#ended !== undefined && { code: exitCode(status) }),
      ...(this.#started !== undefined && { 'start-time': real(this.#started) }),
      ...(this.#running !== undefined && { 'running-time': real(this.#running) }),
      ...(this.#ended !== undefined && { 'end-time': real(this.#ended) }),
    };
  }
}

/** 128 and the signal when one ended it. */
function exitCode(status: number): number {
  const signal = status & 0x7f;
  return signal ? 128 + signal : (status >> 8) & 0xff;
}
