/**
 * Values inside of JSON objects, by paths with dots: `attributes.system.duration`.
 *
 * Events change jobs' specifications and annotations by such paths (RFC 21). What is changed is a copy along the path;
 * the object that was there stays as it is.
 */

import { FluxError } from '../errno.ts';
import type { JsonObject, JsonValue } from '../json.ts';
import { isObject } from '../message/unpack.ts';

/** The value at a path; undefined: there is none. */
export function valueAt(object: JsonObject, path: string): JsonValue | undefined {
  let value: JsonValue | undefined = object;
  for (const key of path.split('.')) value = isObject(value) && Object.hasOwn(value, key) ? value[key] : undefined;
  return value;
}

/**
 * The object with another value at a path; objects on the way are made where they are missing.
 *
 * @throws FluxError EINVAL: a part of the path is empty, or leads into what is no object
 */
export function withValueAt(object: JsonObject, path: string, value: JsonValue): JsonObject {
  return changed(object, path.split('.'), path, () => value);
}

/**
 * The object with another object merged into what is at a path (RFC 21, memo): members that are null are removed, and
 * with them objects that have become empty.
 *
 * @throws FluxError EINVAL: as `withValueAt`
 */
export function withMergedAt(object: JsonObject, path: string, members: JsonObject): JsonObject {
  return withoutNulls(changed(object, path.split('.'), path, (value) => merged(value, members)));
}

/** As `withMergedAt`, with the object itself. */
export function withMerged(object: JsonObject, members: JsonObject): JsonObject {
  return withoutNulls(merged(object, members));
}

/** The object without what is at a path; itself when nothing is. */
export function withoutValueAt(object: JsonObject, path: string): JsonObject {
  return valueAt(object, path) === undefined ? object : without(object, path.split('.'));
}

function without(object: JsonObject, [key, ...more]: readonly string[]): JsonObject {
  if (more.length) return withMember(object, key!, without(object[key!] as JsonObject, more));
  const { [key!]: _, ...others } = object;
  return others;
}

function changed(
  object: JsonObject,
  keys: readonly string[],
  path: string,
  change: (value: JsonValue | undefined) => JsonValue,
): JsonObject {
  const [key, ...more] = keys;
  if (!key) throw new FluxError('EINVAL', `the path '${path}' has an empty part`);
  const value = Object.hasOwn(object, key) ? object[key] : undefined;
  if (more.length === 0) return withMember(object, key, change(value));
  if (value !== undefined && !isObject(value)) throw new FluxError('EINVAL', `${path}: ${key} is not an object`);
  return withMember(object, key, changed(value ?? {}, more, path, change));
}

function merged(value: JsonValue | undefined, members: JsonObject): JsonObject {
  let result: JsonObject = isObject(value) ? value : {};
  for (const [key, member] of Object.entries(members)) {
    if (member === undefined) continue;
    const before = Object.hasOwn(result, key) ? result[key] : undefined;
    result = withMember(result, key, isObject(member) ? merged(before, member) : member);
  }
  return result;
}

function withoutNulls(object: JsonObject): JsonObject {
  let result: JsonObject = {};
  for (const [key, member] of Object.entries(object)) {
    const kept = isObject(member) ? withoutNulls(member) : member;
    const isEmpty = kept === null || (isObject(kept) && Object.keys(kept).length === 0);
    if (kept !== undefined && !isEmpty) result = withMember(result, key, kept);
  }
  return result;
}

/** A copy, with a member whatever its name: an assignment would make `__proto__` something else. */
function withMember(object: JsonObject, key: string, value: JsonValue): JsonObject {
  const copy = { ...object };
  Object.defineProperty(copy, key, { value, enumerable: true, configurable: true, writable: true });
  return copy;
}
