import type net from 'node:net';

/**
 * Reads what a client sent before it went, even when a write finds first that it has gone.
 *
 * Node destroys a socket at once whose other end is closed, with all that was not yet read. Here that waits for two turns of
 * the event loop, in which what there is comes in.
 */
export function readBeforeDestroy(socket: net.Socket): void {
  const destroy = socket.destroy;
  socket.destroy = (error?: Error) => {
    const { code } = (error ?? {}) as NodeJS.ErrnoException;
    if (code !== 'EPIPE' && code !== 'ECONNRESET') return destroy.call(socket, error);
    // While it is set nothing is handed out.
    (socket as unknown as { _readableState: { errored: Error | null } })._readableState.errored = null;
    setImmediate(() => setImmediate(() => destroy.call(socket, error)));
    return socket;
  };
}
