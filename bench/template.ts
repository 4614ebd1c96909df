/** Requests that differ in a few digits: encoded once, and changed in place before each is sent. */

import type { JsonObject } from '../core/json.ts';
import { requestFrame } from './wire-client.ts';

/** Stands in a payload for a number of eight digits; in base64 text, too, for they are letters of base64. */
export const SLOT = '########';

/** A number as it stands in a slot. */
export function digits(number: number): string {
  return String(number).padStart(SLOT.length, '0');
}

export class Template {
  readonly frame: Buffer;
  readonly #slots: number[] = [];

  constructor(topic: string, payload: JsonObject, flags = 0) {
    this.frame = requestFrame(topic, payload, flags);
    for (let at = this.frame.indexOf(SLOT); at >= 0; at = this.frame.indexOf(SLOT, at + SLOT.length))
      this.#slots.push(at);
  }

  /** The request with these numbers in its slots, in their order; the next call changes it. */
  with(...numbers: readonly number[]): Buffer {
    for (const [index, at] of this.#slots.entries()) {
      let rest = numbers[index]!;
      for (let digit = at + SLOT.length - 1; digit >= at; digit--) {
        this.frame[digit] = 48 + (rest % 10);
        rest = Math.floor(rest / 10);
      }
    }
    return this.frame;
  }
}
