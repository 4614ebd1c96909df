/**
 * How a process learns of which instance it is a part: by the process management interface of whoever launched it
 * (RFC 13).
 *
 * Each process of the launched program stands for a rank. All that are on one machine are hosted by one of them, the one
 * of rank 0; the others only wait for the instance's end.
 */

import fs from 'node:fs';
import os from 'node:os';
import { asFluxError, FluxError } from '../errno.ts';
import { Hostlist } from '../formats/hostlist.ts';
import { TaskMap } from '../formats/taskmap.ts';
import { openPmiBy } from '../pmi/methods.ts';
import type { Pmi } from '../pmi/pmi.ts';
import type { Enclosing } from './instance-attributes.ts';
import type { StartOptions } from './prepare.ts';

/** Keys of the key-value space: each rank's card, and where the instance listens once it does. */
const cardKey = (rank: number) => `flux.card.${rank}`;
const URI_KEY = 'flux.uri';

/** What a process tells the others of itself. */
export interface Card {
  readonly hostname: string;
  /** The same for all processes that can have one run their ranks. */
  readonly machine: string;
}

type Environment = Readonly<Record<string, string | undefined>>;

/** The card of this process. */
export function ownCard(hostname = os.hostname()): Card {
  return { hostname, machine: `${os.hostname()}/${fs.readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()}` };
}

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
    const trace = environment.FLUX_PMI_DEBUG ? (text: string) => console.error(`bootstrap: ${text}`) : undefined;
    return new Bootstrap(await openPmiBy({ method, refusesFlux: true, ...(trace && { trace }) }), environment);
  }

  /**
   * Gathers what the instance is started with; all ranks call it, and what it resolves to is rank 0's.
   *
   * @throws FluxError ENOSYS: the ranks are on several machines; what the interface fails with
   */
  async gather(own: Card): Promise<StartOptions> {
    const { rank, size } = this;
    const hosts = size > 1 ? await this.#exchange(own) : [];
    if (rank > 0) return {};
    const enclosing = await this.#enclosing();
    const interfaceHint = enclosing && (await this.#get('flux.tbon-interface-hint'));
    return {
      size,
      bootMethod: this.#pmi.method,
      mapping: await this.#mapping(enclosing),
      ...(size > 1 && { hosts: Hostlist.from(hosts).encode() }),
      ...(enclosing && { enclosing }),
      ...(interfaceHint && { attributes: { 'tbon.interface-hint': interfaceHint } }),
    };
  }

  async #exchange(own: Card): Promise<string[]> {
    await this.#pmi.put(cardKey(this.rank), `${own.machine},${own.hostname}`);
    await this.#pmi.barrier();
    if (this.rank > 0) return [];
    const hosts: string[] = [];
    for (let rank = 0; rank < this.size; rank++) {
      const [machine, hostname = ''] = (await this.#pmi.get(cardKey(rank))).split(',');
      if (machine !== own.machine) {
        const where = `rank 0 is on ${own.hostname} and rank ${rank} on ${hostname}`;
        throw new FluxError('ENOSYS', `an instance on several machines is not supported: ${where}`);
      }
      hosts.push(hostname);
    }
    return hosts;
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
  async #mapping(enclosing: Enclosing | undefined): Promise<string | null> {
    if (this.size === 1) return '[[0,1,1,1]]';
    const key = enclosing ? 'flux.taskmap' : 'PMI_process_mapping';
    const text = (await this.#get(key)) ?? (await this.#get('PMI_process_mapping'));
    if (text === undefined) return null;
    try {
      return TaskMap.parse(text).encode();
    } catch (error) {
      throw new FluxError('EINVAL', `${key}: ${asFluxError(error).message}`, { cause: error });
    }
  }

  /** Rank 0 says that the instance listens, and all are done with the interface. */
  async announce(uri: string): Promise<void> {
    if (this.size > 1) {
      await this.#pmi.put(URI_KEY, uri);
      await this.#pmi.barrier();
    }
    await this.#pmi.finalize();
  }

  /** Waits until the instance listens, and resolves to its URI; the other side of `announce`. */
  async awaitUri(): Promise<string> {
    await this.#pmi.barrier();
    const uri = await this.#pmi.get(URI_KEY);
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
