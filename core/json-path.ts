/**
 * Changes to JSON objects by paths of keys with dots between them, as updates of jobspec, R and annotations name them
 * (RFC 21). Nothing is changed in place: what is on the way is copied, all else shared.
 */

import { FluxError } from './errno.ts';
import type { JsonObject, JsonValue } from './json.ts';
import { isObject } from './message/unpack.ts';

function keysOf(path: string): string[] {
  const keys = path.split('.');
  if (keys.includes('')) throw new FluxError('EINVAL', `'${path}' is not a path of keys`);
  return keys;
}

/** What is at a path; undefined when nothing is. */
export function getPath(object: JsonObject, path: string): JsonValue | undefined {
  let value: JsonValue | undefined = object;
  for (const key of path.split('.')) value = isObject(value) && Object.hasOwn(value, key) ? value[key] : undefined;
  return value;
}

/**
 * An object with another value at a path; objects on the way are made where they are missing.
 *
 * @throws FluxError EINVAL: a key is empty, or on the way is something that is no object
 */
export function setPath(object: JsonObject, path: string, value: JsonValue): JsonObject {
  const set = (inner: JsonObject, [key, ...rest]: readonly string[]): JsonObject => {
    if (rest.length === 0) return { ...inner, [key!]: value };
    const next = Object.hasOwn(inner, key!) ? inner[key!] : {};
    if (!isObject(next)) throw new FluxError('EINVAL', `${path}: ${key} is not an object`);
    return { ...inner, [key!]: set(next, rest) };
  };
  return set(object, keysOf(path));
}

/** An object without what is at a path; itself when nothing is. */
export function deletePath(object: JsonObject, path: string): JsonObject {
  const remove = (inner: JsonObject, [key, ...rest]: readonly string[]): JsonObject => {
    if (!Object.hasOwn(inner, key!)) return inner;
    if (rest.length === 0) {
      const { [key!]: _, ...others } = inner;
      return others;
    }
    const next = inner[key!];
    return isObject(next) ? { ...inner, [key!]: remove(next, rest) } : inner;
  };
  return getPath(object, path) === undefined ? object : remove(object, keysOf(path));
}

/** An object with all that `changes` has, objects merged; null removes a key, and what is then empty goes, too. */
export function mergeObjects(object: JsonObject, changes: JsonObject): JsonObject {
  const merged: Record<string, JsonValue | undefined> = { ...object };
  for (const [key, change] of Object.entries(changes)) {
    const old = Object.hasOwn(object, key) ? object[key] : undefined;
    const value = isObject(change) ? mergeObjects(isObject(old) ? old : {}, change) : change;
    if (value === null || value === undefined || (isObject(value) && Object.keys(value).length === 0)) {
      delete merged[key];
    } else Object.defineProperty(merged, key, { value, enumerable: true, configurable: true, writable: true });
  }
  return merged;
}
