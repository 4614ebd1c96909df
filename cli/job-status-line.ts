/** A line on the terminal that tells what a job waits for, until it has started. */

import type { Handle } from '../core/handle/handle.ts';
import type { JsonObject } from '../core/json.ts';
import type { JobEvent } from './eventlog.ts';

/** Who looks on sees nothing of a job that starts within this. */
const PATIENCE_MS = 2000;
const TICK_MS = 1000;
/** So often it is asked whether the queue of the job has been started, in seconds. */
const QUEUE_CHECK_SECONDS = 10;

const WAITING_FOR_RESOURCES = 'waiting for resources';

const texts: Readonly<Record<string, string>> = {
  submit: 'submitted',
  validate: 'resolving dependencies',
  depend: 'waiting for priority assignment',
  priority: WAITING_FOR_RESOURCES,
  alloc: 'starting',
  start: 'started',
};

/** What a job does, by the events it has had. */
export class JobPhase {
  #prologs = 0;
  text = '';

  add(name: string): void {
    if (name === 'prolog-start') this.#prologs++;
    else if (name === 'prolog-finish') this.#prologs--;
    if (name.startsWith('prolog-')) this.text = this.#prologs > 0 ? 'waiting for prolog' : 'starting';
    else if (Object.hasOwn(texts, name)) this.text = texts[name]!;
  }
}

/** `flux-job: ƒabc waiting for resources    00:01:02`, as wide as the terminal. */
export function statusLine(jobid: string, text: string, seconds: number, columns: number): string {
  const clock = [seconds / 3600, (seconds / 60) % 60, seconds % 60];
  const time = clock.map((part) => String(Math.floor(part)).padStart(2, '0')).join(':');
  return `flux-job: ${jobid} ${text.padEnd(columns - 20 - Buffer.byteLength(jobid))} ${time}`;
}

export class StatusLine {
  readonly #handle: Handle;
  readonly #id: bigint;
  readonly #jobid: string;
  readonly #phase = new JobPhase();
  readonly #timer: NodeJS.Timeout;
  #tick: NodeJS.Timeout | undefined;
  #start = 0;
  #isShown = false;
  #isOver = false;
  #queue: string | undefined;
  #isStopped = false;
  #checked = Number.NEGATIVE_INFINITY;

  /** @param jobid what the user calls it */
  constructor(handle: Handle, id: bigint, jobid: string, atOnce: boolean) {
    this.#handle = handle;
    this.#id = id;
    this.#jobid = jobid;
    this.#timer = setTimeout(() => this.#begin(), atOnce ? 0 : PATIENCE_MS);
  }

  /** Takes the next event of the job. */
  add({ name, timestamp, context }: JobEvent): void {
    if (this.#isOver) return;
    this.#start ||= timestamp;
    if (name === 'jobspec-update') this.#queue = undefined;
    this.#phase.add(name);
    if (name === 'exception' && context.severity === 0) this.#finish('\r\x1b[K');
    else if (this.#isShown) this.#show(timestamp);
    if (name === 'start' || name === 'clean') this.#finish('\n');
  }

  /** Makes room for another line. */
  clear(): void {
    if (this.#isShown) process.stderr.write('\r\x1b[K');
  }

  /** Ends it wherever it is. */
  stop(): void {
    this.#finish('\n');
  }

  #begin(): void {
    this.#isShown = true;
    const show = () => this.#show(Date.now() / 1000);
    this.#tick = setInterval(show, TICK_MS);
    show();
  }

  #finish(end: string): void {
    if (this.#isOver) return;
    this.#isOver = true;
    clearTimeout(this.#timer);
    clearInterval(this.#tick);
    if (this.#isShown) process.stderr.write(end);
    this.#isShown = false;
  }

  #show(now: number): void {
    const { text } = this.#phase;
    if (text === '') return;
    const seconds = Math.max(0, Math.floor(now - this.#start));
    const isWaiting = text === WAITING_FOR_RESOURCES;
    if (isWaiting && seconds - this.#checked >= QUEUE_CHECK_SECONDS) {
      this.#checked = seconds;
      // Only an embellishment: an instance without these services is none the worse.
      this.#checkQueue().catch(() => {});
    }
    const note = isWaiting && this.#isStopped ? ` (${this.#queue} queue stopped)` : '';
    const columns = process.stderr.columns ?? 80;
    process.stderr.write(`\r${statusLine(this.#jobid, text + note, seconds, columns)}\r`);
  }

  async #checkQueue(): Promise<void> {
    if (this.#queue === undefined) {
      const request = { id: this.#id, attrs: ['queue'] };
      const { job } = await this.#handle.rpc<{ job: JsonObject }>('job-list.list-id', request);
      this.#queue = typeof job.queue === 'string' ? job.queue : 'default';
    }
    const request = this.#queue === 'default' ? {} : { name: this.#queue };
    const { start } = await this.#handle.rpc('job-manager.queue-status', request, { nodeid: 0 });
    this.#isStopped = start === false;
  }
}
