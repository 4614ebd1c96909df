/**
 * JSON as Flux's C programs read and write it, by the library jansson: errors in its words, and `", "` and `": "` between
 * parts.
 */

import { FluxError } from '../errno.ts';
import { type JsonValue, Real } from '../json.ts';
import { DEPTH_MAX, isTooDeep, JsonScanner } from './json-scanner.ts';
import { formatGeneral } from './printf.ts';

/** Reads a text that is one JSON value; throws FluxError EINVAL that says what was expected where. */
export function parseJson(text: string): unknown {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    new JsonScanner(text).document();
    throw new FluxError('EINVAL', (cause as SyntaxError).message, { cause });
  }
  if (text.length > DEPTH_MAX && isTooDeep(text)) throw tooDeep();
  return value;
}

function tooDeep(): FluxError {
  return new FluxError('EINVAL', 'maximum parsing depth reached');
}

/**
 * Reads the objects and arrays that stand one behind another in a text, up to the first thing that is neither.
 *
 * Throws FluxError EINVAL only when there is none at all, as `flux R` does with its standard input.
 */
export function parseJsonSequence(text: string): unknown[] {
  const values: unknown[] = [];
  const scanner = new JsonScanner(text);
  for (;;) {
    const start = scanner.position;
    try {
      scanner.container();
    } catch (error) {
      if (!values.length) throw error;
      return values;
    }
    values.push(JSON.parse(text.slice(start, scanner.position)));
  }
}

/**
 * Writes a value on one line; members that are undefined are left out.
 *
 * Throws FluxError EINVAL for NaN and infinity, and for values nested too deep to be read again.
 */
export function encodeJson(value: JsonValue): string {
  return encode(value, 1);
}

function encode(value: JsonValue, depth: number): string {
  if (depth > DEPTH_MAX) throw tooDeep();
  if (typeof value === 'string') return encodeString(value);
  if (typeof value === 'number') return encodeNumber(value);
  if (value instanceof Real) return encodeReal(value.value);
  if (value === null || typeof value === 'boolean' || typeof value === 'bigint') return `${value}`;
  // Loops, not map: each level takes a frame or two of the stack, and there may be 2048 of them.
  let text = '';
  if (isArray(value)) {
    for (const item of value) text += `${text && ', '}${encode(item, depth + 1)}`;
    return `[${text}]`;
  }
  for (const key of Object.keys(value)) {
    const member = value[key];
    if (member !== undefined) text += `${text && ', '}${encodeString(key)}: ${encode(member, depth + 1)}`;
  }
  return `{${text}}`;
}

/** Array.isArray does not tell a readonly array from an object to the compiler. */
function isArray(value: JsonValue): value is readonly JsonValue[] {
  return Array.isArray(value);
}

/** Jansson writes the hexadecimal digits of control characters in capitals. */
function encodeString(text: string): string {
  const encoded = JSON.stringify(text);
  if (!encoded.includes('\\u')) return encoded;
  return encoded.replace(/(\\\\)|\\u00([01][0-9a-f])/g, (_, backslash, code) => {
    return backslash ?? `\\u00${code.toUpperCase()}`;
  });
}

function encodeNumber(value: number): string {
  if (Number.isSafeInteger(value)) return `${value}`;
  return Number.isInteger(value) ? BigInt(value).toString() : encodeReal(value);
}

/** Seventeen digits tell every double from its neighbours; a whole number gets `.0`, an exponent no padding. */
function encodeReal(value: number): string {
  if (!Number.isFinite(value)) throw new FluxError('EINVAL', `${value} has no place in JSON`);
  const text = formatGeneral(value, 17);
  return /[.e]/.test(text) ? text.replace(/e\+?(-?)0*/, 'e$1') : `${text}.0`;
}

/** What a value is called in errors: `object`, `array`, `string`, `integer`, `real`, `true`, `false` or `null`. */
export function jsonTypeName(value: unknown): string {
  if (typeof value === 'number') return Number.isInteger(value) ? 'integer' : 'real';
  if (typeof value === 'object' && value !== null) return Array.isArray(value) ? 'array' : 'object';
  return typeof value === 'string' ? 'string' : String(value);
}
