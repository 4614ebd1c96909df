/** How neighbours in the debug ring greet each other; as in the tree, the one that connects says what it is. */

import { FluxError } from '../errno.ts';
import { unpack } from '../message/unpack.ts';
import { decodeJsonFrame, encodeJsonFrame, frameType } from '../overlay/node-frames.ts';
import { RingFrameType } from '../overlay/ring-frames.ts';
import type { Greeting } from './hello.ts';
import { FLUX_CORE_VERSION } from './instance.ts';

export function encodeRingHello(greeting: Omit<Greeting, 'version'>): Buffer {
  return encodeJsonFrame(RingFrameType.hello, { version: FLUX_CORE_VERSION, ...greeting });
}

/**
 * Reads a hello.
 *
 * @returns undefined when the frame is something else
 * @throws FluxError EPROTO: it has not what a hello has
 */
export function decodeRingHello(frame: Buffer): Greeting | undefined {
  if (frameType(frame) !== RingFrameType.hello) return undefined;
  return unpack(decodeJsonFrame(frame), { version: 's', instance: 's', node: 'i', ranks: 's' });
}

/** @param fault why the other side may not join; it may when absent */
export function encodeRingWelcome(fault?: string): Buffer {
  return encodeJsonFrame(RingFrameType.welcome, fault === undefined ? {} : { errstr: fault });
}

/** @throws FluxError EPERM: why this process may not join */
export function checkRingWelcome(frame: Buffer): void {
  const { errstr } = unpack(decodeJsonFrame(frame), { errstr: 's?' });
  if (errstr !== undefined) throw new FluxError('EPERM', errstr);
}

export function encodeRingGoodbye(reason: string): Buffer {
  return encodeJsonFrame(RingFrameType.goodbye, { reason });
}

/** @throws FluxError EPROTO: it has no reason */
export function decodeRingGoodbye(frame: Buffer): string {
  return unpack(decodeJsonFrame(frame), { reason: 's' }).reason;
}
