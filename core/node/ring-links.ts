/**
 * The debug ring, as far as it is this process's. By it any rank is reached while the tree is broken. The main thread passes
 * messages on by the headers that the ring gives them; it parses none, and remembers none.
 *
 * A message that cannot go on turns round once. When it is cut off that way, too, the rank that asked is told so. The ring
 * has nothing to do with the tree but the sockets: neither waits for the other, or notices that it is broken.
 */

import { type ErrnoName, errno, FluxError } from '../errno.ts';
import type { JsonObject } from '../json.ts';
import { encodeRingMessage, type RingHeader, readRingHeader, writeRingHeader } from '../overlay/ring-frames.ts';
import { opposite, type Way } from '../overlay/ring-way.ts';
import { RingNeighbours, type RingNeighboursHost, type RingSettings } from './ring-neighbours.ts';
import type { RingWire } from './ring-wire.ts';
import type { RingServer } from './shared-wires.ts';

export interface RingLinksHost extends Omit<RingNeighboursHost, 'take' | 'failed'> {
  /** The process of each rank. */
  readonly nodeOfRank: Int32Array;
  /** Whether threads of this process do not keep up. */
  isCongested(): boolean;
  /** Hands a frame to the thread that has the rank. */
  deliver(rank: number, frame: Buffer): void;
}

export class RingLinks {
  readonly #host: RingLinksHost;
  readonly #own: number;
  readonly #count: number;
  readonly #neighbours: RingNeighbours;

  /** @param settings absent in an instance of one process */
  constructor(host: RingLinksHost, settings: RingSettings | undefined) {
    this.#host = host;
    this.#own = host.placement.own;
    this.#count = host.placement.nodes.length;
    this.#neighbours = new RingNeighbours(
      {
        ...host,
        take: (frame) => {
          this.#checkHeader(readRingHeader(frame));
          this.#route(frame);
        },
        failed: (wire) => this.#giveUp(wire),
      },
      settings,
    );
  }

  /** What takes the connections of the previous process. */
  get server(): RingServer {
    return this.#neighbours.server;
  }

  /** Connects to the next process, in the background, and again whenever that is lost. */
  start(): void {
    this.#neighbours.start();
  }

  /** Ends the ring here, in order; the one who closes the sockets does that afterwards. */
  close(): void {
    this.#neighbours.close();
  }

  #checkHeader({ to, from, way, there }: RingHeader): void {
    const { nodeOfRank } = this.#host;
    const isNode = (node: number | undefined) => node === undefined || node < this.#count;
    if (to >= nodeOfRank.length || from >= nodeOfRank.length || !isNode(way.turnedAt) || !isNode(there.turnedAt))
      throw new FluxError('EPROTO', 'a message of the ring names a rank or a process that there is not');
  }

  /** Takes a frame of a rank of this process. */
  send(frame: Buffer): void {
    this.#route(frame);
  }

  #route(frame: Buffer): void {
    const header = readRingHeader(frame);
    if (this.#host.nodeOfRank[header.to] === this.#own) {
      this.#deliver(frame, header);
      return;
    }
    const way = this.#wayOn(header.way);
    const wire = this.#neighbours.wire(way.heading);
    // One that has passed all processes twice is lost among some that do not agree on who is where.
    if (wire && header.hops < 2 * this.#count) this.#pass(wire, frame, { ...header, way });
    else this.#refuse({ ...header, way }, 'EHOSTUNREACH');
  }

  /** The way that a message goes on, or would if there were one. */
  #wayOn(way: Way): Way {
    if (this.#neighbours.wire(way.heading) || way.turnedAt !== undefined) return way;
    return { heading: opposite(way.heading), turnedAt: this.#own };
  }

  #deliver(frame: Buffer, header: RingHeader): void {
    if (header.kind === 'request' && this.#host.isCongested()) this.#refuse(header, 'EAGAIN');
    else this.#host.deliver(header.to, frame);
  }

  #pass(wire: RingWire, frame: Buffer, header: RingHeader): void {
    const passed = { ...header, hops: header.hops + 1 };
    const isRefusal = header.errnum !== 0;
    if (isRefusal ? wire.hasReserve : wire.hasRoom(frame.length)) {
      writeRingHeader(frame, passed);
      wire.send(frame, passed);
    } else if (header.kind === 'request') this.#refuse(header, 'EAGAIN');
    else if (!isRefusal && wire.hasReserve) wire.send(...this.#refusal({ ...passed, errnum: errno.EAGAIN }));
    // What is dropped even so is missed by a rank that waits for some time only.
  }

  /** Tells the rank that asked that its request comes no further; of a response nobody is told. */
  #refuse({ kind, to, from, id, way }: RingHeader, error: ErrnoName): void {
    if (kind === 'response') return;
    const back = { heading: opposite(way.heading) };
    const header = { kind: 'response', to: from, from: to, id, hops: 0, way: back, there: way } as const;
    const [frame] = this.#refusal({ ...header, errnum: errno[error], at: this.#own });
    this.#route(frame);
  }

  #refusal(fields: RingHeader): [frame: Buffer, header: RingHeader] {
    const header = { ...fields, at: this.#own };
    return [encodeRingMessage(header, Buffer.alloc(0)), header];
  }

  /** What the other side has not taken may never be: whoever waits for it is told. */
  #giveUp(wire: RingWire): void {
    for (const header of wire.giveUp())
      if (header.kind === 'request') this.#refuse(header, 'EHOSTUNREACH');
      else if (header.errnum === 0) {
        const lost = { ...header, there: header.way, errnum: errno.EHOSTUNREACH };
        this.#route(this.#refusal(lost)[0]);
      }
  }

  /** What this process knows of the ring. */
  describe(): JsonObject {
    const { nodes } = this.#host.placement;
    return {
      process: this.#own,
      processes: nodes.map(({ ranks }) => ({ ranks })),
      ...(this.#count > 1 && {
        next: this.#neighbours.describe('next'),
        previous: this.#neighbours.describe('previous'),
      }),
    };
  }
}
