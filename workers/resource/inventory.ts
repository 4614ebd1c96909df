/**
 * The resources of the instance, R (RFC 20), and where they come from. Kept in the KVS as `resource.R`; that they are
 * defined is an event.
 */

import fs from 'node:fs';
import type { ServiceContext, Timer } from '../../core/broker/service.ts';
import { asFluxError, FluxError } from '../../core/errno.ts';
import { parseDuration } from '../../core/formats/duration.ts';
import { Hostlist } from '../../core/formats/hostlist.ts';
import { IdSet } from '../../core/formats/idset.ts';
import { resourceSetFromJson, resourceSetToJson } from '../../core/formats/resource-json.ts';
import { noProperties, resourcesOf } from '../../core/formats/resource-node.ts';
import { ResourceSet } from '../../core/formats/resource-set.ts';
import { Kvs, PRIMARY_NAMESPACE } from '../../core/handle/kvs.ts';
import { KvsTransaction } from '../../core/handle/kvs-transaction.ts';
import { type JsonObject, parseJson, real } from '../../core/json.ts';
import { isObject } from '../../core/message/unpack.ts';
import type { Journal } from './journal.ts';
import type { Machine, Machines } from './machine.ts';
import { JobResources, type OpenParent } from './parent.ts';
import type { ResourceSettings } from './settings.ts';

const KEY = 'resource.R';
/** Seconds that a process has to connect, where there is no limit. */
const CONNECT_TIMEOUT = 30;

export type Method = 'configuration' | 'kvs' | 'job-info' | 'dynamic-discovery' | 'reload';

export class Inventory {
  readonly #context: ServiceContext;
  readonly #kvs: Kvs;
  readonly #machines: Machines;
  readonly #openParent: OpenParent;
  #R: JsonObject | undefined;
  #set: ResourceSet | undefined;
  #method: Method | undefined;
  /** Where this instance is a job. */
  #job: JobResources | undefined;

  constructor(context: ServiceContext, machines: Machines, openParent: OpenParent) {
    this.#context = context;
    this.#kvs = new Kvs(context, PRIMARY_NAMESPACE);
    this.#machines = machines;
    this.#openParent = openParent;
  }

  /** As JSON; undefined until it is known. */
  get R(): JsonObject | undefined {
    return this.#R;
  }
  get method(): Method | undefined {
    return this.#method;
  }

