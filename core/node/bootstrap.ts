/**
 * How a process learns of which instance it is a part: by the process management interface of whoever launched it
 * (RFC 13).
 *
 * Each process of the launched program stands for one or more ranks. Those that are on one machine are hosted by the first
 * of them, unless they are not to be shared; the others only wait for the end of the one that hosts theirs. All put a card
 * and enter a barrier; rank 0 reads the cards and puts the plan; all enter a barrier and read it. Where it has several
 * hosting processes these put where they listen, and enter a third barrier.
 */

import { randomUUID } from 'node:crypto';
import fs from 'node:fs';
import os from 'node:os';
import { asFluxError, FluxError } from '../errno.ts';
import { KEY_BYTES, makeKeyPair } from '../formats/certificate.ts';
import { IdSet } from '../formats/idset.ts';
import { TaskMap } from '../formats/taskmap.ts';
import { type JsonObject, parseJson, stringifyJson } from '../json.ts';
import { unpack } from '../message/unpack.ts';
import type { MachineFacts, Placement } from '../overlay/placement.ts';
import { openPmiBy } from '../pmi/methods.ts';
import type { Pmi } from '../pmi/pmi.ts';
import type { Enclosing } from './instance-attributes.ts';
import {
  type Card,
  decodeCard,
  decodeLaunchPlan,
  encodeCard,
  encodeLaunchPlan,
  type LaunchPlan,
  type PlayedHosts,
  planLaunch,
} from './launch-plan.ts';
import type { StartOptions } from './prepare.ts';
import { ZmqWires } from './zmq-wires.ts';

/** Keys of the key-value space: each process's card, the plan in pieces, and what hosting processes say of themselves. */
const cardKey = (process: number) => `flux.card.${process}`;
const planKey = (piece: number) => `flux.plan.${piece}`;
const nodeKey = (node: number) => `flux.node.${node}`;
const uriKey = (node: number) => `flux.uri.${node}`;
const SECRET_KEY = 'flux.secret';
/** What values of it begin with, so that nobody shows them. */
const SECRET = 'secret:';
/** Bytes of a value that any server takes. */
const VALUE_MAX = 512;

type Environment = Readonly<Record<string, string | undefined>>;

/** The card of this process. */
export function ownCard(hostname = os.hostname(), ranks = 1, isShared = true): Card {
  const bootId = fs.readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  return { hostname, machine: `${os.hostname()}/${bootId}`, ranks, isShared };
}

/** What a launched process is of its instance. */
export interface Launched {
  readonly plan: LaunchPlan;
  /** Index of the process that hosts its ranks. */
  readonly node: number;
  /** Whether that is this one. */
  readonly isHost: boolean;
  /** What the instance is started with. */
  readonly options: StartOptions;
}

/** What links are made with. */
export interface LinkWishes {
  /** Host part of an address by which other machines reach this one. */
  readonly address: () => string;
  /** Whether processes on one machine speak TCP, too. */
  readonly prefersTcp: boolean;
  readonly machine: MachineFacts;
  /** Seconds: tbon.tcp_user_timeout, tbon.connect_timeout. */
  readonly timeout: number;
  readonly connectTimeout: number;
  /** The processes that this one connects to. */
  parents(placement: Placement, size: number): readonly number[];
  log(text: string): void;
}

export class Bootstrap {
  readonly rank: number;
  readonly size: number;
  readonly #pmi: Pmi;
  readonly #environment: Environment;
  #wires: ZmqWires | undefined;

  constructor(pmi: Pmi, environment: Environment) {
    this.#pmi = pmi;
    this.#environment = environment;
    this.rank = pmi.rank;
    this.size = pmi.size;
  }

  /**
   * Opens the interface that the attribute broker.boot-method names, or else the first that works; a process that nobody
   * launched is alone.
   *
   * @throws FluxError what that fails with
   */
  static async open(method: string | undefined, environment: Environment = process.env): Promise<Bootstrap> {
    const show = (text: string) => console.error(`bootstrap: ${text.replace(/secret:\S+/, 'secret:…')}`);
    const trace = environment.FLUX_PMI_DEBUG ? show : undefined;
    return new Bootstrap(await openPmiBy({ method, refusesFlux: true, ...(trace && { trace }) }), environment);
  }

