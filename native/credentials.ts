/** Who is at the other end of a UNIX domain socket. */

import { getAddon, systemError } from './addon.ts';

export interface PeerCredentials {
  readonly uid: number;
  readonly gid: number;
  /** 0 where the system does not tell. */
  readonly pid: number;
}

/**
 * The credentials that the peer of a connected UNIX domain socket had when it connected (SO_PEERCRED); undefined
 * without the addon. `fd` is the socket's descriptor.
 *
 * Throws FluxError: EBADF, ENOTSOCK, ENOTCONN for a socket that has no such peer.
 */
export function peerCredentials(fd: number): PeerCredentials | undefined {
  const addon = getAddon();
  if (!addon) return undefined;
  const out = new Float64Array(3);
  const result = addon.peerCredentials(fd, out);
  if (result < 0) throw systemError(result, `descriptor ${fd} has no peer credentials`);
  return { uid: out[0]!, gid: out[1]!, pid: out[2]! };
}
