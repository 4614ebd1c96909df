/**
 * What a shell appends to the event logs of its job's namespace: gathered for a moment and committed together, one commit
 * at a time, so that a short job costs one commit and a chatty one is held to what the KVS takes.
 */

import type { ServiceContext, Timer } from '../../core/broker/service.ts';
import { asFluxError } from '../../core/errno.ts';
import { type EventlogEntry, encodeEventlogEntry } from '../../core/formats/eventlog.ts';
import { Kvs } from '../../core/handle/kvs.ts';
import { KvsTransaction } from '../../core/handle/kvs-transaction.ts';

/** Seconds that events wait for others to come along. */
const DELAY = 0.01;
/** Bytes that do not wait. */
const BATCH_BYTES = 1024 * 1024;

/** Text to be appended to a key. */
export interface LogText {
  readonly key: string;
  readonly text: string;
}

export class EventWriter {
  readonly #context: ServiceContext;
  readonly #kvs: Kvs;
  readonly #onTaken: () => void;
  #texts = new Map<string, string[]>();
  #gatheredBytes = 0;
  #committedBytes = 0;
  #timer: Timer | undefined;
  #commit: Promise<void> | undefined;
  #delay = DELAY;

  /** @param onTaken called after each commit */
  constructor(context: ServiceContext, namespace: string, onTaken: () => void) {
    this.#context = context;
    this.#kvs = new Kvs(context, namespace);
    this.#onTaken = onTaken;
  }

  /** Characters appended that the KVS has not taken yet. */
  get backlog(): number {
    return this.#gatheredBytes + this.#committedBytes;
  }

  /** Sets for how many seconds events wait for others. */
  setDelay(seconds: number): void {
    this.#delay = seconds;
  }

  append(key: string, entry: EventlogEntry): void {
    const text = encodeEventlogEntry(entry);
    const texts = this.#texts.get(key);
    if (texts) texts.push(text);
    else this.#texts.set(key, [text]);
    this.#gatheredBytes += text.length;
    if (this.#commit) return;
    if (this.#gatheredBytes >= BATCH_BYTES) this.flush();
    else this.#timer ??= this.#context.clock.after(this.#delay, () => this.flush());
  }

  /** Commits what there is, unless a commit is under way: then it follows that. */
  flush(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    if (this.#commit || this.#texts.size === 0) return;
    const transaction = new KvsTransaction();
    for (const { key, text } of this.#takeTexts()) transaction.append(key, text);
    this.#commit = this.#send(transaction);
  }

  async #send(transaction: KvsTransaction): Promise<void> {
    this.#committedBytes = this.#gatheredBytes;
    this.#gatheredBytes = 0;
    try {
      await this.#kvs.commit(transaction);
    } catch (error) {
      this.#context.log('err', `events of ${this.#kvs.namespace} are lost: ${asFluxError(error).message}`);
    }
    this.#committedBytes = 0;
    this.#commit = undefined;
    if (this.#gatheredBytes >= BATCH_BYTES) this.flush();
    else if (this.#texts.size > 0) this.#timer ??= this.#context.clock.after(this.#delay, () => this.flush());
    this.#onTaken();
  }

  #takeTexts(): LogText[] {
    const texts = Array.from(this.#texts, ([key, lines]) => ({ key, text: lines.join('') }));
    this.#texts = new Map();
    return texts;
  }

  /** Takes what no commit was begun for, for somebody else to commit. */
  take(): LogText[] {
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#gatheredBytes = 0;
    return this.#takeTexts();
  }

  /** As `take`, once no commit is under way. */
  async takeRest(): Promise<LogText[]> {
    while (this.#commit) await this.#commit;
    return this.take();
  }
}
