/** Attaches to a job: its output appears here, our input and signals go to it, and its exit code is ours. */

import { FluxError } from '../core/errno.ts';
import { encodeIo } from '../core/formats/io.ts';
import type { Handle } from '../core/handle/handle.ts';
import { stringifyJson } from '../core/json.ts';
import { type EventlogEntry, watchEventlog } from './eventlog.ts';
import { exceptionText, labelLines, watchOutput } from './job-output.ts';
import { exitCodeOf } from './remote-process.ts';

export interface AttachOptions {
  readonly showEvents?: boolean;
  readonly labelIo?: boolean;
  readonly unbuffered?: boolean;
  readonly debug?: boolean;
  readonly waitEvent?: string;
  readonly tail?: string;
  readonly ttyOk?: boolean;
  readonly verbose?: number;
  readonly readOnly?: boolean;
  /** The tasks that get our input; all when absent. */
  readonly stdinRanks?: string;
}

/** Follows a job to its end and resolves to its exit code. */
export async function attachJob(handle: Handle, id: bigint, options: AttachOptions): Promise<number> {
  const attachment = new Attachment(handle, id, options);
  return attachment.run();
}

class Attachment {
  readonly #handle: Handle;
  readonly #id: bigint;
  readonly #options: AttachOptions;
  #output: Promise<void> = Promise.resolve();
  #interrupts = 0;
  #start = 0;

  constructor(handle: Handle, id: bigint, options: AttachOptions) {
    this.#handle = handle;
    this.#id = id;
    this.#options = options;
  }

  async run(): Promise<number> {
    if (!this.#options.readOnly) this.#forwardSignals();
    let exitCode: number | undefined;
    for await (const entry of watchEventlog(this.#handle, this.#id, 'eventlog')) {
      const { name, context } = entry;
      this.#start ||= entry.timestamp;
      this.#show(entry);
      if (name === 'start') this.#output = this.#followShells();
      else if (name === 'exception' && context.severity === 0) {
        exitCode ??= context.type === 'cancel' ? 143 : 1;
        console.error(`0.000s: ${exceptionText(context)}`);
      } else if (name === 'finish') exitCode = exitCodeOf(Number(context.status));
    }
    await this.#output;
    if (exitCode === undefined) throw new FluxError('EIO', 'the job ended without telling how');
    return exitCode;
  }

  #show({ timestamp, name, context }: EventlogEntry): void {
    if (!this.#options.showEvents) return;
    console.error(`${(timestamp - this.#start).toFixed(3)}s: job.${name} ${stringifyJson(context)}`);
  }

  async #followShells(): Promise<void> {
    let output = Promise.resolve();
    for await (const { name, context } of watchEventlog(this.#handle, this.#id, 'guest.exec.eventlog')) {
      if (name !== 'shell.init') continue;
      output = this.#showOutput();
      if (!this.#options.readOnly) this.#forwardInput(`${context.service}.stdin`, Number(context['leader-rank']));
    }
    await output;
  }

  async #showOutput(): Promise<void> {
    for await (const { stream, data, rank } of watchOutput(this.#handle, this.#id)) {
      const isLabelled = this.#options.labelIo && rank !== undefined;
      process[stream].write(isLabelled ? labelLines(data, `${rank}: `) : data);
    }
  }

  #forwardInput(topic: string, nodeid: number): void {
    const send = (data: Buffer | null) => {
      const io = { ...encodeIo('stdin', 0, data), rank: this.#options.stdinRanks ?? 'all' };
      this.#handle.rpc(topic, io, { nodeid }).catch(() => {});
    };
    process.stdin.on('data', (data: Buffer) => send(data));
    process.stdin.on('end', () => send(null));
  }

  #forwardSignals(): void {
    process.on('SIGTERM', () => this.#kill(15));
    process.on('SIGINT', () => {
      if (this.#interrupts++ === 0) return this.#kill(2);
      this.#handle
        .rpc('job-manager.raise', { id: this.#id, type: 'cancel', severity: 0, note: 'interrupted by ctrl-C' })
        .catch(() => {});
    });
  }

  #kill(signum: number): void {
    this.#handle.rpc('job-manager.kill', { id: this.#id, signum }).catch(() => {});
  }
}
