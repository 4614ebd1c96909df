/** The programs of one `flux exec`: what they print, how they end, and the signals that they are sent. */

import os from 'node:os';
import type { FluxError } from '../core/errno.ts';
import { IdSet } from '../core/formats/idset.ts';
import { signalText } from '../core/formats/signal.ts';
import { exitCodeOf, signalOf } from '../core/formats/wait-status.ts';
import type { ProcessEvents, RemoteProcess } from '../core/handle/remote-process.ts';
import { Exit } from './command.ts';
import type { InputForwarder } from './exec-input.ts';

/** Another interrupt within this time after the second ends the command, whatever its programs do. */
const INTERRUPT_SECONDS = 1;
const NEWLINE = 10;

const brackets = { brackets: true } as const;

export interface GroupOptions {
  /** Whose errors they are; `flux-exec` by default. */
  readonly command?: string;
  /** Print the rank before each line. */
  readonly labelIo?: boolean;
  /** Say nothing of how the programs ended. */
  readonly quiet?: boolean;
  readonly verbose?: boolean;
  /** An interrupt leaves the programs alone and only ends this command; the text says what to do instead. */
  readonly detachHint?: string;
}

export class ExecGroup implements ProcessEvents {
  exitCode = 0;
  readonly #title: string;
  readonly #options: GroupOptions;
  readonly #processes: RemoteProcess[] = [];
  readonly #exits = new Map<string, { readonly code: number; readonly ranks: number[] }>();
  readonly #began = performance.now();
  #input: InputForwarder | undefined;
  #failures = new Map<string, number[]>();
  #interrupts = 0;
  #lastInterrupt = 0;
  #giveUp: (exit: Exit) => void = () => {};

  /** `title` is what messages call the program. */
  constructor(title: string, options: GroupOptions) {
    this.#title = title;
    this.#options = options;
  }

  get processes(): readonly RemoteProcess[] {
    return this.#processes;
  }

  /**
   * Starts the programs, and resolves once all have ended.
   *
   * @param start starts that of one rank
   * @param makeInput where their stdin comes from, when this command reads it
   * @throws Exit the user would not wait
   */
  async run(
    ranks: IdSet,
    start: (rank: number) => RemoteProcess,
    makeInput: ((processes: readonly RemoteProcess[]) => InputForwarder) | undefined,
  ): Promise<void> {
    const givenUp = new Promise<never>((_, reject) => {
      this.#giveUp = reject;
    });
    for (const name of ['SIGINT', 'SIGTERM'] as const) process.on(name, () => this.#signal(os.constants.signals[name]));
    this.#note(`Starting ${this.#title} on ${ranks.encode(brackets)}`);
    for (const rank of ranks) this.#processes.push(start(rank));
    this.#note('Sent all requests');
    this.#input = makeInput?.(this.#processes);
    try {
      await Promise.race([Promise.all(this.#processes.map(({ ended }) => ended)), givenUp]);
    } finally {
      this.#input?.stop();
    }
    this.#reportFailures();
    this.#note(`${this.#processes.length} tasks complete with code ${this.exitCode}`);
    if (!this.#options.quiet) this.#reportExits();
  }

  #note(text: string): void {
    if (this.#options.verbose) console.error(`${(performance.now() - this.#began).toFixed(3)}ms: ${text}`);
  }

  // ---- what programs do

  output(process_: RemoteProcess, stream: string, data: Buffer): void {
    const target = stream === 'stderr' ? process.stderr : process.stdout;
    target.write(this.#options.labelIo ? labelLines(`${process_.rank}: `, data) : data);
  }

  changed(process: RemoteProcess): void {
    if (process.state === 'exited') this.#exited(process);
    else if (process.state === 'failed') this.#failed(process);
    this.#input?.advance();
  }

  credit(): void {
    this.#input?.advance();
  }

  #exited({ rank, status }: RemoteProcess): void {
    const code = exitCodeOf(status);
    this.exitCode = Math.max(this.exitCode, code);
    if (code === 0) return;
    const signal = signalOf(status);
    const text = signal ? signalText(signal) : `Exit ${code}`;
    const exit = this.#exits.get(text);
    if (exit) exit.ranks.push(rank);
    else this.#exits.set(text, { code, ranks: [rank] });
  }

  #failed({ rank, error }: RemoteProcess): void {
    this.exitCode = Math.max(this.exitCode, failureCode(error!));
    if (this.#failures.size === 0) setImmediate(() => this.#reportFailures());
    const ranks = this.#failures.get(error!.message);
    if (ranks) ranks.push(rank);
    else this.#failures.set(error!.message, [rank]);
  }

  /** Ranks that failed alike at the same time share a line. */
  #reportFailures(): void {
    const failures = this.#failures;
    this.#failures = new Map();
    const { command = 'flux-exec' } = this.#options;
    for (const [message, ranks] of failures)
      console.error(`${command}: Error: rank ${IdSet.from(ranks).encode(brackets)}: ${this.#title}: ${message}`);
  }

  #reportExits(): void {
    const exits = [...this.#exits].sort(([, a], [, b]) => a.code - b.code);
    for (const [text, { ranks }] of exits) console.error(`${IdSet.from(ranks).encode(brackets)}: ${text}`);
  }

  // ---- signals

  #signal(signum: number): void {
    const isInterrupt = signum === os.constants.signals.SIGINT;
    const { detachHint, verbose } = this.#options;
    if (isInterrupt && detachHint !== undefined) {
      console.error(detachHint);
      this.#giveUp(new Exit(0));
      return;
    }
    const running = this.#processes.filter(({ state }) => state === 'running');
    if (isInterrupt && this.#interrupts >= 2 && performance.now() - this.#lastInterrupt < INTERRUPT_SECONDS * 1000) {
      const hanging = this.#processes.filter(({ state }) => state === 'running' || state === 'starting');
      const ranks = IdSet.from(hanging.map(({ rank }) => rank));
      console.error(`${ranks.encode(brackets)}: command still running at exit`);
      this.#giveUp(new Exit(1));
      return;
    }
    if (verbose) console.error(`sending signal ${signum} to ${running.length} running processes`);
    for (const each of running) this.#kill(each, signum);
    if (!isInterrupt) return;
    if (this.#interrupts++) console.error(`interrupt once more within ${INTERRUPT_SECONDS} s to leave them alone`);
    this.#lastInterrupt = performance.now();
  }

  #kill(process: RemoteProcess, signum: number): void {
    process.kill(signum).catch((error: FluxError) => {
      if (this.#options.verbose) console.error(`failed to signal rank ${process.rank}: ${error.message}`);
    });
  }
}

/** What shells say of programs that can't be run, and EX_NOHOST for a rank that can't be reached. */
function failureCode(error: FluxError): number {
  switch (error.code) {
    case 'EPERM':
    case 'EACCES':
      return 126;
    case 'ENOENT':
      return 127;
    case 'EHOSTUNREACH':
      return 68;
    default:
      return 1;
  }
}

/** Puts a label before each line. */
function labelLines(label: string, data: Buffer): Buffer {
  const prefix = Buffer.from(label);
  const pieces: Buffer[] = [];
  for (let start = 0; start < data.length; ) {
    const newline = data.indexOf(NEWLINE, start);
    const end = newline < 0 ? data.length : newline + 1;
    pieces.push(prefix, data.subarray(start, end));
    start = end;
  }
  return Buffer.concat(pieces);
}
