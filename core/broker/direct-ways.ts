/**
 * The ways between rank 0 and the other ranks of its thread: what these ask of a service that all share need not pass the
 * ranks between, and neither need the answer.
 */

import { FluxError } from '../errno.ts';
import { RpcTracker } from '../handle/tracker.ts';
import type { Message } from '../message/message.ts';
import type { Broker, Port } from './broker.ts';

interface Way {
  readonly rank: Broker;
  readonly tracker: RpcTracker;
}

/** The other ranks, as rank 0 sees them. */
export class DirectWays implements Port {
  readonly uuid: string;
  readonly #leader: Broker;
  // By the id that the routes have for each rank.
  readonly #ways = new Map<string, Way>();

  constructor(leader: Broker) {
    this.uuid = leader.world.random.uuid();
    this.#leader = leader;
    leader.addPort(this);
  }

  /** Hands a request of a rank to rank 0. */
  ask(request: Message, rank: Broker): void {
    this.#wayOf(rank).tracker.sent(request);
    request.routes.push(rank.uuid);
    this.#leader.receiveFromPeer(request, this);
  }

  /** Made when first needed: most ranks of a large instance ask nothing. */
  #wayOf(rank: Broker): Way {
    let way = this.#ways.get(rank.uuid);
    if (!way) {
      way = { rank, tracker: new RpcTracker() };
      this.#ways.set(rank.uuid, way);
    }
    return way;
  }

  /** Takes a response of rank 0. */
  send(response: Message): void {
    const way = this.#ways.get(response.routes.pop()!);
    way?.tracker.answered(response);
    way?.rank.receiveFromPeer(response, this);
  }

  /** A rank has left: what it has asked and is not answered never will be. */
  close(rank: Broker): void {
    const way = this.#ways.get(rank.uuid);
    this.#ways.delete(rank.uuid);
    for (const request of way?.tracker.takeAll() ?? [])
      rank.failRequest(request, new FluxError('EHOSTUNREACH', 'overlay disconnect'));
  }
}
