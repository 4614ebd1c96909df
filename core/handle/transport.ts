/**
 * How a handle's messages travel: over a UNIX socket, over an inherited file descriptor, over a ring, or by hand.
 */

import { FluxError } from '../errno.ts';
import type { Message } from '../message/message.ts';

export interface TransportEvents {
  readonly onMessage: (message: Message) => void;
  /** The connection is over; `error` says why when it was not closed on purpose. */
  readonly onClose: (error: FluxError | undefined) => void;
  /** What was sent has left, after there was more than could leave at once. */
  readonly onDrain?: () => void;
}

export interface Transport {
  /** Sends a message, batched with others of the same turn. */
  send(message: Message): void;
  /** Ends the connection after what was sent is on its way. */
  close(): Promise<void>;
  /** Whether an open connection keeps the process alive. */
  ref(alive: boolean): void;
}

/** Splits `scheme://address`. */
export function parseUri(uri: string): { readonly scheme: string; readonly address: string } {
  const match = /^([a-z][a-z0-9+.-]*):\/\/(.*)$/s.exec(uri);
  if (!match) throw new FluxError('EINVAL', `'${uri}' is no URI`);
  return { scheme: match[1]!, address: match[2]! };
}
