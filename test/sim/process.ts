/**
 * A simulated process of an instance: a thread with its ranks, and the main thread with the links to other processes, as
 * core/node/node.ts and workers/router/router.ts join them. It can stand still, and be gone.
 */

import type { Clock, Timer } from '../../core/broker/service.ts';
import { decodeMessage, encodeMessage } from '../../core/message/codec.ts';
import type { Message } from '../../core/message/message.ts';
import { topologyOf } from '../../core/node/instance.ts';
import { NodeLinks } from '../../core/node/node-links.ts';
import type { Link } from '../../core/overlay/link.ts';
import { Moves, REPARENT_EVENT } from '../../core/overlay/moves.ts';
import type { Overlay } from '../../core/overlay/overlay.ts';
import type { Topology } from '../../core/overlay/topology.ts';
import type { Rank } from '../../workers/router/rank.ts';
import { eachNeighbour } from '../../workers/router/remote-links.ts';
import { startingStates } from './fabric.ts';
import type { Line } from './network.ts';
import { Pausable } from './pausable.ts';
import type { Simulation } from './simulation.ts';
import type { WireHost, WireNetwork } from './wires.ts';

/** Who is where, the same for all processes of an instance. */
export interface ProcessMap {
  readonly placement: readonly { readonly ranks: string }[];
  readonly nodeOfRank: Int32Array;
  /** The processes that one connects to. */
  parents(index: number): readonly number[];
  readonly hasFeed: boolean;
  readonly rewireTimeout: number | undefined;
}

export class SimulatedProcess extends Pausable implements WireHost {
  readonly index: number;
  readonly ranks: readonly number[];
  readonly uri: string;
  readonly life: number;
  /** The tree as the ranks of this process know it. */
  readonly topology: Topology;
  readonly moves: Moves;
  readonly #sim: Simulation;
  readonly #map: ProcessMap;
  readonly #clock: Clock;
  readonly #links: NodeLinks;
  readonly #timers = new Set<Timer>();
  // From the thread of the ranks to the main thread, back, and between ranks.
  readonly #up: Line;
  readonly #down: Line;
  readonly #hops: Line;
  // What clients sent while neighbours do not keep up.
  readonly #held: (() => void)[] = [];
  #isHeldUp = false;
  // Seconds that the clock is ahead of what it was set to first.
  #ahead = 0;
  #hasStarted = false;
  #flushes = false;
  #state: 'running' | 'ended' | 'crashed' = 'running';
  /** The threads of the ranks do not keep up. */
  #isCongested = false;
  /** The last event that was handed to the ranks. */
  lastEvent = 0;
  /** In the process of rank 0: all events, by their numbers from 1 on. */
  readonly published: Message[] = [];
  /** What the links have logged. */
  readonly log: string[] = [];

