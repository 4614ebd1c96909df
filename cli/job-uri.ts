/** Dependencies (RFC 26) and task maps as URIs: `SCHEME:VALUE?KEY=VALUE&…`. */

import { FluxError } from '../core/errno.ts';
import { parsePythonFloat, parsePythonInt } from '../core/formats/python-number.ts';
import { type JsonObject, type JsonValue, real } from '../core/json.ts';

/**
 * The object that a URI stands for; without a colon all of it is the scheme.
 *
 * @param what how errors call it
 * @throws FluxError EINVAL: no scheme
 */
export function parseJobUri(uri: string, what: string): JsonObject {
  const match = /^([a-z][a-z0-9+.-]*)(?::([^?#]*)(?:\?([^#]*))?(?:#[\s\S]*)?)?$/i.exec(uri);
  if (!match) throw new FluxError('EINVAL', `Invalid ${what} URI "${uri}"`);
  const [, scheme = '', value = '', query = ''] = match;
  return { scheme: scheme.toLowerCase(), value, ...parseQuery(query) };
}

function parseQuery(query: string): JsonObject {
  const lists = new Map<string, JsonValue[]>();
  for (const [key, value] of new URLSearchParams(query)) {
    if (value) lists.set(key, [...(lists.get(key) ?? []), numberOrText(value)]);
  }
  return Object.fromEntries([...lists].map(([key, values]) => [key, values.length > 1 ? values : values[0]!]));
}

function numberOrText(text: string): JsonValue {
  const number = parsePythonFloat(text);
  return parsePythonInt(text) ?? (number === undefined ? text : real(number));
}
