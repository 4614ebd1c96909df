/**
 * R of the job that this instance is, from the instance that it is a job of: what it is at first, and when it is to end
 * from then on (`job-info.update-watch`).
 */

import type { ServiceContext } from '../../core/broker/service.ts';
import { asFluxError, FluxError } from '../../core/errno.ts';
import { parseFluid } from '../../core/formats/fluid.ts';
import { Hostlist } from '../../core/formats/hostlist.ts';
import { resourceSetFromJson } from '../../core/formats/resource-json.ts';
import type { ResourceSet } from '../../core/formats/resource-set.ts';
import type { Responses, RpcOptions } from '../../core/handle/rpc.ts';
import { type JsonObject, parseJson } from '../../core/json.ts';
import { Flag, type Payload } from '../../core/message/message.ts';
import { isObject } from '../../core/message/unpack.ts';

/** A connection to the enclosing instance. */
export interface Parent {
  request(topic: string, payload?: Payload, options?: RpcOptions): Responses;
  close(): Promise<void>;
}

/** Connects to the instance at a URI; rejects with what that fails with. */
export type OpenParent = (uri: string) => Promise<Parent>;

export class JobResources {
  readonly #context: ServiceContext;
  readonly #parent: Parent;
  readonly #id: bigint;
  /** What tells of changes; undefined where the enclosing instance tells of none. */
  #watch: Responses | undefined;
  #isClosed = false;
  #set!: ResourceSet;

  private constructor(context: ServiceContext, parent: Parent, id: bigint) {
    this.#context = context;
    this.#parent = parent;
    this.#id = id;
  }

  /**
   * Asks for R; resolves to undefined when this instance is no job.
   *
   * @throws FluxError what the enclosing instance cannot be reached for, or says
   */
  static async open(
    context: ServiceContext,
    openParent: OpenParent,
    watches: boolean,
  ): Promise<JobResources | undefined> {
    const jobid = context.attribute('jobid');
    const uri = context.attribute('parent-uri');
    if (jobid === undefined || uri === undefined) return undefined;
    try {
      const resources = new JobResources(context, await openParent(uri), parseFluid(jobid));
      await resources.#ask(watches);
      return resources;
    } catch (error) {
      const { errno, message } = asFluxError(error);
      throw new FluxError(errno, `lookup R from enclosing instance: ${message}`, { cause: error });
    }
  }

  async #ask(watches: boolean): Promise<void> {
    try {
      this.#set = resourceSetFromJson((watches ? await this.#watchR() : undefined) ?? (await this.#lookUp()));
    } catch (error) {
      await this.close();
      throw error;
    }
  }

  /** Resolves to undefined when the enclosing instance is too old to tell of changes. */
  async #watchR(): Promise<JsonObject | undefined> {
    const payload = { id: this.#id, key: 'R', flags: 0 };
    const watch = this.#parent.request('job-info.update-watch', payload, { flags: Flag.streaming });
    const response = await watch.next();
    if (response.errnum) {
      const error = response.error();
      if (error.code !== 'ENOSYS') throw error;
      this.#context.log(
        'debug',
        'the enclosing instance has no job-info.update-watch, falling back to job-info.lookup',
      );
      return undefined;
    }
    this.#watch = watch;
    return response.unpack({ R: 'o' }).R;
  }

  async #lookUp(): Promise<JsonObject> {
    const response = await this.#parent.request('job-info.lookup', { id: this.#id, keys: ['R'], flags: 0 }).next();
    if (response.errnum) throw response.error();
    const R = parseJson(response.unpack({ R: 's' }).R);
    if (!isObject(R)) throw new FluxError('EPROTO', 'R is not a JSON object');
    return R;
  }

  /**
   * R with the ranks of this instance; undefined when these are not those of the job's nodes, as when several are on
   * one node.
   */
  toOwn(): ResourceSet | undefined {
    const { size } = this.#context;
    const count = this.#set.nodes.length;
    if (count !== size) {
      const text = `cannot map ${count} ranks of R to ${size} brokers, falling back to discovery`;
      this.#context.log('debug', text);
      return undefined;
    }
    return this.#rerank(this.#set).remap();
  }

  /** Ranks by hosts, where each rank has one of its own. */
  #rerank(set: ResourceSet): ResourceSet {
    const hosts = Hostlist.parse(this.#context.attribute('hostlist') ?? '');
    const names = hosts.expand();
    if (new Set(names).size < names.length) return set;
    try {
      return set.rerank(hosts);
    } catch (error) {
      // Hosts that are played, for example.
      this.#context.log('debug', `Warning: rerank of R failed: ${(error as Error).message}`);
      return set;
    }
  }

  /** When the job is to end: seconds since the epoch, 0 for never. */
  get expiration(): number {
    return this.#set.expiration;
  }

  /** Calls back with each new time at which the job is to end. */
  onExpiration(listener: (expiration: number) => Promise<void>): void {
    const watch = this.#watch;
    if (!watch) return;
    const follow = async () => {
      for (;;) {
        const response = await watch.next();
        if (response.errnum) throw response.error();
        this.#set = resourceSetFromJson(response.unpack({ R: 'o' }).R);
        await listener(this.expiration);
      }
    };
    follow().catch((error: Error) => {
      if (!this.#isClosed) this.#context.log('err', `failed to follow R of the enclosing instance: ${error.message}`);
    });
  }

  close(): Promise<void> {
    this.#isClosed = true;
    return this.#parent.close();
  }
}
