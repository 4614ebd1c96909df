/**
 * FLUIDs: the 64-bit ids of jobs, unique in an instance without coordination, and their notations (RFC 19).
 *
 *     63                                    24 23         10 9        0
 *     +---------------------------------------+-------------+----------+
 *     | timestamp: milliseconds since an epoch | generator  | sequence |
 *     +---------------------------------------+-------------+----------+
 *
 * An id is a bigint here, for it does not fit a double once an instance is 149 hours old.
 */

import { FluxError } from '../errno.ts';
import { emojiDigits } from './emoji-digits.ts';
import { mnemonicWords } from './mnemonic-words.ts';

const TIMESTAMP_BITS = 40;
const GENERATOR_BITS = 14;
const SEQUENCE_BITS = 10;
const TIMESTAMP_SHIFT = BigInt(GENERATOR_BITS + SEQUENCE_BITS);
const ID_END = 2n ** 64n;

const base58Digits = [...'123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz'];
/** As many digits as 2^64 - 1 can need in base 58, and one that flux tolerates. */
const BASE58_LENGTH_MAX = 12;
/** As many digits as 2^64 - 1 needs in base 576. */
const EMOJI_LENGTH_MAX = 7;

/** Oren Tirosh's mnemonicode writes 32 bits as three words, the least digit first. */
const WORD_BASE = BigInt(mnemonicWords.length);

/** The notations a job id can be asked for in, as `flux job id --to` names them. */
export type FluidForm = 'dec' | 'hex' | 'dothex' | 'kvs' | 'words' | 'f58' | 'f58plain' | 'emoji';

const encoders: { readonly [F in FluidForm]: (id: bigint) => string } = {
  dec: (id) => `${id}`,
  hex: (id) => `0x${id.toString(16)}`,
  dothex,
  kvs: (id) => `job.${dothex(id)}`,
  words: encodeWords,
  f58: (id) => `ƒ${encodeDigits(id, base58Digits)}`,
  f58plain: (id) => `f${encodeDigits(id, base58Digits)}`,
  emoji: (id) => encodeDigits(id, emojiDigits),
};

/** All notations, in the order of the type. */
export const fluidForms = Object.keys(encoders) as readonly FluidForm[];

/** Writes an id in a notation; throws FluxError EINVAL for what is not a number of 64 bits (RFC 19). */
export function encodeFluid(id: bigint, form: FluidForm = 'f58'): string {
  if (id < 0n || id >= ID_END) throw new FluxError('EINVAL', `${id} is not a job id`);
  return encoders[form](id);
}

/**
 * Reads an id in any notation, telling them apart as RFC 19 says; blanks around it are passed over.
 *
 * Throws FluxError EINVAL that quotes the text. More than 64 bits in base 58 or emoji wrap around, as they do in flux.
 */
export function parseFluid(text: string): bigint {
  const word = text.replace(/^[ \t-\r]+|[ \t-\r]+$/g, '').replace(/^job\./, '');
  const id = decode(word);
  if (id === undefined) throw new FluxError('EINVAL', `'${text}' is not a job id`);
  return id;
}

function decode(word: string): bigint | undefined {
  if (word.includes('.')) return decodeDothex(word);
  if (word.includes('-')) return decodeWords(word);
  if (/^[ƒf]/.test(word)) return decodeDigits([...word.slice(1)], base58Digits, BASE58_LENGTH_MAX);
  if (/^\ud83c|^\ud83d/.test(word)) return decodeDigits([...word], emojiDigits, EMOJI_LENGTH_MAX);
  if (!/^(0x0*[0-9a-fA-F]{1,16}|0*[0-9]{1,20})$/.test(word)) return undefined;
  const id = BigInt(word);
  return id < ID_END ? id : undefined;
}

function dothex(id: bigint): string {
  const hex = id.toString(16).padStart(16, '0');
  return `${hex.slice(0, 4)}.${hex.slice(4, 8)}.${hex.slice(8, 12)}.${hex.slice(12)}`;
}

function decodeDothex(word: string): bigint | undefined {
  if (!/^[0-9a-f]{1,4}(\.[0-9a-f]{1,4}){3}$/i.test(word)) return undefined;
  return word.split('.').reduce((id, part) => (id << 16n) | BigInt(`0x${part}`), 0n);
}

