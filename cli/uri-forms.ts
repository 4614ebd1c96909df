/** The two forms of a broker's URI: `local://PATH` on its own machine, `ssh://[USER@]HOST[:PORT]/PATH` everywhere. */

import os from 'node:os';
import { FluxError } from '../core/errno.ts';

/** Whether the user wants URIs as they are used on this machine. */
export function isLocalForced(): boolean {
  return Boolean(process.env.FLUX_URI_RESOLVE_LOCAL);
}

interface NativeUri {
  readonly scheme: 'local' | 'ssh';
  readonly host: string;
  readonly path: string;
}

function parseNative(uri: string): NativeUri {
  const [, scheme, host = '', where = ''] = /^(local|ssh):\/\/([^/]*)(\/[^?]*)/.exec(uri) ?? [];
  if (scheme === undefined) throw new FluxError('EINVAL', `'${uri}' is neither a local:// nor an ssh:// URI`);
  return { scheme: scheme as NativeUri['scheme'], host, path: where.replace(/\/+/g, '/') };
}

/** The host that a URI names, with user and port where it does; empty where it names none. */
export function hostOf(uri: string): string {
  return parseNative(uri).host;
}

/**
 * The same broker for somebody on its machine.
 *
 * @throws FluxError EINVAL: it has neither form
 */
export function localUri(uri: string): string {
  const native = parseNative(uri);
  return native.scheme === 'local' ? uri : `local://${native.path}`;
}

/**
 * The same broker for somebody on another machine; a local one is taken to be on `host`.
 *
 * @throws FluxError EINVAL: it has neither form
 */
export function remoteUri(uri: string, host = os.hostname()): string {
  const native = parseNative(uri);
  return native.scheme === 'ssh' ? uri : `ssh://${host}${native.path}`;
}
