/** A process that this one is linked to. */

import type { FluxError } from '../errno.ts';
import type { NodeLink } from '../overlay/node-link.ts';
import type { Backlogged } from './backlog.ts';
import type { Wire } from './wires.ts';

export interface Neighbour extends Backlogged {
  readonly node: number;
  readonly wire: Wire;
  readonly link: NodeLink;
  /** Whether it is above: this process has connected to it. */
  readonly isParent: boolean;
  /** Of one below: whether this process is its source of events, and whether it gets them over the link. */
  isFollower: boolean;
  wantsEvents: boolean;
  /** Of one above: the last event before this process joined there, the first one kept there, and whether no more come. */
  joinedAfter: number;
  firstKept: number;
  isCutOff: boolean;
  isDirty: boolean;
  /** Of one above: whether this process started with it, and who waits until it is there. */
  readonly isFirst: boolean;
  readonly waiting: { resolve(): void; reject(error: FluxError): void }[];
  /** Of one below: the id that its hello told. */
  readonly process: string | undefined;
  /** Seconds of the clock's `monotonic`. */
  lastSent: number;
}