function encodeDigits(id: bigint, digits: readonly string[]): string {
  const base = BigInt(digits.length);
  let text = '';
  let rest = id;
  do {
    text = digits[Number(rest % base)] + text;
    rest /= base;
  } while (rest);
  return text;
}

function decodeDigits(chars: readonly string[], digits: readonly string[], lengthMax: number): bigint | undefined {
  if (!chars.length || chars.length > lengthMax) return undefined;
  const base = BigInt(digits.length);
  let id = 0n;
  for (const char of chars) {
    const digit = digits.indexOf(char);
    if (digit < 0) return undefined;
    id = id * base + BigInt(digit);
  }
  return BigInt.asUintN(64, id);
}

function encodeWords(id: bigint): string {
  return [id & 0xffff_ffffn, id >> 32n]
    .map((half) => [half, half / WORD_BASE, half / WORD_BASE ** 2n])
    .map((quotients) => quotients.map((quotient) => mnemonicWords[Number(quotient % WORD_BASE)]).join('-'))
    .join('--');
}

/** Anything but a letter separates words, and case is passed over. */
function decodeWords(text: string): bigint | undefined {
  const digits = text.match(/[a-z]+/gi)?.map((word) => mnemonicWords.indexOf(word.toLowerCase())) ?? [];
  if (digits.length !== 6 || digits.includes(-1)) return undefined;
  const [a, b, c, d, e, f] = digits.map(BigInt) as [bigint, bigint, bigint, bigint, bigint, bigint];
  const low = (c * WORD_BASE + b) * WORD_BASE + a;
  const high = (f * WORD_BASE + e) * WORD_BASE + d;
  return low >> 32n || high >> 32n ? undefined : (high << 32n) | low;
}

/** The timestamp in an id, in milliseconds since its generator's epoch. */
export function fluidTimestamp(id: bigint): number {
  return Number(id >> TIMESTAMP_SHIFT);
}

/**
 * Makes ids that are unique among all generators of an instance that share an epoch and have ids of their own.
 *
 * Ids ascend. When a millisecond's 1024 ids are used up or the clock goes back, the generator goes on in the next
 * millisecond without waiting for the clock, so its timestamps may run ahead by a millisecond for each 1024 ids.
 */
export class FluidGenerator {
  readonly #base: bigint;
  readonly #clockMs: () => number;
  readonly #clockToTimestamp: number;
  #timestamp: number;
  #sequence = 0;

  /**
   * `id` is the generator's, 0 to 16383, usually the rank; `clockMs` a clock in milliseconds with any zero;
   * `timestamp` what the clock's present time shall count as, in milliseconds since the epoch of the instance's ids.
   *
   * Throws FluxError EINVAL when id or timestamp are out of range.
   */
  constructor(id: number, clockMs: () => number, timestamp = 0) {
    if (!Number.isInteger(id) || id < 0 || id >= 2 ** GENERATOR_BITS) {
      throw new FluxError('EINVAL', `${id} is not a FLUID generator id`);
    }
    if (!Number.isInteger(timestamp) || timestamp < 0 || timestamp >= 2 ** TIMESTAMP_BITS) {
      throw new FluxError('EINVAL', `${timestamp} is not a FLUID timestamp`);
    }
    this.#base = BigInt(id) << BigInt(SEQUENCE_BITS);
    this.#clockMs = clockMs;
    this.#clockToTimestamp = timestamp - clockMs();
    this.#timestamp = timestamp;
  }

  /** The next id; throws FluxError EOVERFLOW when the 40 bits of the timestamp are used up, after 35 years. */
  generate(): bigint {
    const timestamp = this.timestamp();
    if (this.#sequence >= 2 ** SEQUENCE_BITS) this.#enter(timestamp + 1);
    return (BigInt(this.#timestamp) << TIMESTAMP_SHIFT) | this.#base | BigInt(this.#sequence++);
  }

  /** The present time as this generator's ids count it, in milliseconds; ids made from now on are not below it. */
  timestamp(): number {
    const now = Math.floor(this.#clockMs() + this.#clockToTimestamp);
    if (now > this.#timestamp) this.#enter(now);
    return this.#timestamp;
  }

  #enter(timestamp: number): void {
    if (timestamp >= 2 ** TIMESTAMP_BITS) throw new FluxError('EOVERFLOW', 'FLUID timestamps are used up');
    this.#timestamp = timestamp;
    this.#sequence = 0;
  }
}
