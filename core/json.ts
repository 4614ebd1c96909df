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

/** An integer of 64 bits as JSON has it: a number where that is exact, which is written much faster than a bigint. */
export function integer(value: bigint): number | bigint {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
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
/** What stands before such a number. */
const candidates = /(?:^|[[,:\s])(?=-?(?:\d+(?:\.0*(?!\d)|(?:\.\d+)?[eE])|\d{16}))/g;
const number = /-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?/y;

/** The text with marked strings in place of numbers that JSON.parse would change; undefined when there are none. */
function markSpecials(text: string): string | undefined {
  let marked: string | undefined;
  let copied = 0;
  // All strings that begin before this are passed.
  let passed = 0;
  candidates.lastIndex = 0;
  for (let match = candidates.exec(text); match; match = candidates.exec(text)) {
    const start = match.index + match[0].length;
    for (let quote = text.indexOf('"', passed); quote >= 0 && quote < start; quote = text.indexOf('"', passed))
      passed = endOfString(text, quote);
    number.lastIndex = start;
    const token = passed > start ? undefined : number.exec(text)?.[0];
    if (token !== undefined && isSpecial(token)) {
      marked = `${marked ?? ''}${text.slice(copied, start)}${JSON.stringify(getMarker().text + token)}`;
      copied = start + token.length;
    }
    candidates.lastIndex = Math.max(passed, start + (token?.length || 1));
  }
  return marked === undefined ? undefined : marked + text.slice(copied);
}

/** Where the text goes on behind the string that begins at a quote. */
function endOfString(text: string, quote: number): number {
  for (let end = text.indexOf('"', quote + 1); end >= 0; end = text.indexOf('"', end + 1)) {
    let backslashes = 0;
    while (text[end - 1 - backslashes] === '\\') backslashes++;
    if (backslashes % 2 === 0) return end + 1;
  }
  return text.length;
}

function isSpecial(token: string): boolean {
  const value = Number(token);
  return /[.eE]/.test(token) ? Number.isInteger(value) : !Number.isSafeInteger(value);
}

/** Puts numbers in place of marked strings. JSON.parse's own reviver takes ten times as long. */
function reviveSpecials(value: JsonValue, marker: string): JsonValue {
  if (typeof value === 'string') {
    if (!value.startsWith(marker)) return value;
    const digits = value.slice(marker.length);
    return /[.eE]/.test(digits) ? new Real(Number(digits)) : BigInt(digits);
  }
  if (typeof value !== 'object' || value === null) return value;
  const members = value as { [key: string]: JsonValue };
  for (const key of Object.keys(members)) {
    const member = members[key]!;
    const revived = reviveSpecials(member, marker);
    // An assignment to a member __proto__ would not set it.
    if (revived !== member)
      Object.defineProperty(members, key, { value: revived, writable: true, enumerable: true, configurable: true });
  }
  return value;
}

/**
 * Reads a JSON text.
 *
 * @throws SyntaxError when the text is no JSON
 */
export function parseJson(text: string): JsonValue {
  const marked = mayHoldSpecial.test(text) ? markSpecials(text) : undefined;
  return marked === undefined ? JSON.parse(text) : reviveSpecials(JSON.parse(marked), getMarker().text);
}
