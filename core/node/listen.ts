/** Listening on a local socket, in place of one that a dead instance left. */

import fs from 'node:fs';
import net from 'node:net';
import { asFluxError, FluxError } from '../errno.ts';

/** Connections that wait to be accepted. */
const BACKLOG = 4096;

/**
 * Listens on a path; a socket that nobody answers on any more is replaced.
 *
 * @throws FluxError EADDRINUSE: another instance answers there; what listening failed with
 */
export async function listenOn(server: net.Server, path: string): Promise<void> {
  try {
    await tryListen(server, path);
  } catch (error) {
    if ((error as FluxError).code !== 'EADDRINUSE') throw error;
    if (await isAnswered(path)) throw new FluxError('EADDRINUSE', `${path} is in use by another instance`);
    fs.unlinkSync(path);
    await tryListen(server, path);
  }
}

function tryListen(server: net.Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const fail = (error: Error) => {
      const { errno, message } = asFluxError(error);
      reject(new FluxError(errno, `${path}: ${message}`));
    };
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
