/** Conditions on the context of an event: `KEY=VALUE`, the value JSON or else a text. */

import { FluxError } from '../core/errno.ts';
import { type JsonObject, type JsonValue, parseJson, Real } from '../core/json.ts';
import { isObject } from '../core/message/unpack.ts';

export type ContextMatch = (context: JsonObject) => boolean;

/** Reals that differ by no more than this count as the same. */
const TOLERANCE = 1e-5;

/**
 * Reads a condition.
 *
 * @throws FluxError EINVAL: it has no key, or no `=`
 */
export function parseContextMatch(text: string): ContextMatch {
  const [, key, value] = /^([^=]+)=(.*)$/s.exec(text) ?? [];
  if (key === undefined || value === undefined)
    throw new FluxError('EINVAL', `--match-context: '${text}' is not of the form KEY=VAL`);
  const wanted = jsonOrText(value);
  return (context) => isSame(wanted, context[key]);
}

/** What a word of a command line means: JSON, or else itself. */
export function jsonOrText(text: string): JsonValue {
  try {
    return parseJson(text);
  } catch {
    return text;
  }
}

/** Whether values are the same; reals nearly. */
export function isSame(wanted: JsonValue, found: JsonValue | undefined): boolean {
  if (isReal(found)) return Math.abs(Number(wanted) - Number(found)) <= TOLERANCE;
  if (isNumber(wanted) && isNumber(found)) return Number(wanted) === Number(found);
  if (Array.isArray(wanted) && Array.isArray(found))
    return wanted.length === found.length && wanted.every((each, index) => isSame(each, found[index]));
  if (isObject(wanted) && isObject(found)) {
    const keys = Object.keys(wanted);
    return keys.length === Object.keys(found).length && keys.every((key) => isSame(wanted[key] ?? null, found[key]));
  }
  return wanted === found;
}

function isReal(value: JsonValue | undefined): boolean {
  return value instanceof Real || (typeof value === 'number' && !Number.isInteger(value));
}

function isNumber(value: JsonValue | undefined): boolean {
  return typeof value === 'number' || typeof value === 'bigint' || value instanceof Real;
}
