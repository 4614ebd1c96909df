/**
 * Blobrefs: the hash of a blob, by which it is found again: `sha1-` and 40 hexadecimal digits, or `sha256-` and 64
 * (RFC 10).
 */

import { createRequire } from 'node:module';
import { FluxError } from '../errno.ts';

export type HashName = 'sha1' | 'sha256';

/** A hash as its bytes: 20 of sha1, 32 of sha256. */
export interface Digest {
  readonly hash: HashName;
  readonly digest: Uint8Array;
}

const pattern = /^(?:sha1-[0-9a-f]{40}|sha256-[0-9a-f]{64})$/;
const digestLength = { sha1: 20, sha256: 32 };

type Hex = (hash: HashName, bytes: Uint8Array) => string;

let hex: Hex | undefined;

/** Made with the first blobref: commands that make none do without what takes two milliseconds to load. */
function makeHex(): Hex {
  const crypto = createRequire(import.meta.url)('node:crypto') as typeof import('node:crypto');
  // Newer than the oldest Node that runs this, and twice as quick for what is short.
  const { hash: oneShot } = crypto as { hash?: (name: string, data: Uint8Array, encoding: 'hex') => string };
  if (oneShot) return (hash, bytes) => oneShot(hash, bytes, 'hex');
  return (hash, bytes) => crypto.createHash(hash).update(bytes).digest('hex');
}

/** Whether a text is the name of a hash that Flux knows. */
export function isHashName(text: string): text is HashName {
  return text === 'sha1' || text === 'sha256';
}

/** The reference of a blob. */
export function makeBlobref(hash: HashName, bytes: Uint8Array): string {
  hex ??= makeHex();
  return `${hash}-${hex(hash, bytes)}`;
}

const subtleNames = { sha1: 'SHA-1', sha256: 'SHA-256' };

/** The reference of a large blob, which another thread hashes. */
export async function makeBlobrefElsewhere(hash: HashName, bytes: Uint8Array): Promise<string> {
  const digest = await crypto.subtle.digest(subtleNames[hash], bytes as Uint8Array<ArrayBuffer>);
  return digestToBlobref(hash, new Uint8Array(digest));
}

/** Whether a text is a blobref; the digits are small letters. */
export function isBlobref(text: string): boolean {
  return pattern.test(text);
}

/**
 * A blobref as bytes.
 *
 * @throws FluxError EINVAL: no blobref
 */
export function blobrefToDigest(text: string): Digest {
  if (!isBlobref(text)) throw new FluxError('EINVAL', `'${text}' is no blobref`);
  const [hash, digits] = text.split('-') as [HashName, string];
  return { hash, digest: Buffer.from(digits, 'hex') };
}

/**
 * The blobref of a hash's bytes.
 *
 * @throws FluxError EINVAL: another number of bytes than the hash has
 */
export function digestToBlobref(hash: HashName, digest: Uint8Array): string {
  if (digest.length !== digestLength[hash])
    throw new FluxError('EINVAL', `${hash} has ${digestLength[hash]} bytes, not ${digest.length}`);
  return `${hash}-${Buffer.from(digest.buffer, digest.byteOffset, digest.length).toString('hex')}`;
}