  /** As a set; empty until it is known. */
  get set(): ResourceSet {
    if (!this.#set && this.#R) this.#set = resourceSetFromJson(this.#R);
    return this.#set ?? ResourceSet.empty;
  }

  /** Ranks that there may be: those of the instance, and those that R has. */
  get size(): number {
    return Math.max(this.#context.size, (this.set.ranks.last ?? -1) + 1);
  }

  #define(R: JsonObject, method: Method, set?: ResourceSet): void {
    this.#R = R;
    this.#set = set;
    this.#method = method;
  }

  /** Takes what is configured, or else what the KVS has of an earlier life, or else what the job has that this is. */
  async restore(settings: ResourceSettings): Promise<void> {
    const { resources } = settings;
    if (resources) {
      const set = this.#context.config.bootstrap === undefined ? resources : this.#rerank(resources);
      this.#define(resourceSetToJson(set), 'configuration', set);
      return;
    }
    await this.#takeKept();
    if (!this.#R) await this.#takeFromJob(settings);
  }

  async #takeKept(): Promise<void> {
    try {
      const R = await this.#kvs.getJson(KEY);
      if (!isObject(R)) throw new FluxError('EINVAL', `${KEY} is not a JSON object`);
      this.#define(R, 'kvs', resourceSetFromJson(R));
    } catch (error) {
      if (asFluxError(error).code !== 'ENOENT') throw error;
    }
  }

  async #takeFromJob({ rediscovers, followsJob }: ResourceSettings): Promise<void> {
    const job = await JobResources.open(this.#context, this.#openParent, followsJob);
    if (!job) return;
    const set = rediscovers ? undefined : job.toOwn();
    if (set) this.#define(resourceSetToJson(set), 'job-info', set);
    if (set || rediscovers) this.#job = job;
    else await job.close();
  }

  /** Which rank a host has is told by the configuration of the brokers. */
  #rerank(set: ResourceSet): ResourceSet {
    try {
      return set.rerank(Hostlist.parse(this.#context.attribute('hostlist') ?? ''));
    } catch (error) {
      throw new FluxError('EINVAL', `error reranking R: ${(error as Error).message}`, { cause: error });
    }
  }

  /**
   * Takes what the ranks have, unless it is known already. Processes have some time to tell; ranks of those that do not are
   * left out, so that the others can be used.
   *
   * @param partitions whether each has a share of it
   * @throws FluxError EINVAL: there are more ranks than cores to share
   */
  async discover(partitions: boolean): Promise<void> {
    if (this.#R) return;
    const ranksOf = new Map<Machine, number[]>();
    const missing: number[] = [];
    const all = Array.from({ length: this.#context.size }, (_, rank) => rank);
    for (const [rank, machine] of (await this.#machinesOf(all)).entries()) {
      if (!machine) {
        missing.push(rank);
        continue;
      }
      const ranks = ranksOf.get(machine);
      if (ranks) ranks.push(rank);
      else ranksOf.set(machine, [rank]);
    }
    if (missing.length)
      this.#context.log('err', `ranks ${IdSet.from(missing).encode()} have not told what they have: they are left out`);
    const sets = Array.from(ranksOf, ([machine, ranks]) =>
      partitions ? sharedSet(ranks, machine) : machineSet(IdSet.from(ranks), machine),
    );
    const { nodes } = ResourceSet.empty.append(...sets);
    const set = new ResourceSet(nodes, { expiration: this.#job?.expiration ?? 0 });
    this.#define(resourceSetToJson(set), 'dynamic-discovery', set);
  }

  /**
   * The machines of ranks; undefined of processes that do not tell in twice the time that they have to connect.
   */
  async #machinesOf(ranks: readonly number[]): Promise<(Machine | undefined)[]> {
    const known = ranks.map((rank) => this.#machines.look(rank));
    if (known.every(Boolean)) return known;
    const { clock } = this.#context;
    const seconds = 2 * (parseDuration(this.#context.attribute('tbon.connect_timeout') ?? '') || CONNECT_TIMEOUT);
    let timer: Timer | undefined;
    const isLate = new Promise<void>((resolve) => {
      timer = clock.after(seconds, resolve);
    });
    await Promise.race([Promise.all(ranks.map((rank) => this.#machines.wait(rank))), isLate]);
    timer?.cancel();
    return ranks.map((rank) => this.#machines.look(rank));
  }

  /** Keeps R and posts that it is defined. */
  async publish(journal: Journal): Promise<void> {
    await this.#keep();
    await journal.post('resource-define', { method: this.#method! }, { isKept: true });
  }

  async #keep(): Promise<void> {
    try {
      await this.#kvs.commit(new KvsTransaction().putJson(KEY, this.#R!));
    } catch (error) {
      const { errno, message } = asFluxError(error);
      throw new FluxError(errno, `error committing R to KVS: ${message}`, { cause: error });
    }
  }

  /**
   * Takes other resources from a file, or from a folder of hwloc's XML, a file for each rank.
   *
   * @param isForced whether there may be ranks that the instance has not
   * @throws FluxError EINVAL, EPROTO, ENOENT: what is wrong with it
   */
  async reload(path: string, isXml: boolean, isForced: boolean, journal: Journal): Promise<void> {
    const R = isXml ? this.#readXmlFolder(path) : readR(path);
    const set = checkedSet(R, path);
    const { size } = this.#context;
    if ((set.ranks.last ?? 0) >= size) {
      if (!isForced) {
        const text = `resource object contains ranks beyond those of an instance of size ${size} (override with -f)`;
        throw new FluxError('EINVAL', text);
      }
      this.#context.log('err', `resource object contains ranks beyond those of an instance of size ${size}`);
    }
    this.#define(R, 'reload', set);
    await this.publish(journal);
  }

  #readXmlFolder(path: string): JsonObject {
    let names: string[];
    try {
      names = fs.readdirSync(path).filter((name) => /^\d+\.xml$/.test(name));
    } catch (error) {
      throw new FluxError('ENOENT', (error as Error).message);
    }
    if (!names.length) throw new FluxError('EINVAL', `${path}: no file RANK.xml is in this folder`);
    const sets = names.map((name) => {
      const rank = Number.parseInt(name, 10);
      return machineSet(IdSet.from([rank]), this.#machines.read(fs.readFileSync(`${path}/${name}`, 'utf8')));
    });
    return resourceSetToJson(ResourceSet.empty.append(...sets));
  }

  /** The instance ends at another time: seconds since the epoch, 0 for never. */
  async setExpiration(expiration: number, journal: Journal): Promise<void> {
    const set = new ResourceSet(this.set.nodes, { ...this.set, expiration });
    this.#define(resourceSetToJson(set), this.#method!, set);
    await this.#keep();
    await journal.post('resource-update', { expiration: real(expiration) }, { isKept: true });
  }

  /** Ends when the job does that this instance is, whenever that is to be. */
  follow(journal: Journal): void {
    this.#job?.onExpiration((expiration) => this.setExpiration(expiration, journal));
  }

  async stop(): Promise<void> {
    await this.#job?.close();
  }

  /**
   * The ranks that are meant by an idset or a hostlist.
   *
   * @throws FluxError EINVAL: it is neither, or there is no such host
   */
  ranksOf(targets: string): IdSet {
    try {
      return IdSet.parse(targets);
    } catch {
      if (!this.#R) throw new FluxError('EINVAL', 'R is unavailable for mapping hostnames to ranks');
      try {
        return this.set.ranksOf(Hostlist.parse(targets));
      } catch (error) {
        throw new FluxError('EINVAL', `invalid targets: ${(error as Error).message}`, { cause: error });
      }
    }
  }
}

/** What ranks on one machine have: each all of it. */
export function machineSet(ranks: IdSet, { cores, gpus, hostname }: Machine): ResourceSet {
  const ids: [string, IdSet][] = [['core', IdSet.range(0, cores - 1)]];
  if (gpus) ids.push(['gpu', IdSet.range(0, gpus - 1)]);
  const hosts = Hostlist.from(new Array<string>(ranks.count).fill(hostname));
  return ResourceSet.uniform(ranks, hosts, resourcesOf(ids));
}

/** What each of some ranks has when they share a machine: cores and GPUs that follow each other. */
function sharedSet(ranks: readonly number[], { cores, gpus, hostname }: Machine): ResourceSet {
  const size = ranks.length;
  if (size > cores) throw new FluxError('EINVAL', `${size} ranks cannot share ${cores} cores (resource.partition)`);
  const share = (count: number, index: number) => {
    const [first, end] = [index, index + 1].map((each) => Math.floor((each * count) / size)) as [number, number];
    return end > first ? IdSet.range(first, end - 1) : IdSet.empty;
  };
  const nodes = ranks.map((rank, index) => {
    const ids = [['core', share(cores, index)] as const, ['gpu', share(gpus, index)] as const];
    const resources = resourcesOf(ids.filter(([, set]) => set.count));
    return { rank, hostname, resources, properties: noProperties };
  });
  return new ResourceSet(nodes);
}

function readR(path: string): JsonObject {
  let text: string;
  try {
    text = fs.readFileSync(path, 'utf8');
  } catch (error) {
    throw new FluxError('ENOENT', (error as Error).message);
  }
  try {
    const R = parseJson(text);
    if (isObject(R)) return R;
  } catch (error) {
    throw new FluxError('EPROTO', `${path}: ${(error as Error).message}`);
  }
  throw new FluxError('EPROTO', `${path}: it is not a JSON object`);
}

function checkedSet(R: JsonObject, path: string): ResourceSet {
  try {
    return resourceSetFromJson(R);
  } catch (error) {
    throw new FluxError('EINVAL', `${path}: ${(error as Error).message}`, { cause: error });
  }
}
