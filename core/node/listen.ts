/** Listening on a local socket, in place of one that a dead instance left. */

import fs from 'node:fs';
import net from 'node:net';
import { about, FluxError } from '../errno.ts';

/** Bytes of a socket's path, without its NUL. */
const SOCKET_PATH_MAX = 107;
/** Connections that wait to be accepted. */
const BACKLOG = 4096;

/**
 * Looks whether a path can be one of a socket; a longer one would be cut off silently, and name another file.
 *
 * @param what stands before the path in the error
 * @throws FluxError ENAMETOOLONG
 */
export function checkSocketPath(path: string, what = ''): void {
  const bytes = Buffer.byteLength(path);
  if (bytes > SOCKET_PATH_MAX)
    throw new FluxError(
      'ENAMETOOLONG',
      `${what}${path} is ${bytes} bytes long, and a socket's path has at most ${SOCKET_PATH_MAX}`,
    );
}

/**
 * Listens on a path; a socket that nobody answers on any more is replaced.
 *
 * @throws FluxError EADDRINUSE: another instance answers there; EEXIST: it is no socket; ENAMETOOLONG; what listening
 * failed with
 */
export async function listenOn(server: net.Server, path: string): Promise<void> {
  checkSocketPath(path);
  try {
    await tryListen(server, path);
  } catch (error) {
    if ((error as FluxError).code !== 'EADDRINUSE') throw error;
    await checkReplaceable(path);
    fs.unlinkSync(path);
    await tryListen(server, path);
  }
}

/**
 * Looks whether a new socket may be in place of what is at a path, if anything is.
 *
 * @throws FluxError EADDRINUSE: another instance answers there; EEXIST: it is no socket
 */
export async function checkReplaceable(path: string): Promise<void> {
  const stat = fs.lstatSync(path, { throwIfNoEntry: false });
  if (stat && !stat.isSocket()) throw new FluxError('EEXIST', `${path} is there, and is no socket`);
  if (await isAnswered(path)) throw new FluxError('EADDRINUSE', `${path} is in use by another instance`);
}

function tryListen(server: net.Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const fail = (error: Error) => reject(about(path, error));
    server.once('error', fail);
    server.listen({ path, backlog: BACKLOG, readableAll: true, writableAll: true }, () => {
      server.off('error', fail);
      server.on('error', () => {});
      resolve();
    });
  });
}

function isAnswered(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = net.connect(path, () => {
      probe.destroy();
      resolve(true);
    });
    probe.on('error', () => resolve(false));
  });
}
