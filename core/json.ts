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
  const digits = String(value);
  return /[.e]/.test(digits) ? digits : `${digits}.0`;
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
const stringOrNumber = /"[^"\\]*(?:\\.[^"\\]*)*"|-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?/gs;

function markSpecial(token: string): string {
  if (token[0] === '"') return token;
  const number = Number(token);
  const isReal = /[.eE]/.test(token);
  if (isReal ? Number.isInteger(number) : !Number.isSafeInteger(number))
    return JSON.stringify(getMarker().text + token);
  return token;
}

function reviveSpecial(_key: string, value: unknown): unknown {
  const marker = getMarker().text;
  if (typeof value !== 'string' || !value.startsWith(marker)) return value;
  const digits = value.slice(marker.length);
  return /[.eE]/.test(digits) ? new Real(Number(digits)) : BigInt(digits);
}

/**
 * Reads a JSON text.
 *
 * @throws SyntaxError when the text is no JSON
 */
export function parseJson(text: string): JsonValue {
  if (!mayHoldSpecial.test(text)) return JSON.parse(text);
  return JSON.parse(text.replace(stringOrNumber, markSpecial), reviveSpecial);
}
