/**
 * Tar archives: POSIX ustar with pax extended headers (IEEE 1003.1, pax), and what GNU tar writes for long names and
 * large numbers.
 *
 * An archive is read and written as a stream: of an entry's content no more than a piece is here at a time.
 */

import { FluxError } from '../errno.ts';
import { ByteSource } from './byte-source.ts';

export type TarType = 'file' | 'symlink' | 'link' | 'directory' | 'other';

export interface TarHeader {
  readonly path: string;
  readonly type: TarType;
  /** Bytes of content behind the header. */
  readonly size: number;
  /** Seconds since 1970. */
  readonly mtime?: number;
  readonly mode?: number;
  readonly uid?: number;
  readonly gid?: number;
  /** What a link points to. */
  readonly target?: string;
  /** Pax records beside those that hold the fields above, such as `VENDOR.keyword`. */
  readonly records?: ReadonlyMap<string, string>;
}

const BLOCK = 512;
/** A program's own memory for one entry's long names and pax records; real ones have some hundred bytes. */
const EXTENSION_MAX = 1 << 20;

// ---- writing

/** What ends an archive: two blocks of zeros. */
export const TAR_END: Uint8Array = new Uint8Array(2 * BLOCK);

/** The zeros behind an entry's content of `size` bytes. */
export function tarPadding(size: number): Uint8Array {
  return TAR_END.subarray(0, (BLOCK - (size % BLOCK)) % BLOCK);
}

/** The header of an entry, with a pax header in front of it when ustar has no room for a field. */
export function encodeTarHeader(header: TarHeader): Uint8Array {
  const { size, mtime = 0, uid = 0, gid = 0, target = '' } = header;
  const records = new Map(header.records);
  const place = placePath(header.path);
  if (!place) records.set('path', header.path);
  if (!isPlain(target) || target.length > 100) records.set('linkpath', target);
  for (const [name, value, digits] of [
    ['size', size, 11],
    ['mtime', mtime, 11],
    ['uid', uid, 7],
    ['gid', gid, 7],
  ] as const)
    if (!Number.isInteger(value) || value < 0 || value >= 8 ** digits) records.set(name, String(value));
  const { name, prefix } = place ?? shortPath(header.path);
  const block = encodeBlock({ ...header, size, mtime, uid, gid, target }, typeFlags[header.type], name, prefix);
  if (!records.size) return block;
  const pax = encodeRecords(records);
  const paxName = `PaxHeader/${name.slice(-80)}`;
  const paxHeader = { ...header, size: pax.length, mtime, uid, gid, target: '' };
  return Buffer.concat([encodeBlock(paxHeader, 'x', paxName, ''), pax, tarPadding(pax.length), block]);
}

const typeFlags: Readonly<Record<TarType, string>> = { file: '0', link: '1', symlink: '2', directory: '5', other: '0' };

/** Whether old programs read a text as it is: pax headers are in UTF-8, ustar says nothing of bytes beyond ASCII. */
function isPlain(text: string): boolean {
  return /^[ -~]*$/.test(text);
}

/** Where a path goes in a ustar header: whole, or split at a slash. Undefined when it has no room there. */
function placePath(path: string): { name: string; prefix: string } | undefined {
  if (!isPlain(path)) return undefined;
  if (path.length <= 100) return { name: path, prefix: '' };
  const slash = path.indexOf('/', path.length - 101);
  return slash > 0 && slash <= 155 && slash < path.length - 1
    ? { name: path.slice(slash + 1), prefix: path.slice(0, slash) }
    : undefined;
}

/** What programs without pax show for a path: its end. */
function shortPath(path: string): { name: string; prefix: string } {
  return { name: path.replace(/[^ -~]/g, '_').slice(-100), prefix: '' };
}

