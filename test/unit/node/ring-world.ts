/** Processes in a debug ring on simulated wires, in virtual time, and ranks that answer what they are asked by it. */

import assert from 'node:assert/strict';
import type { Clock } from '../../../core/broker/service.ts';
import { RpcClient } from '../../../core/handle/rpc.ts';
import type { JsonObject, JsonValue } from '../../../core/json.ts';
import { Role } from '../../../core/message/credentials.ts';
import { RingLinks } from '../../../core/node/ring-links.ts';
import { shareWires } from '../../../core/node/shared-wires.ts';
import { RingRequests } from '../../../workers/router/ring-requests.ts';
import { Agenda } from '../../sim/agenda.ts';
import { Network } from '../../sim/network.ts';
import { Pausable } from '../../sim/pausable.ts';
import { SeededRandom } from '../../sim/random.ts';
import { type WireHost, WireNetwork } from '../../sim/wires.ts';

const owner = { userid: 100, rolemask: Role.owner | Role.local };

/** A process with one rank of the same number, which answers `echo`, `fail` and `who`, and to `hang` never. */
export class RingProcess extends Pausable implements WireHost {
  readonly index: number;
  readonly requests: RingRequests;
  readonly links: RingLinks;
  readonly log: string[] = [];
  /** Connections of the tree. */
  accepted = 0;
  /** How many requests it has performed. */
  served = 0;
  isAlive = true;
  isCongested = false;
  readonly #world: World;

  constructor(world: World, index: number, hasAddress: boolean) {
    super();
    this.index = index;
    this.#world = world;
    const count = world.count;
    const placement = { own: index, nodes: Array.from({ length: count }, (_, rank) => ({ ranks: String(rank) })) };
    const nodeOfRank = Int32Array.from({ length: count }, (_, rank) => rank);
    const clock = this.#clock();
    const rpc: RpcClient = new RpcClient((request) => {
      this.served++;
      const { topic = '', json, userid, rolemask } = request;
      if (topic === 'hang') return;
      const response =
        topic === 'fail'
          ? request.respondError(2, 'there is none', owner)
          : request.respond(topic === 'who' ? { userid, rolemask } : json, owner);
      rpc.receive(response);
    });
    this.requests = new RingRequests({
      clock,
      random: world.random,
      placement,
      nodeOfRank,
      send: (frame) => this.run(() => this.links.send(Buffer.from(frame))),
      request: (_, topic, payload, options) => rpc.request(topic, payload, options),
      list: async () => this.links.describe(),
    });
    const wires = world.wires.wiresOf(this);
    this.links = new RingLinks(
      {
        clock,
        instanceId: 'ring',
        placement,
        nodeOfRank,
        isCongested: () => this.isCongested,
        deliver: (_, frame) => this.requests.receive(Buffer.from(frame)),
        log: (_, text) => this.log.push(text),
      },
      { wires, ringUri: hasAddress ? `sim://${(index + 1) % count}` : undefined },
    );
    shareWires(wires, this.links.server).serve({
      accept: () => {
        this.accepted++;
        return { onFrame: () => {}, onLost: () => {} };
      },
      probe: () => {},
      subscribed: () => {},
    });
    this.links.start();
  }

  #clock(): Clock {
    const clock = this.#world.agenda.clock(`process ${this.index}`);
    return {
      now: () => clock.now(),
      monotonic: () => clock.monotonic(),
      after: (seconds, callback) => clock.after(seconds, () => this.run(callback)),
    };
  }

  protected override get isGone(): boolean {
    return !this.isAlive;
  }

  crash(): void {
    this.isAlive = false;
    this.#world.wires.crashed(this, 0.1);
  }

  /** Ends in order. */
  end(): void {
    this.links.close();
    this.#world.wires.wiresOf(this).close();
    this.isAlive = false;
  }
}

export class World {
  readonly agenda = new Agenda();
  readonly random: SeededRandom;
  readonly wires: WireNetwork;
  readonly count: number;
  readonly processes: RingProcess[] = [];

  constructor(count: number, seed = 1, started: readonly number[] = Array.from({ length: count }, (_, i) => i)) {
    this.count = count;
    this.random = new SeededRandom(seed);
    this.wires = new WireNetwork(new Network(this.agenda, this.random));
    for (const index of started) this.start(index);
    this.pass(2);
  }

  start(index: number, hasAddress = true): RingProcess {
    const process = new RingProcess(this, index, hasAddress);
    this.processes[index] = process;
    return process;
  }

  /** Lets so many seconds pass. */
  pass(seconds: number): void {
    const end = this.agenda.time + seconds;
    while (this.agenda.nextTime <= end) this.agenda.step();
    this.agenda.skipTo(end);
  }

  /** The same, while ranks do what they are asked: what hangs on promises has its turn each second. */
  async work(seconds: number): Promise<void> {
    for (let second = 0; second < seconds; second++) {
      await new Promise((resolve) => setImmediate(resolve));
      this.pass(1);
    }
  }

  /** Asks, and lets time pass until there is an answer. */
  async ask(from: number, to: number, topic = 'echo', payload?: JsonValue): Promise<JsonObject> {
    return this.settle(this.asks(from, to, topic, payload));
  }

  asks(from: number, to: number, topic = 'echo', payload?: JsonValue): Promise<JsonObject> {
    const asked = (async () => this.processes[from]!.requests.ask(from, { to, topic, payload, credentials: owner }))();
    // Looked at when time has passed.
    asked.catch(() => {});
    return asked;
  }

  async settle<T>(promise: Promise<T>): Promise<T> {
    let isOver = false;
    const over = () => {
      isOver = true;
    };
    promise.then(over, over);
    const start = this.agenda.time;
    for (;;) {
      // What hangs on promises comes before what is next in time.
      await new Promise((resolve) => setImmediate(resolve));
      if (isOver) break;
      assert.ok(this.agenda.time < start + 40, 'nothing is waited for longer than that');
      this.agenda.step();
    }
    return promise;
  }

  status(index: number): unknown[] {
    const { next, previous } = this.processes[index]!.links.describe() as Record<string, JsonObject>;
    return [next!.status, previous!.status];
  }
}
