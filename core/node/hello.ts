/**
 * How processes greet each other: the one that connects says what it is, the other one welcomes it, or says why not. Either
 * says goodbye.
 */

import { FluxError } from '../errno.ts';
import type { JsonObject, JsonValue } from '../json.ts';
import { unpack } from '../message/unpack.ts';
import { decodeJsonFrame, encodeJsonFrame, FrameType, frameType } from '../overlay/node-frames.ts';
import type { MachineFacts } from '../overlay/placement.ts';
import { FLUX_CORE_VERSION } from './instance.ts';

/** What a process says it is, on any wire. */
export interface Greeting {
  readonly version: string;
  readonly instance: string;
  /** Index of the process that says it, and its ranks. */
  readonly node: number;
  readonly ranks: string;
}

export interface Hello extends Greeting {
  /** An id of its own that no other process of this index has, before or after. */
  readonly process: string;
  /** Whether it wants events over this link. */
  readonly events: boolean;
  readonly machine: JsonObject;
}

export function encodeHello(hello: Omit<Hello, 'version' | 'machine'>, machine: MachineFacts): Buffer {
  return encodeJsonFrame(FrameType.hello, { version: FLUX_CORE_VERSION, ...hello, machine: { ...machine } });
}

/**
 * Reads a hello.
 *
 * @returns undefined when the frame is something else
 * @throws FluxError EPROTO: it has not what a hello has
 */
export function decodeHello(frame: Buffer): Hello | undefined {
  if (frameType(frame) !== FrameType.hello) return undefined;
  const fields = {
    version: 's',
    instance: 's',
    node: 'i',
    ranks: 's',
    process: 's',
    events: 'b',
    machine: 'o',
  } as const;
  return unpack(decodeJsonFrame(frame), fields);
}

/**
 * Why a process may not join; undefined when it may.
 *
 * @param ranks those that the process has which it says it is, if there is one
 */
export function faultOf(hello: Greeting, instance: string, ranks: string | undefined): string | undefined {
  if (hello.version !== FLUX_CORE_VERSION)
    return `its version ${hello.version} is not ${FLUX_CORE_VERSION}, that of the process it connects to`;
  if (hello.instance !== instance) return 'it belongs to another instance';
  if (ranks !== hello.ranks) return `ranks ${hello.ranks} are not those of process ${hello.node}`;
  return undefined;
}

export interface Welcome {
  /** Of the last event that the process which says it has handed on. */
  readonly sequence: number;
  /** Of the first event that it still has. */
  readonly firstKept: number;
  /** Where it takes connections, and where processes above it do, by their indices. */
  readonly uris: ReadonlyMap<number, string>;
}

export function encodeWelcome({ sequence, firstKept, uris }: Welcome): Buffer {
  return encodeJsonFrame(FrameType.welcome, { sequence, firstKept, uris: [...uris] });
}

export function encodeRefusal(errstr: string): Buffer {
  return encodeJsonFrame(FrameType.welcome, { errstr });
}

/** @throws FluxError EPERM: why this process may not join; EPROTO: it is no welcome */
export function decodeWelcome(frame: Buffer): Welcome {
  const welcome = decodeJsonFrame(frame);
  const { errstr } = unpack(welcome, { errstr: 's?' });
  if (errstr !== undefined) throw new FluxError('EPERM', errstr);
  const { uris, ...rest } = unpack(welcome, { sequence: 'i', firstKept: 'i', uris: 'a' });
  return { ...rest, uris: new Map(uris.map(decodeUri)) };
}

function decodeUri(entry: JsonValue): [number, string] {
  const [node, uri] = Array.isArray(entry) ? entry : [];
  if (typeof node !== 'number' || typeof uri !== 'string') throw new FluxError('EPROTO', 'it names no addresses');
  return [node, uri];
}

export function encodeGoodbye(reason: string): Buffer {
  return encodeJsonFrame(FrameType.goodbye, { reason });
}

/** @throws FluxError EPROTO: it has no reason */
export function decodeGoodbye(frame: Buffer): string {
  return unpack(decodeJsonFrame(frame), { reason: 's' }).reason;
}
