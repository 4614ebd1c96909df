/**
 * CURVE certificates: the long-term key pair of an instance's overlay network, in the ZPL form (ZeroMQ RFC 4) that Flux
 * keeps them in.
 *
 *     metadata
 *         name = "fluke"
 *     curve
 *         public-key = "…"
 *         secret-key = "…"
 */

import { createPrivateKey, createPublicKey, generateKeyPairSync } from 'node:crypto';
import { FluxError } from '../errno.ts';
import { decodeZ85, encodeZ85 } from './z85.ts';

/** Bytes of a key (CurveZMQ, ZeroMQ RFC 26). */
export const KEY_BYTES = 32;
/** Characters of it in Z85. */
const KEY_CHARACTERS = (KEY_BYTES / 4) * 5;

/** What stands before a secret key of X25519 in PKCS #8 (RFC 8410). */
const pkcs8 = Buffer.from('302e020100300506032b656e04220420', 'hex');

export interface KeyPair {
  readonly publicKey: Uint8Array;
  readonly secretKey: Uint8Array;
}

export interface Certificate extends KeyPair {
  readonly metadata: ReadonlyMap<string, string>;
}

const keyPattern = /^[A-Za-z0-9.-]+$/;
const valuePattern = /^[-A-Za-z0-9.:+=^!/*?&<>()[\]{}@%$# \t]*$/;

/** @throws FluxError EINVAL: a name or a value that has no place in a certificate */
export function checkMetadata(key: string, value: string): void {
  if (!keyPattern.test(key)) throw new FluxError('EINVAL', `'${key}' is no name for metadata`);
  if (!valuePattern.test(value)) throw new FluxError('EINVAL', `${key}: '${value}' has characters it must not have`);
}

/**
 * A new pair of X25519 keys.
 *
 * They come as DER, whose last bytes are the key. A key object that is exported as JWK waits for itself for ever when the
 * garbage collector runs meanwhile: the export holds the lock that the end of the generating job takes.
 */
export function makeKeyPair(): KeyPair {
  const { publicKey, privateKey } = generateKeyPairSync('x25519', {
    publicKeyEncoding: { type: 'spki', format: 'der' },
    privateKeyEncoding: { type: 'pkcs8', format: 'der' },
  });
  return { publicKey: publicKey.subarray(-KEY_BYTES), secretKey: privateKey.subarray(-KEY_BYTES) };
}

/** The public key that belongs to a secret key of KEY_BYTES. */
export function publicKeyOf(secretKey: Uint8Array): Uint8Array {
  const key = createPrivateKey({ key: Buffer.concat([pkcs8, secretKey]), format: 'der', type: 'pkcs8' });
  return createPublicKey(key).export({ format: 'der', type: 'spki' }).subarray(-KEY_BYTES);
}

/** @throws FluxError EINVAL: metadata that has no place in it */
export function encodeCertificate({ metadata, publicKey, secretKey }: Certificate): string {
  for (const [key, value] of metadata) checkMetadata(key, value);
  const entries = Array.from(metadata, ([key, value]) => `    ${key} = "${value}"\n`);
  return [
    '#  ZeroMQ CURVE **Secret** Certificate\n#  DO NOT DISTRIBUTE\n\nmetadata\n',
    ...entries,
    `curve\n    public-key = "${encodeZ85(publicKey)}"\n    secret-key = "${encodeZ85(secretKey)}"\n`,
  ].join('');
}

/** @throws FluxError EINVAL: no certificate, with the line that is wrong; keys that are not of one pair */
export function parseCertificate(text: string): Certificate {
  const metadata = new Map<string, string>();
  const keys = new Map<string, Uint8Array>();
  let section = '';
  for (const [index, line] of text.split('\n').entries()) {
    const words = line.trim();
    if (words === '' || words.startsWith('#')) continue;
    const wrong = () => new FluxError('EINVAL', `line ${index + 1} of the certificate is wrong`);
    if (!/^[ \t]/.test(line)) {
      if (words !== 'metadata' && words !== 'curve') throw wrong();
      section = words;
      continue;
    }
    const [, key, value] = /^([^\s=]+)\s*=\s*"(.*)"$/.exec(words) ?? [];
    if (key === undefined || value === undefined || section === '') throw wrong();
    if (section === 'metadata') {
      checkMetadata(key, value);
      if (metadata.has(key)) throw new FluxError('EINVAL', `the certificate has '${key}' twice`);
      metadata.set(key, value);
    } else if (key === 'public-key' || key === 'secret-key') keys.set(key, decodeKey(key, value));
    else throw wrong();
  }
  const [publicKey, secretKey] = [keys.get('public-key'), keys.get('secret-key')];
  if (!publicKey || !secretKey)
    throw new FluxError('EINVAL', `the certificate has no ${publicKey ? 'secret-key' : 'public-key'}`);
  if (Buffer.compare(publicKeyOf(secretKey), publicKey) !== 0)
    throw new FluxError('EINVAL', 'the keys of the certificate do not belong together');
  return { metadata, publicKey, secretKey };
}

function decodeKey(name: string, text: string): Uint8Array {
  if (text.length !== KEY_CHARACTERS)
    throw new FluxError('EINVAL', `the ${name} has ${text.length} characters, not ${KEY_CHARACTERS}`);
  try {
    return decodeZ85(text);
  } catch {
    // What is wrong there quotes the key, which is a secret.
    throw new FluxError('EINVAL', `the ${name} is not Z85`);
  }
}
