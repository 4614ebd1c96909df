/** What Lua hands to functions of the host. */

import { FluxError } from '../../../core/errno.ts';
import { type JsonValue, stringifyJson } from '../../../core/json.ts';

/**
 * A text; numbers are taken as such, as everywhere in Lua.
 *
 * @param what what it is to be, for the error
 * @throws FluxError EINVAL: it is neither
 */
export function textArgument(value: JsonValue | undefined, what: string): string {
  if (typeof value === 'string') return value;
  if (typeof value === 'number') return String(value);
  throw new FluxError('EINVAL', `${what} is no text: ${stringifyJson(value ?? null).replace('null', 'nil')}`);
}

/** The third argument of `setenv`: whether a variable that is set already is set again. */
export function overwrites(value: JsonValue | undefined): boolean {
  return value !== false && value !== 0;
}
