/** Values as Python's `json.dumps` and `repr` write them: with blanks, in ASCII, and `True` for true. */

import { reprOf, textOf } from '../core/formats/python-format.ts';
import { type JsonValue, Real } from '../core/json.ts';

/** A JSON text with blanks behind commas and colons; what is not ASCII is escaped. */
export function dumpJson(value: JsonValue): string {
  if (value === null) return 'null';
  if (typeof value === 'boolean') return String(value);
  if (typeof value === 'string') return quote(value);
  if (isNumber(value)) return textOf(value);
  if (Array.isArray(value)) return `[${value.map(dumpJson).join(', ')}]`;
  return `{${entries(value)
    .map(([key, item]) => `${quote(key)}: ${dumpJson(item)}`)
    .join(', ')}}`;
}

/** A value as Python shows it inside of another one. */
export function reprJson(value: JsonValue): string {
  if (value === null) return 'None';
  if (typeof value === 'boolean' || typeof value === 'string' || isNumber(value)) return reprOf(value);
  if (Array.isArray(value)) return `[${value.map(reprJson).join(', ')}]`;
  return `{${entries(value)
    .map(([key, item]) => `${reprOf(key)}: ${reprJson(item)}`)
    .join(', ')}}`;
}

function isNumber(value: JsonValue): value is number | bigint | Real {
  return typeof value === 'number' || typeof value === 'bigint' || value instanceof Real;
}

function entries(value: JsonValue): [string, JsonValue][] {
  return Object.entries(value as object).filter(([, item]) => item !== undefined) as [string, JsonValue][];
}

function quote(text: string): string {
  const escaped = (unit: string) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`;
  return JSON.stringify(text).replace(/[\u007f-\uffff]/g, (unit) => (unit === '\u007f' ? unit : escaped(unit)));
}
