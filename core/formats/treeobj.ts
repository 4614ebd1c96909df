/**
 * Tree objects: what the key value store is made of (RFC 11). They are JSON, and written in one way only, since their
 * hash is their name: compact, members sorted by their bytes.
 */

import { FluxError } from '../errno.ts';
import type { JsonValue } from '../json.ts';
import { isObject } from '../message/unpack.ts';
import { decodeBase64 } from './base64.ts';
import { isBlobref } from './blobref.ts';
import { encodeJson } from './jansson.ts';
import { DEPTH_MAX } from './json-scanner.ts';

/** A type, not an interface: so tree objects are JSON values to the compiler. */
type Typed<Type extends string, Data> = {
  readonly data: Data;
  readonly type: Type;
  readonly ver: 1;
};

/** A value itself, in base64. */
export type Val = Typed<'val', string>;
/** A value as the blobrefs of its parts. */
export type Valref = Typed<'valref', readonly string[]>;
/** A directory: objects by name. */
export type Dir = Typed<'dir', { readonly [name: string]: Treeobj }>;
/** A directory as the blobref of its `dir` or `hdir`. */
export type Dirref = Typed<'dirref', readonly string[]>;
/** Another key, in a namespace or in the one that the link is in. */
export type Symlink = Typed<'symlink', { readonly namespace?: string; readonly target: string }>;
/** A large directory: directories by a hash of the names in them (RFC 11, Hdir). */
export type Hdir = Typed<
  'hdir',
  { readonly bucket: readonly (Dirref | null)[]; readonly func: string; readonly size: number }
>;

/** What may stand in a directory. */
export type Treeobj = Val | Valref | Dir | Dirref | Symlink;

export function makeVal(value: Uint8Array): Val {
  return { data: toBuffer(value).toString('base64'), type: 'val', ver: 1 };
}

export function makeValref(blobrefs: readonly string[]): Valref {
  return { data: blobrefs, type: 'valref', ver: 1 };
}

export function makeDirref(blobref: string): Dirref {
  return { data: [blobref], type: 'dirref', ver: 1 };
}

export function makeDir(data: Dir['data'] = {}): Dir {
  return { data, type: 'dir', ver: 1 };
}

export function makeSymlink(target: string, namespace?: string): Symlink {
  return { data: namespace === undefined ? { target } : { namespace, target }, type: 'symlink', ver: 1 };
}

/**
 * The bytes of a value.
 *
 * @throws FluxError EPROTO: no `val`, or its data is no base64
 */
export function valBytes(object: Treeobj | undefined): Buffer {
  if (object?.type !== 'val') throw new FluxError('EPROTO', `a ${object?.type ?? 'missing object'} is no value`);
  const bytes = decodeBase64(object.data);
  if (!bytes) throw new FluxError('EPROTO', 'a value is no base64');
  return bytes;
}

/**
 * Finds a JSON value to be a tree object that may stand in a directory, with all that is in it.
 *
 * @returns the value itself
 * @throws FluxError EINVAL: no tree object, or an `hdir`
 */
export function checkTreeobj(value: JsonValue): Treeobj {
  check(value, 1);
  return value as Treeobj;
}

/**
 * Finds a JSON value to be what a `dirref` leads to.
 *
 * @returns the value itself
 * @throws FluxError EINVAL: no `dir` and no `hdir`
 */
export function checkDirectory(value: JsonValue): Dir | Hdir {
  const { type, data } = unpack(value);
  if (type === 'dir') checkDir(data, 1);
  else if (type === 'hdir') checkHdir(data);
  else throw invalid(`a ${type} is no directory`);
  return value as Dir | Hdir;
}

function check(value: JsonValue, depth: number): void {
  const { type, data } = unpack(value);
  switch (type) {
    case 'val':
      if (typeof data !== 'string') throw invalid('the data of a val is no string');
      return;
    case 'valref':
    case 'dirref':
      checkBlobrefs(type, data);
      return;
    case 'dir':
      checkDir(data, depth);
      return;
    case 'symlink':
      checkSymlink(data);
      return;
    default:
      throw invalid(`a tree object cannot be of type '${type}' here`);
  }
}

