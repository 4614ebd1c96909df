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
import { IdSet } from '../formats/idset.ts';
import { TaskMap } from '../formats/taskmap.ts';
import { openPmiBy } from '../pmi/methods.ts';
import type { Pmi } from '../pmi/pmi.ts';
import { type Linked, type LinkWishes, linkProcesses, putSecret, withoutSecret } from './bootstrap-links.ts';
import type { Enclosing } from './instance-attributes.ts';
import {
  type Card,
  decodeCard,
  decodeLaunchPlan,
  encodeCard,
  encodeLaunchPlan,
  type LaunchPlan,
  planLaunch,
} from './launch-plan.ts';
import type { StartOptions } from './prepare.ts';

/** Keys of the key-value space: each process's card, the plan in pieces, and where hosting processes take clients. */
const cardKey = (process: number) => `flux.card.${process}`;
const planKey = (piece: number) => `flux.plan.${piece}`;
const uriKey = (node: number) => `flux.uri.${node}`;
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

/** What the one who starts all processes says of the ranks. */
export type Told = Pick<StartOptions, 'hosts' | 'mapping'>;

export class Bootstrap {
  readonly rank: number;
  readonly size: number;
  readonly #pmi: Pmi;
  readonly #environment: Environment;

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
    const show = (text: string) => console.error(`bootstrap: ${withoutSecret(text)}`);
    const trace = environment.FLUX_PMI_DEBUG ? show : undefined;
    return new Bootstrap(await openPmiBy({ method, refusesFlux: true, ...(trace && { trace }) }), environment);
  }

  /**
   * Gathers what the instance is; all processes call it.
   *
   * @param told what rank 0's process knows better than the processes and their launcher
   * @throws FluxError what the interface fails with
   */
  async gather(own: Card, told: Told = {}): Promise<Launched> {
    const plan = await (this.size > 1 ? this.#exchange(own, told) : this.#makePlan([own], told));
    const node = plan.nodes.findIndex(({ processes }) => IdSet.parse(processes).has(this.rank));
    if (node < 0) throw new FluxError('EPROTO', `the plan of the instance has no process ${this.rank}`);
    const isHost = IdSet.parse(plan.nodes[node]!.processes).first === this.rank;
    if (!isHost) return { plan, node, isHost, options: {} };
    const enclosing = await this.#enclosing();
    const interfaceHint = enclosing && (await this.#get('flux.tbon-interface-hint'));
    const { size, hosts, mapping } = plan;
    const options: StartOptions = {
      size,
      bootMethod: this.#pmi.method,
      mapping,
      ...(size > 1 && { hosts }),
      ...(enclosing && { enclosing }),
      ...(interfaceHint && { attributes: { 'tbon.interface-hint': interfaceHint } }),
    };
    return { plan, node, isHost, options };
  }

  async #exchange(own: Card, told: Told): Promise<LaunchPlan> {
    await this.#pmi.put(cardKey(this.rank), encodeCard(own));
    await this.#pmi.barrier();
    if (this.rank === 0) {
      const cards: Card[] = [];
      for (let process = 0; process < this.size; process++)
        cards.push(decodeCard(await this.#pmi.get(cardKey(process))));
      await this.#putPlan(await this.#makePlan(cards, told));
    }
    await this.#pmi.barrier();
    return this.#getPlan();
  }

  async #makePlan(cards: readonly Card[], { hosts, mapping }: Told): Promise<LaunchPlan> {
    return planLaunch(cards, {
      instanceId: randomUUID(),
      startTime: Date.now() / 1000,
      hosts,
      mapping: mapping === undefined ? await this.#mapping(cards) : mapping,
    });
  }

  /** A value may have some bytes only; the first piece says how many there are. */
  async #putPlan(plan: LaunchPlan): Promise<void> {
    const text = Buffer.from(encodeLaunchPlan(plan)).toString('base64');
    const count = Math.ceil(text.length / VALUE_MAX);
    for (let i = 0; i < count; i++) {
      const piece = text.slice(i * VALUE_MAX, (i + 1) * VALUE_MAX);
      await this.#pmi.put(planKey(i), i === 0 ? `${count},${piece}` : piece);
    }
    if (plan.nodes.length > 1) await putSecret(this.#pmi);
  }

  async #getPlan(): Promise<LaunchPlan> {
    const [count, first = ''] = (await this.#pmi.get(planKey(0))).split(',');
    const pieces = [first];
    for (let i = 1; i < Number(count); i++) pieces.push(await this.#pmi.get(planKey(i)));
    return decodeLaunchPlan(Buffer.from(pieces.join(''), 'base64').toString());
  }

  /** See `linkProcesses`. */
  link({ plan, node }: Launched, wishes?: LinkWishes): Promise<Linked> {
    return linkProcesses(this.#pmi, plan, node, wishes);
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
  async #mapping(cards: readonly Card[]): Promise<string | null> {
    if (this.size === 1) return `[[0,1,${cards[0]!.ranks},1]]`;
    // A launcher knows processes, not what they stand for.
    if (cards.some(({ ranks }) => ranks > 1)) return null;
    const key = (await this.#enclosing()) ? 'flux.taskmap' : 'PMI_process_mapping';
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

  close(): void {
    this.#pmi.close();
  }
}
