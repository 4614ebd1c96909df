/** Programs that are functions: what the simulated machine can run, and the processes that run them. */

import type { Clock, Spawn, SpawnSoon, Timer } from '../../core/broker/service.ts';
import { errno, FluxError } from '../../core/errno.ts';
import {
  type Process,
  type ProcessEvents,
  type ProcessSpec,
  type ProcessUsage,
  SpawnError,
  type WindowSize,
} from '../../native/process.ts';

/** What a program does: it is called when it starts, and goes on in callbacks. */
export type Program = (process: SimulatedProcess) => void;

const FIRST_PID = 1000;

export class SimulatedProcess implements Process {
  readonly pid: number;
  readonly spec: ProcessSpec;
  /** Its timers do not outlive it. */
  readonly clock: Clock;
  readonly #events: ProcessEvents;
  readonly #onEnd: () => void;
  readonly #openOutputs = new Set<number>();
  readonly #closedInputs = new Set<number>();
  readonly #input = new Map<number, string>();
  readonly #timers: Timer[] = [];
  /** Bytes of input that it takes before it blocks. */
  room = Number.POSITIVE_INFINITY;
  /** What it does when it gets a signal; it dies of it unless it says otherwise. */
  onSignal: (signum: number) => void = (signum) => this.die(signum);
  onInput: (stream: number) => void = () => {};
  onInputEnd: (stream: number) => void = () => {};
  isRunning = true;
  /** What it has used when it ends. */
  usage: ProcessUsage | undefined;
  /** Of its terminal. */
  windowSize: WindowSize | undefined;
  /** Outputs that nobody reads for now. */
  readonly paused = new Set<number>();

  constructor(pid: number, spec: ProcessSpec, clock: Clock, events: ProcessEvents, onEnd: () => void) {
    this.pid = pid;
    this.spec = spec;
    this.windowSize = spec.windowSize;
    this.clock = { ...clock, after: (seconds, callback) => this.#after(clock, seconds, callback) };
    this.#events = events;
    this.#onEnd = onEnd;
    for (const [stream, stdio] of spec.stdio.entries())
      if (stdio === 'output' || stdio === 'channel' || stdio === 'terminal') this.#openOutputs.add(stream);
  }

  #after(clock: Clock, seconds: number, callback: () => void): Timer {
    const timer = clock.after(seconds, callback);
    this.#timers.push(timer);
    return timer;
  }

  // ---- as the program sees it

  get args(): readonly string[] {
    return this.spec.argv.slice(1);
  }

  variable(name: string): string | undefined {
    return this.spec.env.find((entry) => entry.startsWith(`${name}=`))?.slice(name.length + 1);
  }

  /** All that was written to one of its streams. */
  input(stream = 0): string {
    return this.#input.get(stream) ?? '';
  }

  /** Makes room for more input. */
  takeMore(bytes: number): void {
    this.room += bytes;
    for (const stream of this.#input.keys()) this.#events.drain?.(stream);
  }

  print(text: string | Uint8Array, stream = 1): void {
    if (this.#openOutputs.has(stream)) this.#events.data(stream, Buffer.from(text));
  }

  /** Ends one of its outputs. */
  endOutput(stream: number): void {
    if (this.#openOutputs.delete(stream)) this.#events.data(stream, null);
  }

  exit(code = 0): void {
    this.#end(code << 8);
  }

  die(signum: number): void {
    this.#end(signum);
  }

  /** Ends while its outputs stay open, as they do when it leaves children behind; `finish` ends those. */
  exitEarly(code: number): void {
    if (!this.isRunning) return;
    this.isRunning = false;
    this.#events.exit(code << 8);
  }

  finish(): void {
    for (const timer of this.#timers) timer.cancel();
    for (const stream of [...this.#openOutputs]) this.endOutput(stream);
    this.#onEnd();
    this.#events.close?.();
  }

  #end(status: number): void {
    if (!this.isRunning) return;
    this.isRunning = false;
    this.#events.exit(status, this.usage);
    this.finish();
  }

  // ---- as the one sees it who started it

  write(stream: number, bytes: Uint8Array, offset = 0): number {
    if (!this.isRunning || this.#closedInputs.has(stream)) return -1;
    const taken = Math.min(this.room, bytes.length - offset);
    this.room -= taken;
    this.#input.set(
      stream,
      this.input(stream) + Buffer.from(bytes.subarray(offset, offset + taken)).toString('latin1'),
    );
    if (taken) this.onInput(stream);
    return taken;
  }

  end(stream: number): void {
    if (this.#closedInputs.has(stream)) return;
    this.#closedInputs.add(stream);
    this.onInputEnd(stream);
  }

  close(stream: number): void {
    this.end(stream);
    this.#openOutputs.delete(stream);
  }

  pause(stream: number): void {
    this.paused.add(stream);
  }

  resume(stream: number): void {
    this.paused.delete(stream);
  }

  resize(_stream: number, size: WindowSize): void {
    this.windowSize = size;
  }

  kill(signal: number): void {
    if (!this.isRunning) throw new FluxError('ESRCH', `process ${this.pid} has ended`);
    if (signal < 0 || signal > 64) throw new FluxError('EINVAL', `no signal ${signal}`);
    if (signal) this.onSignal(signal);
  }
}

export class Programs {
  readonly #programs: Map<string, Program>;
  readonly #running = new Map<number, SimulatedProcess>();
  #lastPid = FIRST_PID;
  /** Seconds that a start takes which nobody waits for. */
  startSeconds = 0;
  /** Such starts under way. */
  starting = 0;

  /** `programs` by the names that command lines begin with. */
  constructor(programs: Readonly<Record<string, Program>>) {
    this.#programs = new Map(Object.entries(programs));
  }

  get running(): readonly SimulatedProcess[] {
    return [...this.#running.values()];
  }

  /** The process that runs a command line. */
  find(...argv: string[]): SimulatedProcess | undefined {
    return this.running.find(({ spec }) => argv.every((word, index) => spec.argv[index] === word));
  }

  /** What services of one rank start programs with. */
  spawn(clock: Clock): Spawn {
    return (spec, events) => {
      const program = this.#programs.get(spec.argv[0]!);
      if (!program) throw new SpawnError(errno.ENOENT, 'exec', spec);
      const pid = ++this.#lastPid;
      const process = new SimulatedProcess(pid, spec, clock, events, () => this.#running.delete(pid));
      this.#running.set(pid, process);
      // As on a real machine, nothing of it is seen before the one who started it goes on.
      clock.after(0, () => program(process));
      return process;
    };
  }

  spawnSoon(clock: Clock): SpawnSoon {
    const spawn = this.spawn(clock);
    return async (spec, events) => {
      this.starting++;
      await new Promise<void>((resolve) => clock.after(this.startSeconds, resolve));
      this.starting--;
      return spawn(spec, events);
    };
  }
}
