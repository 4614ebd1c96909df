/**
 * The envelope that a jobspec is submitted in: HEADER.PAYLOAD.SIGNATURE, the first two in base64 (RFC 15,
 * flux-security). The mechanism `none` signs nothing: the header names a user, and who takes the envelope has to know
 * by other means that it is him.
 */

import { FluxError } from '../errno.ts';
import { decodeBase64 } from './base64.ts';

/** What is in an envelope of the mechanism `none`. */
export interface Unwrapped {
  readonly payload: Buffer;
  /** Who the header says has made it. */
  readonly userid: number;
}

const SUFFIX = '.none';
const USERID_END = 2 ** 32;

/** Puts a jobspec in an envelope that is not signed. */
export function wrapUnsigned(jobspec: string, userid: number): string {
  const header = `version\0i1\0userid\0i${userid}\0mechanism\0snone\0`;
  return `${Buffer.from(header).toString('base64')}.${Buffer.from(jobspec).toString('base64')}${SUFFIX}`;
}

/**
 * Opens an envelope of the mechanism `none`.
 *
 * @throws FluxError EINVAL: what is wrong with it
 */
export function unwrapUnsigned(J: string): Unwrapped {
  const first = J.indexOf('.');
  const second = J.indexOf('.', first + 1);
  if (first < 0 || second < 0) throw invalid('it has no three parts with dots between');
  const userid = headerUserid(bytesOf('header', J.slice(0, first)).toString('latin1'));
  if (J.slice(second) !== SUFFIX) throw invalid('its signature is not of the mechanism none');
  return { payload: bytesOf('payload', J.slice(first + 1, second)), userid };
}

/** Keys and values, each with a NUL behind it. */
function headerUserid(header: string): number {
  const words = header.split('\0');
  if (words.at(-1) === '') words.pop();
  if (words.length % 2) throw invalid('a key of its header has no value');
  const values = new Map<string, string>();
  for (let i = 0; i < words.length; i += 2) values.set(words[i]!, words[i + 1]!);
  for (const key of values.keys()) if (!headerKeys.has(key)) throw invalid(`its header has an unknown key '${key}'`);
  if (values.get('version') !== 'i1') throw invalid('its header is not of version 1');
  if (values.get('mechanism') !== 'snone') throw invalid('its header does not say mechanism none');
  const userid = Number(/^i(\d+)$/.exec(values.get('userid') ?? '')?.[1]);
  if (!(userid < USERID_END)) throw invalid('its header names no user');
  return userid;
}

const headerKeys: ReadonlySet<string> = new Set(['version', 'userid', 'mechanism']);

function bytesOf(what: string, text: string): Buffer {
  const bytes = decodeBase64(text);
  if (!bytes) throw invalid(`its ${what} is no base64`);
  return bytes;
}

/**
 * The jobspec in an envelope of any mechanism. Nothing is verified.
 *
 * @throws FluxError EINVAL: it is not of this form
 */
export function unwrapJobspec(signed: string): string {
  const [, payload] = /^[A-Za-z0-9+/=]+\.([A-Za-z0-9+/=]*)\.[^.]+$/.exec(signed.trim()) ?? [];
  if (payload === undefined) throw new FluxError('EINVAL', 'J is not a signed jobspec');
  return Buffer.from(payload, 'base64').toString();
}

function invalid(fault: string): FluxError {
  return new FluxError('EINVAL', fault);
}