  /** @param life how many processes of this index were there before */
  constructor(
    sim: Simulation,
    index: number,
    ranks: readonly number[],
    map: ProcessMap,
    wires: WireNetwork,
    life: number,
  ) {
    super();
    this.#sim = sim;
    this.index = index;
    this.ranks = ranks;
    this.uri = `sim://${index}`;
    this.topology = topologyOf(sim.instance);
    const overlay = (rank: number) => (map.nodeOfRank[rank] === index ? this.#rank(rank).overlay : undefined);
    this.moves = new Moves({ topology: this.topology, overlay }, index === 0);
    this.#map = map;
    this.life = life;
    this.#clock = this.clock(`process ${index}`);
    const line = (name: string) => sim.network.line(`process ${index} ${name}`, () => {}, true);
    this.#up = line('up');
    this.#down = line('down');
    this.#hops = line('hops');
    this.#links = this.#makeLinks(wires);
  }

  get isAlive(): boolean {
    return this.#state === 'running';
  }

  get hasCrashed(): boolean {
    return this.#state === 'crashed';
  }

  protected override get isGone(): boolean {
    return this.hasCrashed;
  }

  crash(): void {
    this.#state = 'crashed';
    for (const timer of [...this.#timers]) timer.cancel();
  }

  setCongested(isCongested: boolean): void {
    this.#isCongested = isCongested;
    if (!isCongested && this.isAlive) this.run(() => this.#links.relieved());
  }

  /** Somebody sets the clock of the machine. */
  setClock(seconds: number): void {
    this.#ahead += seconds;
  }

  clock(owner: string): Clock {
    const clock = this.#sim.agenda.clock(owner);
    return {
      now: () => clock.now() + this.#ahead,
      monotonic: () => clock.monotonic(),
      after: (seconds, callback) => {
        let isOver = false;
        const fire = () => {
          if (isOver) return;
          this.#timers.delete(timer);
          callback();
        };
        const inner = clock.after(seconds, () => this.run(fire));
        const timer = {
          cancel: () => {
            isOver = true;
            inner.cancel();
            this.#timers.delete(timer);
          },
        };
        this.#timers.add(timer);
        return timer;
      },
    };
  }

  // ---- the thread of the ranks

  starts(start: () => void): void {
    this.run(() => {
      if (!this.#hasStarted) this.#links.start();
      this.#hasStarted = true;
      this.#hops.inOrder(() => this.run(start));
    });
  }

  #rank(rank: number): Rank {
    return this.#sim.ranks[rank]!;
  }

  /** Hands on a message of one of the ranks. */
  send(from: number, to: number, message: Message): void {
    if (this.#map.nodeOfRank[to] === this.index) {
      this.#hops.inOrder(() => this.run(() => this.#rank(to).overlay.receive(from, message)));
      return;
    }
    const bytes = encodeMessage(message);
    this.#up.inOrder(() =>
      this.run(() => {
        this.#links.send(to, from, bytes, 0, bytes.length);
        this.#flushSoon();
      }),
    );
  }

  /** Rank 0 has numbered an event. */
  publish(event: Message): void {
    const bytes = encodeMessage(event);
    const { sequence } = event;
    this.published.push(decodeMessage(bytes));
    this.#up.inOrder(() => this.run(() => this.#links.publish(sequence, bytes, 0, bytes.length)));
    this.#hops.inOrder(() => this.run(() => this.#deliverEvent(decodeMessage(bytes))));
  }

  #deliverEvent(event: Message): void {
    this.lastEvent = event.sequence;
    for (const rank of this.ranks) if (rank > 0) this.#sim.node.deliverEvent(event, rank);
    if (this.index > 0) this.delivered(event);
  }

  /** The ranks have an event, in the process of rank 0 that one at least. */
  delivered(event: Message): void {
    if (event.topic === REPARENT_EVENT) this.moves.takeEvent(event);
  }

  /** Connects to another process. */
  reach(node: number, uri: string | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#up.inOrder(() =>
        this.run(() => {
          const reached = this.#links.reach(node, uri);
          reached.then(
            () => this.#toRanks(resolve),
            (error) => this.#toRanks(() => reject(error)),
          );
        }),
      );
    });
  }

  fromClient(action: () => void): void {
    if (this.#isHeldUp) this.#held.push(action);
    else this.run(action);
  }

  severed(rank: number): void {
    for (const below of this.topology.subtree(rank))
      if (this.#map.nodeOfRank[below] === this.index) this.#rank(below).broker.cutOff();
  }

  exited(rank: number, exitCode: number): void {
    const { node } = this.#sim;
    const hasRun = node.history[this.ranks[0]!]!.includes('run');
    const note = { text: `rank ${rank} failed to start`, exitCode };
    this.#up.inOrder(() =>
      this.run(() => {
        if (rank > 0 && exitCode && !hasRun) {
          if (this.index > 0) this.#links.tell(note);
          else this.#panic(exitCode);
        }
        if (rank === 0 || this.ranks.every((each) => node.exitCodes.has(each))) this.#end();
      }),
    );
  }

  #panic(exitCode: number): void {
    const { lifecycle } = this.#rank(0);
    if (startingStates.includes(lifecycle.state)) lifecycle.panic(exitCode);
  }

  #end(): void {
    if (this.#state !== 'running') return;
    this.#links.close();
    this.#state = 'ended';
  }

  // ---- the main thread

  #makeLinks(wires: WireNetwork): NodeLinks {
    const { index } = this;
    const { placement, nodeOfRank, parents, hasFeed } = this.#map;
    const parent = this.#sim.topology.parent(this.ranks[0]!);
    const machine = { hostname: `sim${index}`, cores: 4, gpus: 0 };
    return new NodeLinks(
      {
        clock: this.#clock,
        instanceId: this.#sim.instance.id,
        placement: { own: index, nodes: placement },
        nodeOfRank,
        parentNode: parent === undefined ? undefined : nodeOfRank[parent],
        processId: `process ${index} ${this.life}`,
        rewireTimeout: this.#map.rewireTimeout,
        keepAlive: 5,
        timeout: 20,
        deliver: (to, from, source, start, end) => {
          if (nodeOfRank[to] !== index) throw new Error(`a record for rank ${to} comes to process ${index}`);
          const bytes = Buffer.from(source.subarray(start, end));
          this.#toRanks(() => this.#rank(to).overlay.receive(from, decodeMessage(bytes)));
        },
        deliverEvent: (source, start) => {
          const bytes = Buffer.from(source.subarray(start));
          this.#toRanks(() => this.#deliverEvent(decodeMessage(bytes)));
        },
        // Whoever reads it now reads this.
        release: (source) => source.fill(0xdb),
        isCongested: () => this.#isCongested,
        setHeldUp: (isHeldUp) => {
          this.#isHeldUp = isHeldUp;
          if (!isHeldUp) for (const action of this.#held.splice(0)) this.run(action);
        },
        setReader: () => {},
        setStuck: (node, isStuck) =>
          this.#toRanks(() =>
            this.#eachNeighbour(node, (_, links) => {
              for (const link of links) link.isStuck = isStuck;
            }),
          ),
        joined: (node) => this.#toRanks(() => this.#eachNeighbour(node, (overlay, links) => overlay.linksUp(links))),
        lost: (node, why) => {
          this.log.push(`${this.#sim.agenda.time.toFixed(6)} lost process ${node}: ${why}`);
          this.#toRanks(() => this.#eachNeighbour(node, (overlay, links) => overlay.linksDown(links, why)));
        },
        note: ({ exitCode }) => {
          if (typeof exitCode === 'number') this.#toRanks(() => this.#panic(exitCode));
        },
        log: (severity, text) => this.log.push(`${this.#sim.agenda.time.toFixed(6)} ${severity} ${text}`),
      },
      {
        wires: wires.wiresOf(this),
        uris: new Map(parents(index).map((each) => [each, `sim://${each}`])),
        otherUris: new Map([[0, 'sim://0']]),
        ownUri: this.uri,
        ...(index > 0 && hasFeed && { feedUri: 'sim://feed' }),
        machine,
      },
    );
  }

  #toRanks(action: () => void): void {
    this.#down.inOrder(() => this.run(action));
  }

  #eachNeighbour(node: number, action: (overlay: Overlay, links: readonly Link[]) => void): void {
    const overlays = this.ranks.map((each) => this.#rank(each).overlay);
    eachNeighbour(overlays, this.#map.nodeOfRank, node, action);
  }

  /** What is sent in one round goes together. */
  #flushSoon(): void {
    if (this.#flushes) return;
    this.#flushes = true;
    const { agenda, random } = this.#sim;
    agenda.at(agenda.time + 1e-4 * random.number(), () =>
      this.run(() => {
        this.#flushes = false;
        this.#links.flush();
      }),
    );
  }
}
