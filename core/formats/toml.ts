/**
 * TOML texts of the configuration, as JSON values: dates become strings, and reals stay apart from integers.
 */

import { parse, TomlError } from 'smol-toml';
import { FluxError } from '../errno.ts';
import { type JsonObject, type JsonValue, real } from '../json.ts';

/**
 * Reads a TOML text.
 *
 * @param source how errors call it: the name of its file
 * @throws FluxError EINVAL with source and line
 */
export function parseToml(text: string, source: string): JsonObject {
  try {
    return toJson(parse(text, { integersAsBigInt: true })) as JsonObject;
  } catch (error) {
    if (!(error instanceof TomlError)) throw error;
    const [sentence] = error.message.replace(/^Invalid TOML document: /, '').split('\n');
    throw new FluxError('EINVAL', `${source}:${error.line}: ${sentence}`);
  }
}

function toJson(value: unknown): JsonValue {
  if (typeof value === 'bigint') return Number.isSafeInteger(Number(value)) ? Number(value) : value;
  if (typeof value === 'number') return real(value);
  if (value instanceof Date) return value.toISOString();
  if (Array.isArray(value)) return value.map(toJson);
  if (typeof value === 'object' && value !== null)
    return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, toJson(each)]));
  return value as JsonValue;
}