  /**
   * Gathers what the instance is; all processes call it.
   *
   * @param played what the process of rank 0 says of hosts in place of what is the case
   * @throws FluxError what the interface fails with
   */
  async gather(own: Card, played: Partial<PlayedHosts> = {}): Promise<Launched> {
    const plan = this.size > 1 ? await this.#exchange(own, played) : planLaunch([own], randomUUID(), Date.now() / 1000);
    const node = plan.nodes.findIndex(({ processes }) => IdSet.parse(processes).has(this.rank));
    if (node < 0) throw new FluxError('EPROTO', `the plan of the instance has no process ${this.rank}`);
    const isHost = IdSet.parse(plan.nodes[node]!.processes).first === this.rank;
    if (!isHost) return { plan, node, isHost, options: {} };
    const enclosing = await this.#enclosing();
    const interfaceHint = enclosing && (await this.#get('flux.tbon-interface-hint'));
    const { size, hosts } = plan;
    const options: StartOptions = {
      size,
      bootMethod: this.#pmi.method,
      mapping: plan.mapping === undefined ? await this.#mapping(enclosing, own.ranks) : plan.mapping,
      ...(size > 1 && { hosts }),
      ...(enclosing && { enclosing }),
      ...(interfaceHint && { attributes: { 'tbon.interface-hint': interfaceHint } }),
    };
    return { plan, node, isHost, options };
  }

  async #exchange(own: Card, played: Partial<PlayedHosts>): Promise<LaunchPlan> {
    await this.#pmi.put(cardKey(this.rank), encodeCard(own));
    await this.#pmi.barrier();
    if (this.rank === 0) {
      const cards: Card[] = [];
      for (let process = 0; process < this.size; process++)
        cards.push(decodeCard(await this.#pmi.get(cardKey(process))));
      await this.#putPlan({ ...planLaunch(cards, randomUUID(), Date.now() / 1000), ...played });
    }
    await this.#pmi.barrier();
    return this.#getPlan();
  }

  /** A value may have some bytes only; the first piece says how many there are. */
  async #putPlan(plan: LaunchPlan): Promise<void> {
    const text = Buffer.from(encodeLaunchPlan(plan)).toString('base64');
    const count = Math.ceil(text.length / VALUE_MAX);
    for (let i = 0; i < count; i++) {
      const piece = text.slice(i * VALUE_MAX, (i + 1) * VALUE_MAX);
      await this.#pmi.put(planKey(i), i === 0 ? `${count},${piece}` : piece);
    }
    if (plan.nodes.length === 1) return;
    const { publicKey, secretKey } = makeKeyPair();
    await this.#pmi.put(SECRET_KEY, SECRET + Buffer.concat([publicKey, secretKey]).toString('hex'));
  }

  async #getPlan(): Promise<LaunchPlan> {
    const [count, first = ''] = (await this.#pmi.get(planKey(0))).split(',');
    const pieces = [first];
    for (let i = 1; i < Number(count); i++) pieces.push(await this.#pmi.get(planKey(i)));
    return decodeLaunchPlan(Buffer.from(pieces.join(''), 'base64').toString());
  }

  /**
   * Tells the other hosting processes where this one is, and learns the same of them; all processes call it, those that
   * host nothing without `wishes`.
   *
   * @throws FluxError what listening fails with, or the interface
   */
  async link({ plan, node }: Launched, wishes?: LinkWishes): Promise<Pick<StartOptions, 'links' | 'shared'>> {
    const { nodes, instanceId, startTime, size } = plan;
    if (nodes.length === 1) return {};
    const opened = wishes && (await this.#listen(plan, node, wishes));
    await this.#pmi.barrier();
    if (!opened) return {};
    const placement = { own: node, nodes: nodes.map(({ ranks }) => ({ ranks })) };
    const uris = new Map<number, string>();
    let feedUri: string | undefined;
    const parents = wishes.parents(placement, size);
    for (const other of node === 0 ? [] : new Set([0, ...parents])) {
      const card = parseJson(await this.#pmi.get(nodeKey(other))) as JsonObject;
      const { uri, feed } = unpack(card, { uri: 's', feed: 's?' });
      if (parents.includes(other)) uris.set(other, uri);
      feedUri ??= feed;
    }
    return {
      shared: {
        instanceId,
        startTime,
        placement,
        processesHere: nodes.filter(({ machine }) => machine === nodes[node]!.machine).length,
      },
      links: { wires: opened.wires, uris, feedUri, machine: wishes.machine },
    };
  }

  async #listen({ nodes, instanceId }: LaunchPlan, node: number, wishes: LinkWishes) {
    const { address, prefersTcp, timeout, connectTimeout, log } = wishes;
    const secret = Buffer.from((await this.#pmi.get(SECRET_KEY)).slice(SECRET.length), 'hex');
    const isLocal =
      !prefersTcp && process.platform === 'linux' && nodes.every((each) => each.machine === nodes[0]!.machine);
    const wires = new ZmqWires({
      certificate: { publicKey: secret.subarray(0, KEY_BYTES), secretKey: secret.subarray(KEY_BYTES) },
      timeout,
      connectTimeout,
      // An address in brackets is of IPv6.
      ipv6: !isLocal && address().startsWith('['),
      log,
    });
    this.#wires = wires;
    // Without a folder, which nobody has to remove.
    const bindUri = (what: string) => (isLocal ? `ipc://@flux-${instanceId}-${what}` : `tcp://${address()}:*`);
    const uri = await wires.bind(bindUri(String(node)));
    const feed = node === 0 ? await wires.bindFeed(bindUri('feed')) : undefined;
    await this.#pmi.put(nodeKey(node), stringifyJson({ uri, ...(feed !== undefined && { feed }) }));
    return { wires };
  }

  /** A value that the launcher has put there; undefined when it has not. */
  #get(key: string): Promise<string | undefined> {
    return this.#pmi.get(key).catch(() => undefined);
  }

  /** FLUX_JOB_ID may speak of a job in which somebody else launched this process; PMI does not. */
  async #enclosing(): Promise<Enclosing | undefined> {
    const level = await this.#get('flux.instance-level');
    if (level === undefined) return undefined;
    const { FLUX_URI, FLUX_KVS_NAMESPACE, FLUX_JOB_ID_PATH } = this.#environment;
    return {
      jobid: this.#pmi.name,
      level,
      uri: FLUX_URI,
      namespace: FLUX_KVS_NAMESPACE,
      jobidPath: FLUX_JOB_ID_PATH ?? '/',
    };
  }

  /** Which ranks share a node, as the launcher sees it; null when it does not say. */
  async #mapping(enclosing: Enclosing | undefined, ranks: number): Promise<string | null> {
    if (this.size === 1) return `[[0,1,${ranks},1]]`;
    // A launcher knows processes, not what they stand for.
    if (ranks > 1) return null;
    const key = enclosing ? 'flux.taskmap' : 'PMI_process_mapping';
    const text = (await this.#get(key)) ?? (await this.#get('PMI_process_mapping'));
    if (text === undefined) return null;
    try {
      const map = TaskMap.parse(text);
      // Which node has which of them is not known where the launcher names fewer places.
      return map.taskCount === this.size ? map.encode() : null;
    } catch (error) {
      throw new FluxError('EINVAL', `${key}: ${asFluxError(error).message}`, { cause: error });
    }
  }

  /** A hosting process listens for clients; all are done with the interface. */
  async announce({ node }: Launched, uri: string): Promise<void> {
    if (this.size > 1) {
      await this.#pmi.put(uriKey(node), uri);
      await this.#pmi.barrier();
    }
    await this.#pmi.finalize();
  }

  /** Waits until the process that hosts this one's ranks listens, and resolves to its URI; the other side of `announce`. */
  async awaitUri({ node }: Launched): Promise<string> {
    await this.#pmi.barrier();
    const uri = await this.#pmi.get(uriKey(node));
    await this.#pmi.finalize();
    return uri;
  }

  /** Has all processes ended, because the instance cannot start. */
  async abort(message: string): Promise<void> {
    if (this.size > 1) await this.#pmi.abort(message).catch(() => {});
  }

  /** Ends what may keep the process alive, links of an instance that did not start among it. */
  close(): void {
    this.#pmi.close();
    this.#wires?.close();
  }
}
