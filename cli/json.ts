/** JSON for people to read, and as Python's programs write it. */

import { type JsonValue, stringifyJson } from '../core/json.ts';
import { isObject } from '../core/message/unpack.ts';

const tokens = /"(?:[^"\\]|\\.)*"|[{}[\],:]|[^{}[\],:"]+/g;

/** The JSON text of a value, a member a line, indented; numbers keep their kind and all their digits. */
export function indentJson(value: JsonValue, width = 2): string {
  let indent = '\n';
  let text = '';
  let isEmpty = false;
  for (const [token] of stringifyJson(value).matchAll(tokens)) {
    const closes = token === '}' || token === ']';
    if (closes) indent = indent.slice(0, -width);
    if (closes ? !isEmpty : isEmpty) text += indent;
    isEmpty = token === '{' || token === '[';
    if (isEmpty) indent += ' '.repeat(width);
    text += token;
    if (token === ',') text += indent;
    else if (token === ':') text += ' ';
  }
  return text;
}

/** The compact JSON text of a value, keys in the order of their names. */
export function canonicalJson(value: JsonValue): string {
  return stringifyJson(sortKeys(value));
}

function sortKeys(value: JsonValue): JsonValue {
  if (Array.isArray(value)) return value.map(sortKeys);
  if (!isObject(value)) return value;
  const keys = Object.keys(value).sort();
  return Object.fromEntries(keys.map((key) => [key, sortKeys(value[key] ?? null)]));
}
