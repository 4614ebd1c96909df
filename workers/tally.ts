/** Count, extremes, mean and deviation of numbers, without keeping them. */

import { type JsonObject, real } from '../../core/json.ts';

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

  /** As stats-get shows it, in units of `unit`: min and max are whole numbers, mean and stddev reals. */
  toJSON(unit = 1): JsonObject {
    const deviation = this.#count > 1 ? Math.sqrt(this.#squares / (this.#count - 1)) : 0;
    return {
      count: this.#count,
      min: Math.trunc(this.#min / unit),
      mean: real(this.#mean / unit),
      stddev: real(deviation / unit),
      max: Math.trunc(this.#max / unit),
    };
  }
}
