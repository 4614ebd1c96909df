/**
 * JSON as Flux means it: integers and reals are different kinds, and integers have 64 bits.
 *
 * C clients refuse `0` where they want `0.0`, and a job id does not fit a double. JavaScript's own JSON functions tell
 * neither apart, so a real without a fraction travels as `Real` and an integer beyond 2^53 as a bigint. Texts that hold
 * no such number, nearly all, take the engine's own parser and writer.
 */

export type JsonValue =
  | string
  | number
  | bigint
  | boolean
  | null
  | Real
  | readonly JsonValue[]
  | { readonly [key: string]: JsonValue | undefined };

export type JsonObject = { readonly [key: string]: JsonValue | undefined };

interface Marker {
  /** What no text from outside can hold, in front of a number's digits inside a string. */
  readonly text: string;
  /** A marked number as JSON.stringify writes it. */
  readonly pattern: RegExp;
}

let theMarker: Marker | undefined;
let wroteMarker = false;

/** Made when first needed: random bytes cost a command that needs none two milliseconds. */
function getMarker(): Marker {
  if (!theMarker) {
    const id = crypto.randomUUID();
    theMarker = { text: `\u0001${id}:`, pattern: new RegExp(`"\\\\u0001${id}:([-+.\\deE]+)"`, 'g') };
  }
  return theMarker;
}

/** Digits in such a form that they come out of JSON.stringify as a number. */
function mark(digits: string): string {
  wroteMarker = true;
  return getMarker().text + digits;
}

/** A number that is a real even where it has no fraction: `new Real(2)` is written `2.0`. */
export class Real {
  readonly value: number;

  constructor(value: number) {
    this.value = value;
  }

  valueOf(): number {
    return this.value;
  }

  toJSON(): string | number | null {
    return Number.isInteger(this.value) ? mark(realText(this.value)) : this.value;
  }
}

/** A finite number as JSON has a real: with a point or an exponent, whatever its value. */
export function realText(value: number): string {
  const digits = `${value}`;
  return Number.isInteger(value) && !digits.includes('e') ? `${digits}.0` : digits;
}

/** A number as a real, whatever its value. */
export function real(value: number): number | Real {
  return Number.isInteger(value) ? new Real(value) : value;
}

function markBigint(_key: string, value: unknown): unknown {
  return typeof value === 'bigint' ? mark(String(value)) : value;
}

/** The JSON text of a value, compact, keys in their order. */
export function stringifyJson(value: JsonValue): string {
  wroteMarker = false;
  let text: string;
  try {
    text = JSON.stringify(value);
  } catch (error) {
    if (!(error instanceof TypeError) || !String(error.message).includes('BigInt')) throw error;
    text = JSON.stringify(value, markBigint);
  }
  return wroteMarker ? text.replace(getMarker().pattern, '$1') : text;
}

// May a text hold a number that JSON.parse would change? Few strings look like one; those only take the slower way.
const mayHoldSpecial = /(?:^|[[,:\s])-?(?:\d+(?:\.0*(?!\d)|(?:\.\d+)?[eE])|\d{16})/;
/** Reads a text that JSON.parse has found to be JSON, with all its numbers as they are. */
class ExactReader {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  value(): JsonValue {
    switch (this.#next()) {
      case '"':
        return this.#string();
      case '{':
        return this.#object();
      case '[':
        return this.#array();
      case 't':
        return this.#skip('true', true);
      case 'f':
        return this.#skip('false', false);
      case 'n':
        return this.#skip('null', null);
      default:
        return this.#number();
    }
  }

  /** The next character that is no blank. */
  #next(): string | undefined {
    while (isBlank(this.#text[this.#at])) this.#at++;
    return this.#text[this.#at];
  }

  #skip<T>(word: string, value: T): T {
    this.#at += word.length;
    return value;
  }

  #object(): JsonValue {
    const members: { [key: string]: JsonValue } = {};
    this.#at++;
    while (this.#next() !== '}') {
      if (this.#text[this.#at] === ',') this.#at++;
      this.#next();
      const key = this.#string();
      this.#next();
      this.#at++;
      const value = this.value();
      if (key !== '__proto__') members[key] = value;
      else Object.defineProperty(members, key, { value, enumerable: true, configurable: true, writable: true });
    }
    this.#at++;
    return members;
  }

  #array(): JsonValue {
    const items: JsonValue[] = [];
    this.#at++;
    while (this.#next() !== ']') {
      if (this.#text[this.#at] === ',') this.#at++;
      items.push(this.value());
    }
    this.#at++;
    return items;
  }

  #string(): string {
    const start = this.#at + 1;
    let end = this.#text.indexOf('"', start);
    const text = this.#text.slice(start, end);
    if (!text.includes('\\')) {
      this.#at = end + 1;
      return text;
    }
    for (end = start; this.#text[end] !== '"'; end++) if (this.#text[end] === '\\') end++;
    this.#at = end + 1;
    return JSON.parse(this.#text.slice(start - 1, end + 1));
  }

  #number(): number | bigint | Real {
    const start = this.#at;
    // Nearly all numbers are short integers.
    let number = 0;
    let code = this.#text.charCodeAt(start);
    while (code >= ZERO && code <= NINE) {
      number = number * 10 + code - ZERO;
      code = this.#text.charCodeAt(++this.#at);
    }
    const isShort = this.#at > start && this.#at - start < SAFE_DIGITS;
    if (isShort && !isNumeric(this.#text[this.#at])) return number;
    while (isNumeric(this.#text[this.#at])) this.#at++;
    const digits = this.#text.slice(start, this.#at);
    number = Number(digits);
    if (/[.eE]/.test(digits)) return Number.isInteger(number) ? new Real(number) : number;
    return Number.isSafeInteger(number) ? number : BigInt(digits);
  }
}

const ZERO = '0'.charCodeAt(0);
const NINE = '9'.charCodeAt(0);
/** An integer of fewer digits is exact as a double. */
const SAFE_DIGITS = 16;

function isBlank(char: string | undefined): boolean {
  return char === ' ' || char === '\n' || char === '\t' || char === '\r';
}

function isNumeric(char: string | undefined): boolean {
  if (char === undefined) return false;
  return (char >= '0' && char <= '9') || char === '.' || char === '-' || char === '+' || char === 'e' || char === 'E';
}

/**
 * Reads a JSON text.
 *
 * @throws SyntaxError when the text is no JSON
 */
export function parseJson(text: string): JsonValue {
  const value: JsonValue = JSON.parse(text);
  return mayHoldSpecial.test(text) ? new ExactReader(text).value() : value;
}