function encodeBlock(header: TarHeader, typeFlag: string, name: string, prefix: string): Uint8Array {
  const block = Buffer.alloc(BLOCK);
  const octal = (value: number, offset: number, digits: number) => {
    const fitting = Number.isInteger(value) && value >= 0 && value < 8 ** digits ? value : 0;
    block.write(fitting.toString(8).padStart(digits, '0'), offset);
  };
  block.write(name, 0, 100, 'latin1');
  octal(header.mode ?? 0o644, 100, 7);
  octal(header.uid ?? 0, 108, 7);
  octal(header.gid ?? 0, 116, 7);
  octal(header.size, 124, 11);
  octal(header.mtime ?? 0, 136, 11);
  block.fill(' ', 148, 156);
  block.write(typeFlag, 156);
  block.write(header.target?.replace(/[^ -~]/g, '_') ?? '', 157, 100, 'latin1');
  block.write('ustar\x0000', 257, 'latin1');
  block.write(prefix, 345, 155, 'latin1');
  block.write(`${checksum(block).toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  return block;
}

/** The sum of the header's bytes, those of the checksum itself counted as blanks. */
function checksum(block: Uint8Array): number {
  let sum = 8 * 0x20;
  for (let i = 0; i < BLOCK; i++) if (i < 148 || i >= 156) sum += block[i]!;
  return sum;
}

/** Each record is `LENGTH KEYWORD=VALUE\n`; the length counts its own digits, too. */
function encodeRecords(records: ReadonlyMap<string, string>): Uint8Array {
  let text = '';
  for (const [keyword, value] of records) {
    const rest = ` ${keyword}=${value}\n`;
    const bytes = Buffer.byteLength(rest);
    let length = bytes;
    while (length !== bytes + String(length).length) length = bytes + String(length).length;
    text += length + rest;
  }
  return Buffer.from(text);
}

// ---- reading

/** Reads an archive entry by entry; the content of an entry that is not read is passed over. */
export class TarReader {
  readonly #source: ByteSource;
  // Bytes of the present entry that are still to come, and the padding behind them.
  #left = 0;
  #padding = 0;
  #globals: ReadonlyMap<string, string> = new Map();

  constructor(chunks: AsyncIterable<Uint8Array>) {
    this.#source = new ByteSource(chunks);
  }

  /**
   * The next entry, or undefined at the end of the archive.
   *
   * @throws FluxError EINVAL: this is no tar archive, or it is cut off
   */
  async next(): Promise<TarHeader | undefined> {
    await this.#skip();
    let local: Map<string, string> | undefined;
    let isFirst = true;
    for (;;) {
      const block = await this.#source.take(BLOCK);
      if (!block) {
        if (!isFirst) throw cutOff();
        return undefined;
      }
      if (block.length < BLOCK) throw cutOff();
      if (block[0] === 0 && block.every((byte) => byte === 0)) return undefined;
      const header = decodeBlock(block);
      const { flag } = header;
      if (flag === 'x' || flag === 'g' || flag === 'L' || flag === 'K') {
        const bytes = await this.#extension(header.size);
        if (flag === 'g') this.#globals = new Map([...this.#globals, ...decodeRecords(bytes)]);
        else local = new Map([...(local ?? []), ...(flag === 'x' ? decodeRecords(bytes) : gnuRecord(flag, bytes))]);
        isFirst = false;
        continue;
      }
      const entry = withRecords(header, new Map([...this.#globals, ...(local ?? [])]));
      this.#left = entry.size;
      this.#padding = tarPadding(entry.size).length;
      return entry;
    }
  }

  /**
   * The next `most` bytes of the present entry's content, fewer at its end, none behind it.
   *
   * @throws FluxError EINVAL: the archive is cut off
   */
  async read(most: number): Promise<Uint8Array> {
    const length = Math.min(most, this.#left);
    if (!length) return new Uint8Array();
    const bytes = await this.#source.take(length);
    if (bytes?.length !== length) throw cutOff();
    this.#left -= length;
    return bytes;
  }

  async #skip(): Promise<void> {
    const wanted = this.#left + this.#padding;
    const skipped = await this.#source.skip(wanted);
    // An archive may end with the content of its last entry.
    if (skipped < this.#left) throw cutOff();
    this.#left = 0;
    this.#padding = 0;
  }

  async #extension(size: number): Promise<Uint8Array> {
    if (size > EXTENSION_MAX) throw new FluxError('EINVAL', `an archive entry has ${size} bytes of names and records`);
    const bytes = await this.#source.take(size);
    if (size && bytes?.length !== size) throw cutOff();
    await this.#source.skip(tarPadding(size).length);
    return bytes ?? new Uint8Array();
  }
}

function cutOff(): FluxError {
  return new FluxError('EINVAL', 'the archive is cut off');
}

interface Block extends TarHeader {
  readonly flag: string;
}

const typesOfFlags: Readonly<Record<string, TarType>> = {
  '0': 'file',
  '\0': 'file',
  '7': 'file',
  '1': 'link',
  '2': 'symlink',
  '5': 'directory',
};

function decodeBlock(bytes: Uint8Array): Block {
  const block = Buffer.from(bytes.buffer, bytes.byteOffset, BLOCK);
  if (decodeNumber(block, 148, 8) !== checksum(block)) throw new FluxError('EINVAL', 'this is no tar archive');
  const name = decodeText(block, 0, 100);
  // GNU tar has other things where ustar has the prefix, and says so by a blank behind "ustar".
  const prefix = block.toString('latin1', 257, 263) === 'ustar\0' ? decodeText(block, 345, 155) : '';
  const path = prefix ? `${prefix}/${name}` : name;
  const flag = String.fromCharCode(block[156]!);
  const type = typesOfFlags[flag] ?? 'other';
  return {
    flag,
    path,
    // Before ustar, a slash behind its name was what told a folder.
    type: flag === '\0' && path.endsWith('/') ? 'directory' : type,
    size: decodeNumber(block, 124, 12),
    mtime: decodeNumber(block, 136, 12),
    mode: decodeNumber(block, 100, 8),
    uid: decodeNumber(block, 108, 8),
    gid: decodeNumber(block, 116, 8),
    target: decodeText(block, 157, 100),
  };
}

function decodeText(block: Buffer, offset: number, length: number): string {
  const end = block.indexOf(0, offset);
  return block.toString('utf8', offset, end < 0 ? offset + length : Math.min(end, offset + length));
}

/** Octal digits, or (GNU) a binary number behind a byte of 0x80 or, for a negative one, 0xff. */
function decodeNumber(block: Buffer, offset: number, length: number): number {
  if (block[offset]! & 0x80) {
    let value = block[offset] === 0xff ? -1n : BigInt(block[offset]! & 0x7f);
    for (let i = offset + 1; i < offset + length; i++) value = value * 256n + BigInt(block[i]!);
    return Number(value);
  }
  const digits = decodeText(block, offset, length).trim();
  if (!/^[0-7]*$/.test(digits)) throw new FluxError('EINVAL', 'this is no tar archive');
  return Number.parseInt(digits || '0', 8);
}

function decodeRecords(bytes: Uint8Array): Map<string, string> {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  const records = new Map<string, string>();
  for (let start = 0; start < text.length; ) {
    const blank = text.indexOf(' ', start);
    const length = Number(text.toString('latin1', start, Math.max(start, blank)));
    const equals = text.indexOf('=', blank);
    const end = start + length;
    if (!(length > 0) || equals < 0 || equals >= end || text[end - 1] !== 0x0a)
      throw new FluxError('EINVAL', 'the archive has a bad pax header');
    records.set(text.toString('utf8', blank + 1, equals), text.toString('utf8', equals + 1, end - 1));
    start = end;
  }
  return records;
}

/** GNU tar's entries that hold nothing but the next entry's long path or target. */
function gnuRecord(flag: 'L' | 'K', bytes: Uint8Array): [string, string][] {
  const text = Buffer.from(bytes).toString().replace(/\0.*$/s, '');
  return [[flag === 'L' ? 'path' : 'linkpath', text]];
}

function withRecords(header: Block, records: Map<string, string>): TarHeader {
  const take = (keyword: string) => {
    const value = records.get(keyword);
    records.delete(keyword);
    return value || undefined;
  };
  const number = (keyword: 'size' | 'mtime' | 'uid' | 'gid') => {
    const text = take(keyword);
    const value = text === undefined ? header[keyword]! : Number(text);
    if (!Number.isFinite(value) || (keyword === 'size' && !(Number.isSafeInteger(value) && value >= 0)))
      throw new FluxError('EINVAL', `the archive has a bad ${keyword} for ${header.path}`);
    return value;
  };
  const isSparse = header.flag === 'S' || [...records.keys()].some((keyword) => keyword.startsWith('GNU.sparse.'));
  const path = take('path') ?? header.path;
  if (isSparse) throw new FluxError('EINVAL', `${path}: sparse files of GNU tar are not supported`);
  const target = take('linkpath') ?? header.target!;
  const { type, mode } = header;
  const numbers = { size: number('size'), mtime: number('mtime'), uid: number('uid'), gid: number('gid') };
  // Links have no content, whatever their size says.
  const size = type === 'file' || type === 'other' ? numbers.size : 0;
  return { path, type, ...numbers, size, mode: mode!, target, records };
}
