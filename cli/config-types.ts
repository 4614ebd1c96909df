/** Types of configuration values, as `flux config get` and `set` check and read them. */

import { FluxError } from '../core/errno.ts';
import { parseDuration, wholeSeconds } from '../core/formats/duration.ts';
import { type JsonValue, parseJson, Real, real, stringifyJson } from '../core/json.ts';

export const durationTypes = ['fsd', 'fsd-integer', 'fsd-real'] as const;
export const jsonTypes = ['object', 'array', 'string', 'integer', 'real', 'boolean'] as const;
export const getTypes = ['any', ...jsonTypes, ...durationTypes] as const;
export const setTypes = [...jsonTypes, 'fsd'] as const;

export type GetType = (typeof getTypes)[number];
export type SetType = (typeof setTypes)[number];

/** The type of a value; `any` for null, which TOML does not have. */
export function typeOf(value: JsonValue): Exclude<GetType, 'fsd' | 'fsd-integer' | 'fsd-real'> {
  if (value === null) return 'any';
  if (typeof value === 'string' || typeof value === 'boolean') return typeof value as 'string' | 'boolean';
  if (value instanceof Real) return 'real';
  if (typeof value === 'object') return Array.isArray(value) ? 'array' : 'object';
  return typeof value === 'bigint' || Number.isInteger(value) ? 'integer' : 'real';
}

/** How a value of the wanted type is printed; undefined when it is of another. */
export function formatValue(value: JsonValue, type: GetType): string | undefined {
  if (type === 'any' || type === typeOf(value)) return typeof value === 'string' ? value : stringifyJson(value);
  if (typeof value !== 'string' || !isDurationType(type)) return undefined;
  const seconds = durationOf(value);
  if (seconds === undefined) return undefined;
  if (type === 'fsd-integer') return String(wholeSeconds(seconds));
  return type === 'fsd-real' ? formatSeconds(seconds) : value;
}

function isDurationType(type: GetType): boolean {
  return (durationTypes as readonly string[]).includes(type);
}

function formatSeconds(seconds: number): string {
  return seconds === Infinity ? 'inf' : seconds.toFixed(6);
}

function durationOf(text: string): number | undefined {
  try {
    return parseDuration(text);
  } catch {
    return undefined;
  }
}

/**
 * The value that a text means.
 *
 * @throws FluxError EINVAL
 */
export function parseValue(text: string, type: SetType): JsonValue {
  const value = read(text, type);
  if (value === undefined) throw new FluxError('EINVAL', `'${text}' is not ${articles[type]}`);
  return value;
}

const articles: Readonly<Record<SetType, string>> = {
  object: 'a JSON object',
  array: 'a JSON array',
  string: 'a JSON string',
  integer: 'an integer',
  real: 'a real number',
  boolean: 'true or false',
  fsd: 'a Flux Standard Duration',
};

function read(text: string, type: SetType): JsonValue | undefined {
  switch (type) {
    case 'boolean':
      return !/^(0|f|$)/i.test(text);
    case 'integer':
      return /^-?(\d+|0x[\da-f]+)$/i.test(text) ? integerOf(text) : undefined;
    case 'real':
      return text.trim() && Number.isFinite(Number(text)) ? real(Number(text)) : undefined;
    case 'fsd':
      return durationOf(text) === undefined ? undefined : text;
    case 'string':
      return text.startsWith('"') ? readJson(text, type) : text;
    case 'object':
    case 'array':
      return readJson(text, type);
  }
}

function integerOf(text: string): number | bigint | undefined {
  const value = text.startsWith('-') ? -BigInt(text.slice(1)) : BigInt(text);
  if (Number.isSafeInteger(Number(value))) return Number(value);
  return BigInt.asIntN(64, value) === value ? value : undefined;
}

function readJson(text: string, type: SetType): JsonValue | undefined {
  try {
    const value = parseJson(text);
    return typeOf(value) === type ? value : undefined;
  } catch {
    return undefined;
  }
}
