/** The overlay of a rank, joined to its broker and to those of its modules that have to know of its place in the tree. */

import type { Broker } from '../../core/broker/broker.ts';
import type { Lifecycle } from '../../core/broker/lifecycle.ts';
import type { Timer } from '../../core/broker/service.ts';
import { stateNumber } from '../../core/broker/state-machine.ts';
import type { FluxError } from '../../core/errno.ts';
import type { JsonValue } from '../../core/json.ts';
import { Message } from '../../core/message/message.ts';
import { brokerUuid } from '../../core/node/instance.ts';
import { REPARENT_EVENT } from '../../core/overlay/moves.ts';
import { Overlay } from '../../core/overlay/overlay.ts';
import { OverlayService } from '../../core/overlay/overlay-service.ts';
import { checkPlacement } from '../../core/overlay/placement.ts';
import { rewireTimeout } from '../../core/overlay/policy.ts';
import type { RankHost } from './rank.ts';

export interface RankParts {
  readonly broker: Broker;
  /** Made later than the overlay. */
  lifecycle(): Lifecycle;
  /** Follows the configuration of the parent. */
  followConfig(): void;
  /** There are other links. */
  linksChanged(): void;
}

/** Seconds after which moves are asked for again, when rank 0 could not be asked. */
const ASK_AGAIN = 0.25;

export class RankOverlay {
  readonly overlay: Overlay;
  readonly service: OverlayService;
  readonly #host: RankHost;
  readonly #parts: RankParts;
  readonly #rewireTimeout: number | undefined;
  readonly #parentListeners: (() => void)[] = [];
  #again: Timer | undefined;
  #hasStopped = false;

  constructor(host: RankHost, parts: RankParts) {
    this.#host = host;
    this.#parts = parts;
    this.#rewireTimeout = rewireTimeout((name) => parts.broker.attributes.get(name));
    this.overlay = this.#makeOverlay();
    this.service = this.#makeService();
    const { broker } = parts;
    broker.setParent(this.overlay.parent);
    for (const link of this.overlay.children.values()) broker.addChild(link);
  }

  /** Nothing is waited for any more: the rank ends. */
  stop(): void {
    this.#hasStopped = true;
    this.#again?.cancel();
    this.overlay.stop();
    this.service.stop();
  }

  /** Calls back when there is another parent, or the same again. */
  onParent(listener: () => void): void {
    this.#parentListeners.push(listener);
  }

  #makeOverlay(): Overlay {
    const { instance, topology, world, connect, nodeOfRank, reach } = this.#host;
    const { broker, lifecycle } = this.#parts;
    const { rank } = broker;
    return new Overlay(
      {
        rank,
        uuid: broker.uuid,
        topology,
        clock: world.clock,
        log: (severity, text) => broker.log(severity, text, 'overlay'),
        receiveFromPeer: (message, link) => broker.receiveFromPeer(message, link),
        failRequest: (message, error) => broker.failRequest(message, error),
        parentReplaced: (link) => {
          broker.setParent(link);
          this.#parts.linksChanged();
        },
        childAdded: (link) => {
          broker.addChild(link);
          this.#parts.linksChanged();
        },
        childRemoved: (link) => broker.removeChild(link),
        childrenGone: () => lifecycle().post('children-complete'),
        parentAway: () => lifecycle().parentAway(),
        parentBack: () => this.#parentBack(),
        parentLost: (why) => {
          this.#host.severed(rank);
          lifecycle().parentLost(why);
        },
        hostname: (other) => instance.hostnames[other] ?? '?',
        nodeOf: (other) => nodeOfRank[other]!,
        rewireTimeout: () => (this.#isStaying ? this.#rewireTimeout : undefined),
        reach: (other) => reach(other),
        adopt: async (other) => {
          await broker.rpc('overlay.adopt', { rank: other, parent: rank }, { nodeid: 0 });
        },
      },
      (other) => ({
        uuid: brokerUuid(instance.id, other),
        isRemote: nodeOfRank[other] !== nodeOfRank[rank],
        transmit: connect(rank, other),
      }),
    );
  }

  /** Whether this rank is not about to end. */
  get #isStaying(): boolean {
    return stateNumber(this.#parts.lifecycle().state) < stateNumber('cleanup');
  }

  #makeService(): OverlayService {
    const { topology, moves, world, instance, reach, address } = this.#host;
    const { broker } = this.#parts;
    return new OverlayService(this.overlay, {
      rank: broker.rank,
      topology,
      moves,
      clock: world.clock,
      rpc: (topic, payload, nodeid) => broker.rpc(topic, payload, { nodeid }),
      publishMove: (rank, parent) =>
        broker.publishMessage(Message.event(REPARENT_EVENT, { rank, parent }, 0, broker.credentials)),
      checkMove: (rank, parent) =>
        checkPlacement(instance.placement.nodes, {
          size: topology.size,
          parent: (each) => (each === rank ? parent : topology.parent(each)),
        }),
      address,
      reach,
    });
  }

  #parentBack(): void {
    const { lifecycle, followConfig } = this.#parts;
    lifecycle().parentBack();
    followConfig();
    for (const listener of this.#parentListeners) listener();
    void this.learnMoves();
  }

  /** Takes the moves of ranks that have been before this process was there. */
  async learnMoves(): Promise<void> {
    const { broker } = this.#parts;
    this.#again?.cancel();
    try {
      await this.#host.moves.complete(async () => {
        const answer = await broker.rpc('overlay.moves', undefined, { nodeid: 0 });
        return (answer as { moves: readonly JsonValue[] }).moves;
      });
    } catch (error) {
      broker.log('debug', `overlay.moves: ${(error as FluxError).message}`, 'overlay');
      if (!this.#hasStopped) this.#again = this.#host.world.clock.after(ASK_AGAIN, () => void this.learnMoves());
    }
  }
}
