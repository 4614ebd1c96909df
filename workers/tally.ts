/** Count, extremes, mean and deviation of numbers, without keeping them. */

import { type JsonObject, real } from '../core/json.ts';

export class Tally {
  #count = 0;
  #min = 0;
  #max = 0;
  #mean = 0;
  // Sum of squared distances from the mean (Welford).
  #squares = 0;

  add(value: number): void {
    if (this.#count === 0 || value < this.#min) this.#min = value;
    if (this.#count === 0 || value > this.#max) this.#max = value;
    this.#count++;
    const distance = value - this.#mean;
    this.#mean += distance / this.#count;
    this.#squares += distance * (value - this.#mean);
  }

  /** As `stats-get` shows it: reals. */
  toJSON(): JsonObject {
    return {
      count: this.#count,
      min: real(this.#min),
      max: real(this.#max),
      mean: real(this.#mean),
      stddev: real(this.#deviation),
    };
  }

  /** As `stats-get` shows it, in units of `unit`: min and max are whole numbers. */
  inUnits(unit = 1): JsonObject {
    return {
      count: this.#count,
      min: Math.trunc(this.#min / unit),
      mean: real(this.#mean / unit),
      stddev: real(this.#deviation / unit),
      max: Math.trunc(this.#max / unit),
    };
  }

  get #deviation(): number {
    return this.#count > 1 ? Math.sqrt(this.#squares / (this.#count - 1)) : 0;
  }
}
