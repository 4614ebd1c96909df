/** Values in the configuration by their path: `tbon.torpid_max`. */

import { FluxError } from '../errno.ts';
import type { JsonObject, JsonValue } from '../json.ts';
import { isObject } from '../message/unpack.ts';

function keysOf(path: string): string[] {
  const keys = path.split('.');
  if (keys.includes('')) throw new FluxError('EINVAL', `'${path}' is no path of keys between dots`);
  return keys;
}

/** The value at a path; undefined when there is none. */
export function valueAt(config: JsonObject, path: string): JsonValue | undefined {
  return keysOf(path).reduce<JsonValue | undefined>(
    (value, key) => (isObject(value) && Object.hasOwn(value, key) ? value[key] : undefined),
    config,
  );
}

/**
 * The configuration with another value at a path, or, for undefined, without what was there; tables on the way are made.
 *
 * @throws FluxError EINVAL when the path is none, or leads through what is no table
 */
export function withValueAt(config: JsonObject, path: string, value: JsonValue | undefined): JsonObject {
  return change(config, keysOf(path), value, path);
}

function change(table: JsonObject, keys: readonly string[], value: JsonValue | undefined, path: string): JsonObject {
  const [key, ...rest] = keys as [string, ...string[]];
  if (rest.length === 0) {
    const { [key]: _, ...others } = table;
    return value === undefined ? others : { ...table, [key]: value };
  }
  const inner = table[key] ?? (value === undefined ? undefined : {});
  if (inner === undefined) return table;
  if (!isObject(inner)) throw new FluxError('EINVAL', `${path}: '${key}' is no table`);
  return { ...table, [key]: change(inner, rest, value, path) };
}
