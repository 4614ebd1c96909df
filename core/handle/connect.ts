/** Connecting to a broker: where it is, and as whom. */

import os from 'node:os';
import { asFluxError, FluxError } from '../errno.ts';
import { type Credentials, Role, UNKNOWN_CREDENTIALS, USERID_UNKNOWN } from '../message/credentials.ts';
import { connectDescriptor, connectLocal, type SocketTransport } from './socket-transport.ts';
import { parseUri, type TransportEvents } from './transport.ts';

/** Where a broker listens when nothing else is said. */
export const DEFAULT_URI = 'local:///run/flux/local';

type Connector = (address: string, events: TransportEvents) => Promise<SocketTransport>;

const connectors: Readonly<Record<string, Connector>> = {
  local: connectLocal,
  fd: connectDescriptor,
  ssh: connectHost,
};

/** `ssh://HOST/PATH` is how a broker is told to other machines; on its own one there is a shorter way. */
async function connectHost(address: string, events: TransportEvents): Promise<SocketTransport> {
  const [, host = '', path = ''] = /^([^/]*)(.*)$/s.exec(address) ?? [];
  const socket = path.replace(/\/+/g, '/');
  if (host === os.hostname()) return connectLocal(socket, events);
  // Read when first needed: it takes time to load what starts processes.
  const { connectSsh } = await import('./ssh-transport.ts');
  return connectSsh(`${host}${socket}`, events);
}

/**
 * Connects to the broker at a URI.
 *
 * @throws FluxError what the connection failed with; EPERM for a user who may not connect; ENOENT for an unknown scheme
 */
export async function connect(uri: string, events: TransportEvents): Promise<SocketTransport> {
  const { scheme, address } = parseUri(uri);
  const connector = connectors[scheme];
  if (!connector) throw new FluxError('ENOENT', `no connector for '${scheme}://'`);
  try {
    return await connector(address, events);
  } catch (error) {
    const { errno, message } = asFluxError(error);
    throw new FluxError(errno, `cannot connect to ${uri}: ${message}`, { cause: error });
  }
}

/** The owner's way of playing a guest (RFC 12). */
export function credentialsFrom(env: Readonly<Record<string, string | undefined>>): Credentials {
  const userid = env.FLUX_HANDLE_USERID;
  const rolemask = env.FLUX_HANDLE_ROLEMASK;
  if (userid === undefined && rolemask === undefined) return UNKNOWN_CREDENTIALS;
  return {
    userid: parseNumber('FLUX_HANDLE_USERID', userid, USERID_UNKNOWN),
    rolemask: parseNumber('FLUX_HANDLE_ROLEMASK', rolemask, Role.none),
  };
}

function parseNumber(name: string, text: string | undefined, otherwise: number): number {
  if (text === undefined) return otherwise;
  const number = Number(text);
  if (text === '' || !Number.isInteger(number) || number < 0 || number > 0xffffffff)
    throw new FluxError('EINVAL', `${name} is no 32-bit number: '${text}'`);
  return number;
}
