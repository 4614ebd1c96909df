/**
 * How many of a resource a jobspec wants: a number, or several that would do (RFC 14, RFC 45).
 *
 *     4    {"min": 2, "max": 8}    {"min": 2, "max": 64, "operator": "*", "operand": 2}
 *     "2-8"    "2+"    "2-64:2:*"    "1,4,7-9"
 */

import { FluxError } from '../errno.ts';
import { type JsonValue, Real } from '../json.ts';
import { IdSet } from './idset.ts';

/** More numbers than this in a progression are taken for a mistake. */
const STEPS_MAX = 65_536;

type Operator = '+' | '*' | '^';

const steps: Readonly<Record<Operator, (value: number, operand: number) => number>> = {
  '+': (value, operand) => value + operand,
  '*': (value, operand) => value * operand,
  '^': (value, operand) => value ** operand,
};

export class ResourceCount {
  readonly min: number;
  /** Infinity when any larger number would do. */
  readonly max: number;
  /** The numbers that would do, ascending, when these are not all from `min` to `max`. */
  readonly #values: readonly number[] | undefined;

  private constructor(min: number, max: number, values?: readonly number[]) {
    this.min = min;
    this.max = max;
    this.#values = values;
  }

  static of(count: number): ResourceCount {
    return new ResourceCount(count, count);
  }

  /**
   * Reads the `count` of a resource; an absent one is 1.
   *
   * @throws FluxError EINVAL: it is none, is below 1, or stands for no number or too many
   */
  static parse(count: JsonValue | undefined): ResourceCount {
    if (count === undefined) return ResourceCount.of(1);
    if (typeof count === 'number' || typeof count === 'bigint') return ResourceCount.of(atLeastOne(count));
    if (typeof count === 'string') return parseText(count);
    if (typeof count !== 'object' || count === null || Array.isArray(count) || count instanceof Real)
      throw invalid(`${JSON.stringify(count)} is no count`);
    const { min, max, operator = '+', operand = 1 } = count as Readonly<Record<string, JsonValue>>;
    return ResourceCount.range(atLeastOne(min), max === undefined ? Infinity : atLeastOne(max), operator, operand);
  }

  /** The numbers from `min` to `max`, each made of the one before by an operator. */
  static range(min: number, max: number, operator: JsonValue = '+', operand: JsonValue = 1): ResourceCount {
    if (max < min) throw invalid(`max ${max} is below min ${min}`);
    if (operator !== '+' && operator !== '*' && operator !== '^')
      throw invalid(`operator ${JSON.stringify(operator)} is not supported`);
    if (operator === '+' && operand === 1) return new ResourceCount(min, max);
    if (max === Infinity) throw invalid(`a count without max cannot have operator '${operator}' and an operand`);
    const least = operator === '+' ? 1 : 2;
    if (!Number.isInteger(operand) || (operand as number) < least)
      throw invalid(`operator '${operator}' wants an operand of at least ${least}`);
    if (operator === '^' && min < 2) throw invalid("operator '^' wants a min of at least 2");
    const values: number[] = [];
    for (let value = min; value <= max; value = steps[operator](value, operand as number)) {
      if (values.length === STEPS_MAX) throw invalid(`a count of more than ${STEPS_MAX} numbers`);
      values.push(value);
    }
    return ResourceCount.anyOf(values);
  }

  /** @param values ascending, one at least */
  static anyOf(values: readonly number[]): ResourceCount {
    return new ResourceCount(values[0]!, values.at(-1)!, values.length > 1 ? values : undefined);
  }

  /** This many times as many. */
  scaled(factor: number): ResourceCount {
    if (factor === 1) return this;
    return new ResourceCount(
      this.min * factor,
      this.max * factor,
      this.#values?.map((value) => value * factor),
    );
  }

  /** The largest number that would do and is at most `available`; 0 when there is none. */
  largestUpTo(available: number): number {
    if (available < this.min) return 0;
    if (!this.#values) return Math.min(available, this.max);
    let low = 0;
    let high = this.#values.length;
    while (high - low > 1) {
      const middle = (low + high) >>> 1;
      if (this.#values[middle]! <= available) low = middle;
      else high = middle;
    }
    return this.#values[low]!;
  }

  /** As short as RFC 45 has it; like counts are written alike. */
  toString(): string {
    if (this.#values) return IdSet.from(this.#values).encode();
    if (this.max === this.min) return String(this.min);
    return this.max === Infinity ? `${this.min}+` : `${this.min}-${this.max}`;
  }
}

function parseText(text: string): ResourceCount {
  const inner = text.trim().replace(/^\[(.*)\]$/, '$1');
  const range = /^(\d+)(?:-(\d+)|(\+))?(?::(\d+)(?::([+*^]))?)?$/.exec(inner);
  if (range) {
    const [, min, max, open, operand = '1', operator = '+'] = range;
    const end = open ? Infinity : atLeastOne(Number(max ?? min));
    return ResourceCount.range(atLeastOne(Number(min)), end, operator, Number(operand));
  }
  const ids = IdSet.parse(inner);
  if (ids.count === 0 || ids.count > STEPS_MAX) throw invalid(`'${text}' is no count`);
  atLeastOne(ids.first);
  return ResourceCount.anyOf([...ids]);
}

function atLeastOne(value: JsonValue | undefined): number {
  const number = typeof value === 'bigint' ? Number(value) : value;
  if (typeof number !== 'number' || !Number.isInteger(number)) throw invalid('it is not an integer');
  if (number < 1) throw invalid(`${number} is below 1`);
  return number;
}

function invalid(sentence: string): FluxError {
  return new FluxError('EINVAL', `bad resource count: ${sentence}`);
}
