/** JSON as Python's json.dumps writes it, which is how flux-core's commands send jobspecs: a blank behind each `,` and `:`. */

import { type JsonValue, Real } from '../json.ts';
import { textOf } from './python-format.ts';

/** The JSON text of a value; keys keep their order, and letters beyond ASCII stand for themselves. */
export function encodePythonJson(value: JsonValue): string {
  if (value === null || typeof value === 'boolean') return String(value);
  if (typeof value === 'string') return JSON.stringify(value);
  if (typeof value === 'number' || typeof value === 'bigint' || value instanceof Real) return textOf(value);
  if (Array.isArray(value)) return `[${value.map(encodePythonJson).join(', ')}]`;
  const members = Object.entries(value).flatMap(([key, member]: [string, JsonValue | undefined]) =>
    member === undefined ? [] : [`${JSON.stringify(key)}: ${encodePythonJson(member)}`],
  );
  return `{${members.join(', ')}}`;
}
