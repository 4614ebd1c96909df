/** What the KVS has of jobs (RFC 16), for what is not kept in memory. */

import type { ServiceContext } from '../../core/broker/service.ts';
import { asFluxError, FluxError } from '../../core/errno.ts';
import { decodeEventlog, type EventlogEntry } from '../../core/formats/eventlog.ts';
import { encodeFluid } from '../../core/formats/fluid.ts';
import { withoutValueAt, withValueAt } from '../../core/formats/json-path.ts';
import { Kvs, PRIMARY_NAMESPACE } from '../../core/handle/kvs.ts';
import { type JsonObject, parseJson } from '../../core/json.ts';
import { isObject } from '../../core/message/unpack.ts';

/** What is kept of one job. */
export interface StoredJob {
  readonly eventlog: readonly EventlogEntry[];
  /** As updates have made it, without the environment. */
  readonly jobspec: JsonObject;
  /** As updates have made it, without the scheduler's part. */
  readonly R: JsonObject | undefined;
}

export class Archive {
  readonly #kvs: Kvs;

  constructor(context: ServiceContext) {
    this.#kvs = new Kvs(context, PRIMARY_NAMESPACE);
  }

  /** @throws FluxError ENOENT: there is no log; EINVAL: it is none; what the KVS says */
  async eventlog(id: bigint): Promise<EventlogEntry[]> {
    return decodeEventlog(await this.#text(id, 'eventlog'));
  }

  /**
   * The jobspec as it was submitted, without the environment.
   *
   * @throws FluxError ENOENT, EINVAL, and what the KVS says
   */
  async jobspec(id: bigint): Promise<JsonObject> {
    return redactJobspec(parseObject(await this.#text(id, 'jobspec'), 'jobspec'));
  }

  /** R as it was allocated, without the scheduler's part; undefined when there is none. */
  async R(id: bigint): Promise<JsonObject | undefined> {
    try {
      const { scheduling: _, ...R } = parseObject(await this.#text(id, 'R'), 'R');
      return R;
    } catch (error) {
      if (asFluxError(error).code === 'ENOENT') return undefined;
      throw error;
    }
  }

  /** A job as its events have made it. */
  async job(id: bigint): Promise<StoredJob> {
    let [eventlog, jobspec, R] = await Promise.all([this.eventlog(id), this.jobspec(id), this.R(id)]);
    for (const { name, context = {} } of eventlog) {
      if (name === 'jobspec-update')
        for (const [path, value] of Object.entries(context)) jobspec = withValueAt(jobspec, path, value!);
      else if (name === 'resource-update' && R && context.expiration !== undefined)
        R = withValueAt(R, 'execution.expiration', context.expiration);
    }
    return { eventlog, jobspec, R };
  }

  async #text(id: bigint, name: string): Promise<string> {
    const key = `${encodeFluid(id, 'kvs')}.${name}`;
    try {
      return await this.#kvs.getText(key);
    } catch (error) {
      const { errno, message } = asFluxError(error);
      throw new FluxError(errno, `lookup ${key}: ${message}`);
    }
  }
}

function parseObject(text: string, what: string): JsonObject {
  try {
    const value = parseJson(text);
    if (isObject(value)) return value;
  } catch {}
  throw new FluxError('EINVAL', `failed to decode ${what}`);
}

/** A jobspec without the environment, which only the shell needs and is much of it. */
export function redactJobspec(jobspec: JsonObject): JsonObject {
  return withoutValueAt(jobspec, 'attributes.system.environment');
}
