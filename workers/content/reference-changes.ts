/**
 * What the KVS tells of references to blobs, as bytes: for the cache, where much of it waits for some time, and for the
 * backing store (`content-backing.references`).
 *
 * A record is a byte that says of what kind it is, and a digest; a replacement goes on with a count, four bytes, the
 * lowest first, and that many references: a byte, 1 for a directory and 0 for a value, and a digest.
 */

import { FluxError } from '../../core/errno.ts';
import { digestToBlobref, type HashName } from '../../core/formats/blobref.ts';
import type { Reference } from '../../core/formats/tree-references.ts';

/** A directory object that another one has taken the place of. What it referred to, the other one refers to now. */
export interface Replacement {
  readonly old: string;
  /** But not to these, each as often as it is here. */
  readonly removed: readonly Reference[];
}

const Kind = { addition: 0, link: 1, doubt: 2, release: 3, replacement: 4 } as const;

export type ReferenceChange =
  /** One more place refers to a blob. */
  | { readonly kind: 'addition'; readonly blobref: string }
  /** The same of a directory object, which somebody else than the KVS may have stored. */
  | { readonly kind: 'link'; readonly blobref: string }
  /** A directory object was stored and is not used: that it is there does not tell that what it refers to was counted. */
  | { readonly kind: 'doubt'; readonly blobref: string }
  /** One place less refers to a directory object. */
  | { readonly kind: 'release'; readonly blobref: string }
  | ({ readonly kind: 'replacement' } & Replacement);

const digestLengths: Readonly<Record<HashName, number>> = { sha1: 20, sha256: 32 };
const FIRST_SIZE = 4096;
const COUNT_SIZE = 4;

/** Records, one behind the other. What is no blobref of the instance's hash is in no store, and left out. */
export class ReferenceWriter {
  readonly #prefix: string;
  readonly #digestLength: number;
  #buffer = Buffer.alloc(0);
  #end = 0;

  constructor(hash: HashName) {
    this.#prefix = `${hash}-`;
    this.#digestLength = digestLengths[hash];
  }

  get length(): number {
    return this.#end;
  }

  addition(blobref: string): void {
    this.#record(Kind.addition, blobref);
  }

  link(blobref: string): void {
    this.#record(Kind.link, blobref);
  }

  doubt(blobref: string): void {
    this.#record(Kind.doubt, blobref);
  }

  release(blobref: string): void {
    this.#record(Kind.release, blobref);
  }

  replacement({ old, removed }: Replacement): void {
    if (!this.#record(Kind.replacement, old)) return;
    this.#reserve(COUNT_SIZE);
    const place = this.#end;
    this.#end += COUNT_SIZE;
    let count = 0;
    for (const { blobref, isDirectory } of removed) if (this.#record(isDirectory ? 1 : 0, blobref)) count++;
    this.#buffer.writeUInt32LE(count, place);
  }

  /** False for what is no blobref of the hash. */
  #record(kind: number, blobref: string): boolean {
    const size = this.#digestLength;
    if (!blobref.startsWith(this.#prefix) || blobref.length !== this.#prefix.length + 2 * size) return false;
    this.#reserve(1 + size);
    if (this.#buffer.write(blobref.slice(this.#prefix.length), this.#end + 1, 'hex') !== size) return false;
    this.#buffer[this.#end] = kind;
    this.#end += 1 + size;
    return true;
  }

  #reserve(size: number): void {
    if (this.#end + size <= this.#buffer.length) return;
    const larger = Buffer.allocUnsafe(Math.max(FIRST_SIZE, 2 * this.#buffer.length));
    this.#buffer.copy(larger, 0, 0, this.#end);
    this.#buffer = larger;
  }

  /** Takes all records out. */
  take(): Buffer {
    const bytes = Buffer.from(this.#buffer.subarray(0, this.#end));
    this.#end = 0;
    return bytes;
  }
}

/** @throws FluxError EPROTO: no records */
export function* readReferences(hash: HashName, bytes: Uint8Array): Generator<ReferenceChange> {
  const reader = new Reader(hash, bytes);
  while (!reader.isAtEnd) {
    const kind = reader.byte();
    const blobref = reader.blobref();
    if (kind === Kind.addition) yield { kind: 'addition', blobref };
    else if (kind === Kind.link) yield { kind: 'link', blobref };
    else if (kind === Kind.doubt) yield { kind: 'doubt', blobref };
    else if (kind === Kind.release) yield { kind: 'release', blobref };
    else if (kind === Kind.replacement) yield { kind: 'replacement', old: blobref, removed: reader.references() };
    else throw new FluxError('EPROTO', `a change of references is of kind ${kind}`);
  }
}

class Reader {
  readonly #hash: HashName;
  readonly #bytes: Buffer;
  #at = 0;

  constructor(hash: HashName, bytes: Uint8Array) {
    this.#hash = hash;
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  }

  get isAtEnd(): boolean {
    return this.#at === this.#bytes.length;
  }

  #take(size: number): Buffer {
    if (this.#at + size > this.#bytes.length) throw new FluxError('EPROTO', 'a change of references is cut off');
    this.#at += size;
    return this.#bytes.subarray(this.#at - size, this.#at);
  }

  byte(): number {
    return this.#take(1)[0]!;
  }

  blobref(): string {
    return digestToBlobref(this.#hash, this.#take(digestLengths[this.#hash]));
  }

  references(): Reference[] {
    const references: Reference[] = [];
    for (let rest = this.#take(COUNT_SIZE).readUInt32LE(); rest > 0; rest--) {
      const isDirectory = this.byte() === 1;
      references.push({ blobref: this.blobref(), isDirectory });
    }
    return references;
  }
}
