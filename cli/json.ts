/** JSON for people to read, and as Python's programs write it. */

import { textOf } from '../core/formats/python-format.ts';
import { type JsonValue, Real, stringifyJson } from '../core/json.ts';
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

/** The JSON text of a value on one line as Python's `json.dumps` has it: blanks behind `,` and `:`, and only ASCII. */
export function pythonJson(value: JsonValue): string {
  if (typeof value === 'number' || value instanceof Real) return textOf(value);
  if (typeof value === 'string') return asciiString(value);
  if (Array.isArray(value)) return `[${value.map(pythonJson).join(', ')}]`;
  if (!isObject(value)) return stringifyJson(value);
  const members = Object.entries(value).flatMap(([key, member]) =>
    member === undefined ? [] : `${asciiString(key)}: ${pythonJson(member)}`,
  );
  return `{${members.join(', ')}}`;
}

function asciiString(text: string): string {
  const escaped = (unit: string): string => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`;
  return JSON.stringify(text).replace(/[\u0080-\uffff]/g, escaped);
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