function unpack(value: JsonValue): { type: string; data: JsonValue } {
  if (!isObject(value)) throw invalid('a tree object is a JSON object');
  const { ver, type, data } = value;
  if (ver !== 1) throw invalid('the version of a tree object is 1');
  if (typeof type !== 'string' || data === undefined || Object.keys(value).length !== 3)
    throw invalid('a tree object has the members data, type and ver');
  return { type, data };
}

function checkBlobrefs(type: string, data: JsonValue): void {
  if (!Array.isArray(data) || !data.length || !data.every((item) => typeof item === 'string' && isBlobref(item)))
    throw invalid(`the data of a ${type} is no list of blobrefs`);
}

/** Two levels of JSON are one of directories. */
function checkDir(data: JsonValue, depth: number): void {
  if (!isObject(data)) throw invalid('the data of a dir is no object');
  if (2 * depth > DEPTH_MAX) throw invalid('directories are nested too deep');
  for (const name of Object.keys(data)) check(data[name]!, depth + 1);
}

function checkSymlink(data: JsonValue): void {
  if (!isObject(data)) throw invalid('the data of a symlink is no object');
  if (typeof data.target !== 'string') throw invalid('a symlink has no target');
  if (data.namespace !== undefined && typeof data.namespace !== 'string')
    throw invalid('the namespace of a symlink is no string');
}

function checkHdir(data: JsonValue): void {
  if (!isObject(data)) throw invalid('the data of an hdir is no object');
  const { size, func, bucket } = data;
  if (typeof func !== 'string') throw invalid('an hdir names no hash function');
  if (!Array.isArray(bucket) || !bucket.length || size !== bucket.length)
    throw invalid('an hdir has not as many buckets as it says');
  for (const dirref of bucket) if (dirref !== null) checkBucket(dirref);
}

function checkBucket(value: JsonValue): void {
  const { type, data } = unpack(value);
  if (type !== 'dirref') throw invalid('a bucket of an hdir is no dirref');
  checkBlobrefs(type, data);
  if ((data as JsonValue[]).length !== 1) throw invalid('a bucket of an hdir has more than one blobref');
}

/** Writes a tree object as it is stored. */
export function encodeTreeobj(object: Treeobj | Hdir): string {
  return `{"data":${encodeData(object)},"type":"${object.type}","ver":1}`;
}

function encodeData(object: Treeobj | Hdir): string {
  switch (object.type) {
    case 'val':
      return encodeJson(object.data);
    case 'valref':
    case 'dirref':
      return `["${object.data.join('","')}"]`;
    case 'dir': {
      const names = Object.keys(object.data).sort(compareNames);
      return `{${names.map((name) => encodeEntry(name, object.data[name]!)).join(',')}}`;
    }
    case 'symlink': {
      const { namespace, target } = object.data;
      const first = namespace === undefined ? '' : `"namespace":${encodeJson(namespace)},`;
      return `{${first}"target":${encodeJson(target)}}`;
    }
    case 'hdir': {
      const { bucket, func, size } = object.data;
      const buckets = bucket.map((dirref) => dirref && encodeTreeobj(dirref));
      return `{"bucket":[${buckets.map(String).join(',')}],"func":${encodeJson(func)},"size":${size}}`;
    }
  }
}

/** A member of a directory as it is stored: `"name":{...}`. */
export function encodeEntry(name: string, object: Treeobj): string {
  return `${encodeJson(name)}:${encodeTreeobj(object)}`;
}

/**
 * The order of names in a directory, that of their bytes in UTF-8. Strings compare by UTF-16 units, which is another
 * order only where one of two different units is half of a character.
 */
export function compareNames(a: string, b: string): number {
  if (a === b) return 0;
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    const x = a.charCodeAt(i);
    const y = b.charCodeAt(i);
    if (x === y) continue;
    return isSurrogate(x) === isSurrogate(y) ? x - y : isSurrogate(x) ? 1 : -1;
  }
  return a.length - b.length;
}

function isSurrogate(unit: number): boolean {
  return (unit & 0xf800) === 0xd800;
}

function toBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
}

function invalid(sentence: string): FluxError {
  return new FluxError('EINVAL', sentence);
}
