/**
 * What a job leaves: its namespace, from the moment it is made until its root is handed over, and in it `exec.eventlog`, with
 * what this service and the job's shells write last.
 *
 * Most jobs are over before anything was written to their namespaces. What there is to be written is handed over then, to be
 * put where it belongs together with the job's last events: so it costs no commit.
 */

import type { ServiceContext, Timer } from '../../core/broker/service.ts';
import { asFluxError, FluxError } from '../../core/errno.ts';
import { encodeEventlogEntry } from '../../core/formats/eventlog.ts';
import { encodeFluid } from '../../core/formats/fluid.ts';
import type { JsonObject } from '../../core/json.ts';
import { EventWriter, type LogText } from '../shell/event-writer.ts';
import { GuestNamespace } from './guest-namespace.ts';
import type { JobFacts } from './job-facts.ts';

const LOG = 'exec.eventlog';
/** Seconds from a job's start to the link to its namespace. */
const LINK_DELAY = 0.01;

export class JobData {
  readonly #context: ServiceContext;
  readonly #facts: JobFacts;
  readonly #namespace: GuestNamespace;
  readonly #writer: EventWriter;
  /** What is written at the end, before what the writer has then. */
  readonly #last: LogText[] = [];
  #hasBegun = false;
  #hasNamespace = false;
  /** Whether the namespace was made for this start, and is not linked yet. */
  #isFresh = false;
  #linkTimer: Timer | undefined;
  #linked: Promise<void> | undefined;

  constructor(context: ServiceContext, facts: JobFacts) {
    this.#context = context;
    this.#facts = facts;
    this.#namespace = new GuestNamespace(context, facts.id);
    this.#writer = new EventWriter(context, this.#namespace.name, () => {});
  }

  /** The name of the namespace. */
  get namespace(): string {
    return this.#namespace.name;
  }

  get hasNamespace(): boolean {
    return this.#hasNamespace;
  }

  // ---- the namespace

  /**
   * Makes the namespace of a job that starts.
   *
   * @param epoch when this service began, seconds since the epoch
   * @throws FluxError EINVAL: the job may have run; and what the KVS answers
   */
  async make(epoch: number): Promise<void> {
    // Only a job whose resources are older than this service can have been started by another one.
    if (this.#facts.starttime < epoch && (await this.#namespace.remains()) !== undefined) {
      await this.recover();
      throw new FluxError('EINVAL', 'the instance went down while the job was started: it may have run');
    }
    this.post('init');
    await this.#create();
    this.#isFresh = true;
  }

  /**
   * Takes up the namespace of a job that ran: what it wrote is there after an end in order; else it begins with nothing again.
   *
   * @throws FluxError what the KVS answers
   */
  async recover(): Promise<void> {
    this.post('reattach');
    const remains = await this.#namespace.remains();
    try {
      await this.#create(typeof remains === 'object' ? remains.rootref : undefined);
    } catch (error) {
      // This service alone was away.
      if (asFluxError(error).code !== 'EEXIST') throw error;
      this.#hasNamespace = true;
    }
  }

  async #create(rootref?: string): Promise<void> {
    await this.#namespace.create(this.#facts.userid, rootref);
    this.#hasNamespace = true;
  }

  /** Links it a moment later: a job that ends at once needs no link, which is a commit less. */
  linkSoon(onError: (error: unknown) => void): void {
    this.#linkTimer = this.#context.clock.after(LINK_DELAY, () => {
      this.#isFresh = false;
      this.#linked = this.#namespace.link().catch(onError);
    });
  }

  /** The job is over: there is no link any more unless one is under way. */
  stopLinking(): void {
    this.#linkTimer?.cancel();
  }

  // ---- its log

  /** Appends an event to `exec.eventlog`. */
  post(name: string, context?: JsonObject): void {
    this.#writer.append(LOG, { timestamp: this.#context.clock.now(), name, ...(context && { context }) });
  }

  /** What was appended so far comes before what shells have left; called again it changes nothing. */
  endBeginning(): void {
    if (this.#hasBegun) return;
    this.#hasBegun = true;
    this.#last.push(...this.#writer.take());
  }

  /** Keeps what shells have left to be written with the last events. */
  keep(texts: readonly LogText[]): void {
    this.#last.push(...texts);
  }

  // ---- its end

  /**
   * What the job manager gets to be put into the primary namespace: the blobref of the root (`guest`), or texts by their keys
   * (`guest_log`); nothing when there is none, or it can't be written.
   *
   * @param lastEvent of `exec.eventlog`
   */
  async handOver(lastEvent: string): Promise<JsonObject> {
    await this.#linked;
    const isUntouched = this.#isFresh && (await this.#namespace.isUntouched().catch(() => false));
    if (!isUntouched) return { guest: await this.finish(lastEvent) };
    const texts: Record<string, string> = {};
    for (const { key, text } of await this.#takeRest(lastEvent)) texts[key] = (texts[key] ?? '') + text;
    return { guest_log: texts };
  }

  /**
   * Writes what is left.
   *
   * @param lastEvent of `exec.eventlog`; none when absent
   * @returns the blobref of the root then; undefined when there is none, or it can't be written
   */
  async finish(lastEvent?: string): Promise<string | undefined> {
    await this.#linked;
    if (!this.#hasNamespace) return undefined;
    try {
      return await this.#namespace.finish(await this.#takeRest(lastEvent));
    } catch (error) {
      this.#context.log('err', `${encodeFluid(this.#facts.id)}: the job's data is lost: ${asFluxError(error).message}`);
      return undefined;
    }
  }

  async #takeRest(lastEvent?: string): Promise<LogText[]> {
    // What shells have left comes before what is noted about their end.
    const own = await this.#writer.takeRest();
    const last = lastEvent === undefined ? [] : [{ key: LOG, text: this.#encode(lastEvent) }];
    return [...this.#last, ...own, ...last];
  }

  /** Puts a copy of what it was at some time where it is found when the instance is back. */
  copy(rootref: string): Promise<void> {
    return this.#namespace.copy(rootref);
  }

  #encode(name: string): string {
    return encodeEventlogEntry({ timestamp: this.#context.clock.now(), name });
  }
}
