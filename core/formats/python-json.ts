/** Values as Python's `json.dumps` and `repr` write them, which is how flux-core's commands do: with blanks behind `,` and `:`. */

import { type JsonValue, Real } from '../json.ts';
import { reprOf, textOf } from './python-format.ts';

/**
 * The JSON text of a value; keys keep their order.
 *
 * @param isAscii letters beyond ASCII are escaped; otherwise they stand for themselves
 */
export function encodePythonJson(value: JsonValue, isAscii = false): string {
  const encode = (part: JsonValue): string => {
    if (part === null || typeof part === 'boolean') return String(part);
    if (typeof part === 'string') return isAscii ? asciiString(part) : JSON.stringify(part);
    if (isNumber(part)) return textOf(part);
    if (Array.isArray(part)) return `[${part.map(encode).join(', ')}]`;
    return `{${membersOf(part)
      .map(([key, member]) => `${encode(key)}: ${encode(member)}`)
      .join(', ')}}`;
  };
  return encode(value);
}

/** A value as Python shows it inside of another one. */
export function reprJson(value: JsonValue): string {
  if (value === null) return 'None';
  if (typeof value === 'boolean' || typeof value === 'string' || isNumber(value)) return reprOf(value);
  if (Array.isArray(value)) return `[${value.map(reprJson).join(', ')}]`;
  return `{${membersOf(value)
    .map(([key, member]) => `${reprOf(key)}: ${reprJson(member)}`)
    .join(', ')}}`;
}

function isNumber(value: JsonValue): value is number | bigint | Real {
  return typeof value === 'number' || typeof value === 'bigint' || value instanceof Real;
}

function membersOf(value: JsonValue): [string, JsonValue][] {
  return Object.entries(value as object).filter(([, member]) => member !== undefined) as [string, JsonValue][];
}

function asciiString(text: string): string {
  const escaped = (unit: string): string => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`;
  return JSON.stringify(text).replace(/[\u0080-\uffff]/g, escaped);
}
