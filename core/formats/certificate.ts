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

import { FluxError } from '../errno.ts';
import { decodeZ85, encodeZ85 } from './z85.ts';

/** Bytes of a key (CurveZMQ, ZeroMQ RFC 26). */
export const KEY_BYTES = 32;

export interface Certificate {
  readonly metadata: ReadonlyMap<string, string>;
  readonly publicKey: Uint8Array;
  readonly secretKey: Uint8Array;
}

const keyPattern = /^[A-Za-z0-9.-]+$/;
const valuePattern = /^[-A-Za-z0-9.:+=^!/*?&<>()[\]{}@%$# \t]*$/;

/** @throws FluxError EINVAL: a name or a value that has no place in a certificate */
export function checkMetadata(key: string, value: string): void {
  if (!keyPattern.test(key)) throw new FluxError('EINVAL', `'${key}' is no name for metadata`);
  if (!valuePattern.test(value)) throw new FluxError('EINVAL', `${key}: '${value}' has characters it must not have`);
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

/** @throws FluxError EINVAL: no certificate, with the line that is wrong */
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
    const [, key, value] = /^(\S+)\s*=\s*"(.*)"$/.exec(words) ?? [];
    if (key === undefined || value === undefined || section === '') throw wrong();
    if (section === 'metadata') {
      checkMetadata(key, value);
      metadata.set(key, value);
    } else if (key === 'public-key' || key === 'secret-key') keys.set(key, decodeKey(value));
    else throw wrong();
  }
  const [publicKey, secretKey] = [keys.get('public-key'), keys.get('secret-key')];
  if (!publicKey || !secretKey) throw new FluxError('EINVAL', 'the certificate lacks a key');
  return { metadata, publicKey, secretKey };
}

function decodeKey(text: string): Uint8Array {
  const key = decodeZ85(text);
  if (key.length !== KEY_BYTES) throw new FluxError('EINVAL', `a key has ${key.length} bytes, not ${KEY_BYTES}`);
  return key;
}
