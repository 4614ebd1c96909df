/** The feed of events between simulated processes: who has not subscribed (yet, or any more) misses what is published. */

import type { Network } from './network.ts';
import { Pipe, type WireHost } from './wires.ts';

interface Follower {
  readonly host: WireHost;
  readonly onFrame: (frame: Buffer) => void;
  readonly interrupted: () => void;
  pipe: Pipe;
  isActive: boolean;
  /** The share of frames that is lost. */
  loss: number;
}

/** Seconds until a subscription arrives. */
const latencies = [0, 0.001, 0.001, 0.1, 3];

export class Feed {
  readonly #network: Network;
  readonly #followers = new Map<number, Follower>();
  #publisher: WireHost | undefined;
  #subscribed = () => {};
  /** Frames that were lost. */
  lostCount = 0;

  constructor(network: Network) {
    this.#network = network;
  }

  serve(host: WireHost, subscribed: () => void): void {
    this.#publisher = host;
    this.#subscribed = subscribed;
  }

  publish(frame: Buffer): void {
    for (const follower of this.#followers.values()) {
      const { pipe, isActive, loss } = follower;
      if (isActive && !this.#network.random.chance(loss)) pipe.send(frame, (copy) => this.#arrive(follower, copy));
      else this.lostCount++;
    }
  }

  #arrive(follower: Follower, frame: Buffer): void {
    const { host, onFrame } = follower;
    host.run(() => {
      if (this.#followers.get(host.index) === follower) onFrame(frame);
    });
  }

  follow(host: WireHost, onFrame: (frame: Buffer) => void, interrupted: () => void): void {
    const pipe = new Pipe(this.#network);
    const follower: Follower = { host, onFrame, interrupted, pipe, isActive: false, loss: 0 };
    this.#followers.set(host.index, follower);
    this.#subscribe(follower, this.#network.random.pick(latencies) * this.#network.random.number());
  }

  #subscribe(follower: Follower, seconds: number): void {
    const { agenda } = this.#network;
    agenda.at(agenda.time + seconds, () => {
      if (!this.#publisher?.isAlive) {
        if (follower.host.isAlive && !this.#publisher) this.#subscribe(follower, 0.1);
        return;
      }
      this.#publisher.run(() => {
        if (this.#followers.get(follower.host.index) !== follower) return;
        follower.isActive = true;
        this.#subscribed();
      });
    });
  }

  setLoss(index: number, loss: number): void {
    const follower = this.#followers.get(index);
    if (follower) follower.loss = loss;
  }

  setSlowness(index: number, slowness: number): void {
    const follower = this.#followers.get(index);
    if (follower) follower.pipe.slowness = slowness;
  }

  /** The connection breaks; the follower learns of it before or after it is there again. */
  break(index: number, learn: number, back: number): void {
    const follower = this.#followers.get(index);
    if (!follower?.isActive) return;
    const { agenda, random } = this.#network;
    follower.isActive = false;
    follower.pipe.cut(agenda.time + 0.01 * random.number());
    follower.pipe = new Pipe(this.#network);
    agenda.at(agenda.time + learn, () => follower.host.run(() => follower.interrupted()));
    this.#subscribe(follower, back);
  }

  /** A process is gone: as a follower, or with the feed. */
  leave(host: WireHost): void {
    this.#followers.delete(host.index);
    if (host !== this.#publisher) return;
    const { agenda, random } = this.#network;
    for (const follower of this.#followers.values()) {
      follower.isActive = false;
      agenda.at(agenda.time + random.number(), () => follower.host.run(() => follower.interrupted()));
    }
  }
}
