/** One run of a cron entry's command, by the subprocess server of a rank (RFC 42), and what became of it. */

import { constants } from 'node:os';
import type { ServiceContext, Timer } from '../../core/broker/service.ts';
import { asFluxError, type FluxError } from '../../core/errno.ts';
import { signalText } from '../../core/formats/signal.ts';
import { exitCodeOf, signalOf } from '../../core/formats/wait-status.ts';
import { ExecFlag, execRequest, RemoteProcess } from '../../core/handle/remote-process.ts';
import { type JsonObject, real } from '../../core/json.ts';

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

export class Task {
  readonly #context: ServiceContext;
  readonly #spec: TaskSpec;
  readonly #events: TaskEvents;
  readonly #created: number;
  #process: RemoteProcess | undefined;
  #timer: Timer | undefined;
  #started: number | undefined;
  #running: number | undefined;
  #ended: number | undefined;
  #timedOut = false;
  /** It is to end as soon as it runs. */
  #isUnwanted = false;
  #isAbandoned = false;

  /** One that waits to be run. */
  constructor(context: ServiceContext, spec: TaskSpec, events: TaskEvents) {
    this.#context = context;
    this.#spec = spec;
    this.#events = events;
    this.#created = context.clock.now();
  }

  run(): void {
    const { rank, command, cwd, environ = {} } = this.#spec;
    const program = {
      cmdline: ['sh', '-c', command],
      ...(cwd !== undefined && { cwd }),
      env: environ as Readonly<Record<string, string>>,
      opts: {},
    };
    this.#started = this.#context.clock.now();
    const request = execRequest(program, ExecFlag.stdout | ExecFlag.stderr);
    const process = RemoteProcess.start(this.#context, 'rexec', rank, request, {
      output: (_, stream, data) => this.#output(stream, data),
      changed: ({ state }) => state === 'running' && this.#runs(),
      credit: () => {},
    });
    this.#process = process;
    // Nobody will ever type anything.
    process.endInput();
    void process.ended.then(() => this.#end());
  }

  #runs(): void {
    this.#running = this.#context.clock.now();
    if (this.#isUnwanted) this.kill();
    const { timeout } = this.#spec;
    if (timeout > 0)
      this.#timer = this.#context.clock.after(timeout, () => {
        this.#timedOut = true;
        this.kill();
      });
  }

  #output(stream: string, data: Buffer): void {
    for (const line of data.toString().replace(/\n$/, '').split('\n')) this.#events.output(stream, line);
  }

  #end(): void {
    this.abandon();
    this.#ended = this.#context.clock.now();
    this.#events.finished();
  }

  /** Asks it to end, if it has not ended. */
  kill(): void {
    this.#isUnwanted = true;
    const process = this.#process;
    if (process?.state !== 'running') return;
    process.kill(constants.signals.SIGTERM).catch((error: unknown) => {
      const { code, message } = asFluxError(error);
      if (code !== 'ESRCH' && !this.#isAbandoned)
        this.#context.log('err', `cannot end "${this.#spec.command}": ${message}`);
    });
  }

  /** Nobody wants to know more of it; what it says is dropped. */
  abandon(): void {
    this.#isAbandoned = true;
    this.#timer?.cancel();
    this.#process?.abandon();
  }

  get isWaiting(): boolean {
    return this.#started === undefined;
  }

  /** Why it could not be run. */
  get #error(): FluxError | undefined {
    return this.#process?.error;
  }

  /** As wait(2) tells it; undefined as long as it has not ended. */
  get #status(): number | undefined {
    return this.#process?.state === 'exited' ? this.#process.status : undefined;
  }

  /** What went wrong; undefined when nothing did. */
  get failure(): string | undefined {
    if (this.#error) return this.#error.message;
    const status = this.#status ?? 0;
    if (status === 0) return undefined;
    const signal = signalOf(status);
    return signal ? signalText(signal) : `exit code ${exitCodeOf(status)}`;
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
    const hasRun = this.#running !== undefined;
    return {
      // A rank and a process id of its own only once it runs there, as in Flux.
      rank: hasRun ? this.#spec.rank : 0,
      pid: hasRun ? this.#process!.pid : 0,
      status,
      state: this.#state,
      'create-time': real(this.#created),
      ...(this.#error && { rexec_errno: this.#error.errno }),
      ...(this.#timedOut && { timedout: true }),
      ...(this.#ended !== undefined && { code: exitCodeOf(status) }),
      ...(this.#started !== undefined && { 'start-time': real(this.#started) }),
      ...(this.#running !== undefined && { 'running-time': real(this.#running) }),
      ...(this.#ended !== undefined && { 'end-time': real(this.#ended) }),
    };
  }
}
