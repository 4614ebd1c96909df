/** File archives: files, folders and symbolic links as JSON (RFC 37). */

import { isUtf8 } from 'node:buffer';
import { FluxError } from '../errno.ts';
import type { JsonObject, JsonValue } from '../json.ts';
import { isObject, unpack } from '../message/unpack.ts';
import { encodeJson } from './jansson.ts';

/** A part of a file that is a blob in the content store. */
export type Region = readonly [offset: number, size: number, blobref: string];

export type FileKind = 'file' | 'directory' | 'symlink' | 'other';

/** One object of an archive. */
export interface FileObject {
  readonly path: string;
  /** As stat(2) has it: the kind and the permissions. */
  readonly mode: number;
  /** Bytes of a file. */
  readonly size?: number | undefined;
  /** Seconds since 1970. */
  readonly mtime?: number | undefined;
  readonly ctime?: number | undefined;
  readonly encoding?: string | undefined;
  /** A file's content as `encoding` says, or what a link points to. */
  readonly data?: JsonValue | undefined;
}

const KIND_MASK = 0o170000;
const kinds: ReadonlyMap<number, FileKind> = new Map([
  [0o100000, 'file'],
  [0o040000, 'directory'],
  [0o120000, 'symlink'],
]);
const letters: Readonly<Record<FileKind, string>> = { file: 'f', directory: 'd', symlink: 'l', other: '?' };

export function kindOf({ mode }: { readonly mode: number }): FileKind {
  return kinds.get(mode & KIND_MASK) ?? 'other';
}

// ---- making objects

/**
 * A small file's content as text, or as base64 where it is none. Text with a NUL is none to C clients, who refuse it in
 * JSON.
 */
export function encodeContent(bytes: Uint8Array): { readonly encoding: string; readonly data: string } {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  return isUtf8(buffer) && !buffer.includes(0)
    ? { encoding: 'utf-8', data: buffer.toString() }
    : { encoding: 'base64', data: buffer.toString('base64') };
}

/** The object as JSON, members in the order that Flux writes them. */
export function encodeFileObject(file: FileObject): JsonObject {
  const { path, encoding, data, size, mtime, ctime, mode } = file;
  return { path, encoding, data, size, mtime, ctime, mode };
}

// ---- reading objects

/**
 * The objects of an archive, which is a list or a dictionary by path.
 *
 * @throws FluxError EINVAL: it is neither, or an object in it is none
 */
export function decodeArchive(value: JsonValue): FileObject[] {
  if (Array.isArray(value)) return value.map((object) => decodeFileObject(object));
  if (isObject(value)) return Object.entries(value).map(([path, object]) => decodeFileObject(object, path));
  throw new FluxError('EINVAL', 'this is no archive: it is neither a list nor an object');
}

function decodeFileObject(value: JsonValue | undefined, outerPath?: string): FileObject {
  try {
    const { path = outerPath, ...rest } = unpack(value, {
      path: 's?',
      mode: 'i',
      size: 'i?',
      mtime: 'i?',
      ctime: 'i?',
      encoding: 's?',
      data: '*?',
    });
    if (path !== undefined) return { path, ...rest };
  } catch (error) {
    throw new FluxError('EINVAL', `invalid object in the archive: ${(error as Error).message}`);
  }
  throw new FluxError('EINVAL', 'invalid object in the archive: it has no path');
}

/**
 * Where a file goes below the folder that an archive is unpacked in.
 *
 * @throws FluxError EINVAL: the path leads out of it
 */
export function safePath(path: string): string {
  if (path === '' || path.startsWith('/') || path.includes('\0') || path.split('/').includes('..'))
    throw new FluxError('EINVAL', `'${path}' leads out of the folder`);
  return path;
}

/**
 * The content of a file that is in the archive itself; that of a blobvec is in the content store.
 *
 * @throws FluxError EINVAL: the data is not what the encoding says
 */
export function decodeContent({ path, encoding, data }: FileObject): Uint8Array {
  if (data === undefined) return new Uint8Array();
  if (encoding === undefined) return Buffer.from(encodeJson(data));
  if (encoding !== 'utf-8' && encoding !== 'base64')
    throw new FluxError('EINVAL', `${path}: unknown encoding '${encoding}'`);
  if (typeof data !== 'string') throw new FluxError('EINVAL', `${path}: its data is no string`);
  if (encoding === 'utf-8') return Buffer.from(data);
  const bytes = Buffer.from(data, 'base64');
  if (bytes.toString('base64').replace(/=+$/, '') !== data.replace(/=+$/, ''))
    throw new FluxError('EINVAL', `${path}: its data is no base64`);
  return bytes;
}

/** Whether a file's content is in the content store. */
export function isBlobvec({ encoding }: FileObject): boolean {
  return encoding === 'blobvec';
}

/**
 * The parts of a file whose content is in the content store; what is between them are zeros.
 *
 * @throws FluxError EINVAL: one is no region, or does not lie in the file
 */
export function decodeRegions({ path, size = 0, data }: FileObject): Region[] {
  if (!Array.isArray(data)) throw new FluxError('EINVAL', `${path}: its data is no list of regions`);
  return data.map((item: JsonValue) => {
    const [offset, length, blobref] = Array.isArray(item) ? item : [];
    const isRegion =
      Number.isSafeInteger(offset) && Number.isSafeInteger(length) && offset >= 0 && length >= 0 && isString(blobref);
    if (!isRegion) throw new FluxError('EINVAL', `${path}: error decoding a region of its data`);
    if (offset + length > size) throw new FluxError('EINVAL', `${path}: a region lies behind the end of the file`);
    return [offset, length, blobref];
  });
}

function isString(value: unknown): value is string {
  return typeof value === 'string';
}

// ---- showing them

/** One line for a list of files; long with kind, permissions and size: `f 0644       11 d/small`. */
export function describeFile(file: FileObject, long = false): string {
  if (!long) return file.path;
  const permissions = (file.mode & 0o777).toString(8);
  return `${letters[kindOf(file)]} 0${permissions} ${String(file.size ?? 0).padStart(8)} ${file.path}`;
}

// ---- holes

/** What a file system keeps apart at the finest: parts of a file are holes or not in multiples of it. */
const HOLE_BLOCK = 4096;

/** How many bytes at the start of `bytes` are data, until a block of zeros begins. */
export function dataLength(bytes: Uint8Array): number {
  return scanBlocks(bytes, (block) => !isZero(block));
}

/** How many bytes at the start of `bytes` are blocks of zeros. */
export function holeLength(bytes: Uint8Array): number {
  return scanBlocks(bytes, isZero);
}

function scanBlocks(bytes: Uint8Array, goOn: (block: Uint8Array) => boolean): number {
  for (let at = 0; at < bytes.length; at += HOLE_BLOCK) if (!goOn(bytes.subarray(at, at + HOLE_BLOCK))) return at;
  return bytes.length;
}

const zeros = Buffer.alloc(HOLE_BLOCK);

function isZero(block: Uint8Array): boolean {
  return zeros.compare(block, 0, block.length, 0, block.length) === 0;
}
