/** How long something took, by the figures that `stats-get` shows: milliseconds. */

import { type JsonObject, real } from '../../core/json.ts';

export class Timings {
  #count = 0;
  #min = 0;
  #max = 0;
  #mean = 0;
  // The sum of squares of differences from the mean (Welford).
  #squares = 0;

  add(milliseconds: number): void {
    this.#min = this.#count ? Math.min(this.#min, milliseconds) : milliseconds;
    this.#max = Math.max(this.#max, milliseconds);
    this.#count++;
    const difference = milliseconds - this.#mean;
    this.#mean += difference / this.#count;
    this.#squares += difference * (milliseconds - this.#mean);
  }

  toJSON(): JsonObject {
    const deviation = this.#count > 1 ? Math.sqrt(this.#squares / (this.#count - 1)) : 0;
    return {
      count: this.#count,
      min: real(this.#min),
      max: real(this.#max),
      mean: real(this.#mean),
      stddev: real(deviation),
    };
  }
}
