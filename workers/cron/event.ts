/** The trigger `event`: events of a topic, all of them or every so many. */

import type { ServiceContext, Timer } from '../../core/broker/service.ts';
import { formatFixed } from '../../core/formats/printf.ts';
import { type JsonObject, real } from '../../core/json.ts';
import { unpack } from '../../core/message/unpack.ts';
import { listen } from './topic.ts';
import type { MakeTrigger, Trigger, Triggered } from './trigger.ts';

interface EventSettings {
  readonly topic: string;
  /** Of the events that count, each of so many; 0: each. */
  readonly nth: number;
  /** The first event that counts. */
  readonly after: number;
  /** Seconds between two runs at least. */
  readonly minInterval: number;
}

/** What is left of the shortest interval may be a rounding error. */
const INSTANT = 1e-5;

export const makeEvent: MakeTrigger = (context, args, entry) => {
  const {
    topic,
    nth = 0,
    after = 0,
    min_interval: minInterval = 0,
  } = unpack(args, { topic: 's', nth: 'i?', after: 'i?', min_interval: 'n?' });
  return new EventTrigger(context, entry, { topic, nth, after, minInterval });
};

class EventTrigger implements Trigger {
  readonly #context: ServiceContext;
  readonly #entry: Triggered;
  readonly #settings: EventSettings;
  #stopListening: (() => void) | undefined;
  /** Events since it was started. */
  #count = 0;
  /** Set while it fires only later, because the last run was just now. */
  #delay: Timer | undefined;

  constructor(context: ServiceContext, entry: Triggered, settings: EventSettings) {
    this.#context = context;
    this.#entry = entry;
    this.#settings = settings;
  }

  start(): void {
    this.#count = 0;
    this.#stopListening = listen(this.#context, this.#settings.topic, () => this.#take());
  }

  stop(): void {
    this.#stopListening?.();
    this.#stopListening = undefined;
    this.#delay?.cancel();
    this.#delay = undefined;
  }

  #take(): void {
    this.#count++;
    if (this.#delay) return;
    const { after, nth } = this.#settings;
    if (this.#count < after || (nth && (this.#count - after) % nth !== 0)) return;
    const wait = this.#untilNext();
    if (wait > INSTANT) this.#fireLater(wait);
    else this.#entry.fire();
  }

  #untilNext(): number {
    const { minInterval } = this.#settings;
    return minInterval > 0 ? minInterval - (this.#context.clock.now() - this.#entry.lastRun) : 0;
  }

  #fireLater(seconds: number): void {
    this.#delay = this.#context.clock.after(seconds, () => {
      this.#delay = undefined;
      this.#entry.fire();
    });
    this.#context.log('debug', `${this.#entry.label}: delaying ${formatFixed(seconds, 3)}s due to min interval`);
  }

  toJSON(): JsonObject {
    const { topic, nth, after, minInterval } = this.#settings;
    return { topic, nth, after, counter: this.#count, min_interval: real(minInterval) };
  }
}
