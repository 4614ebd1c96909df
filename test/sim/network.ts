/**
 * Lines that carry messages one way, each in order, each with delays of its own: what comes over two lines comes in any
 * order.
 */

import process from 'node:process';
import { decodeMessage, encodeMessage } from '../../core/message/codec.ts';
import { type Message, MessageType } from '../../core/message/message.ts';
import type { Agenda } from './agenda.ts';
import type { SeededRandom } from './random.ts';

/** Seconds that messages take over the lines of a run: each line is drawn one, so that some are far slower than others. */
const delays = [0, 1e-5, 1e-4, 1e-4, 1e-3, 2e-2];

const isTraced = process.env.FLUX_SIM_TRACE !== undefined;

function describe(message: Message): string {
  const { type, topic = '', word1, word2, routes } = message;
  const name = Object.entries(MessageType).find(([, number]) => number === type)![0];
  return `${name} ${topic} ${type === MessageType.response ? `errnum ${word1}` : word1} matchtag ${word2} [${routes}]`;
}

export class Line {
  readonly #network: Network;
  readonly #name: string;
  readonly #delay: number;
  /** Messages travel as bytes, as between threads, or by reference, as within one. */
  readonly #encoded: boolean;
  readonly #deliver: (message: Message) => void;
  #lastArrival = 0;
  #closed = false;
  #cut = false;

  constructor(network: Network, name: string, delay: number, encoded: boolean, deliver: (message: Message) => void) {
    this.#network = network;
    this.#name = name;
    this.#delay = delay;
    this.#encoded = encoded;
    this.#deliver = deliver;
  }

  send(message: Message): void {
    const bytes = this.#encoded && !this.#closed ? encodeMessage(message) : undefined;
    this.inOrder(() => {
      if (isTraced) console.error(this.#network.agenda.time.toFixed(6), this.#name, describe(message));
      this.#deliver(bytes ? decodeMessage(bytes) : message);
    });
  }

  /** Does something once all that was sent before has arrived. */
  inOrder(action: () => void): void {
    if (this.#closed) return;
    const { agenda, random } = this.#network;
    this.#lastArrival = Math.max(this.#lastArrival, agenda.time + this.#delay * random.number());
    this.#network.inFlight++;
    agenda.at(this.#lastArrival, () => {
      this.#network.inFlight--;
      if (!this.#cut) action();
    });
  }

  /** Nothing more can be sent; what is on its way arrives. */
  close(): void {
    this.#closed = true;
  }

  /** Nothing arrives any more, not even what is on its way. */
  cut(): void {
    this.#closed = true;
    this.#cut = true;
  }
}

export class Network {
  readonly agenda: Agenda;
  readonly random: SeededRandom;
  /** Messages that were sent and have not arrived. */
  inFlight = 0;

  constructor(agenda: Agenda, random: SeededRandom) {
    this.agenda = agenda;
    this.random = random;
  }

  /** A line to a receiver, named for traces; `encoded` when it is never by reference. */
  line(name: string, deliver: (message: Message) => void, encoded = this.random.chance(0.5)): Line {
    return new Line(this, name, this.random.pick(delays), encoded, deliver);
  }
}
