/** Reads what the KVS has of a job: several keys at once, as they were stored or with what has changed since. */

import type { ServiceContext } from '../../core/broker/service.ts';
import { asFluxError, errno, FluxError, strerror } from '../../core/errno.ts';
import { decodeEventlog } from '../../core/formats/eventlog.ts';
import { encodeJson } from '../../core/formats/jansson.ts';
import { jobKey } from '../../core/formats/job-keys.ts';
import { applyUpdate, isUpdatedKey, type UpdatedKey, updateEvents } from '../../core/formats/job-updates.ts';
import { Kvs, PRIMARY_NAMESPACE } from '../../core/handle/kvs.ts';
import type { Request } from '../../core/handle/methods.ts';
import { integer, type JsonObject, type JsonValue, parseJson } from '../../core/json.ts';
import { isObject, unpack } from '../../core/message/unpack.ts';
import type { Owners } from './owners.ts';

/** Bits of the flags of `job-info.lookup`. */
export const LookupFlag = {
  /** R and jobspec as objects, not as texts. */
  decode: 1,
  /** R and jobspec with what has changed since they were stored. */
  current: 2,
} as const;

/** Answers from what somebody watches anyway; undefined when nobody does. */
export type Watched = (id: bigint, key: UpdatedKey) => JsonObject | undefined;

/** A text, or the error that reading it failed with. */
type Found = string | FluxError;

const EVENTLOG = 'eventlog';

export class Lookups {
  /** Those that are under way. */
  count = 0;
  readonly #kvs: Kvs;
  readonly #owners: Owners;
  readonly #watched: Watched;
  readonly #context: ServiceContext;

  constructor(context: ServiceContext, owners: Owners, watched: Watched) {
    this.#context = context;
    this.#kvs = new Kvs(context, PRIMARY_NAMESPACE);
    this.#owners = owners;
    this.#watched = watched;
  }

  /**
   * What a user asks for of a job, by key.
   *
   * @throws FluxError EPERM: it is another's job; ENOENT: no such job, no such key; what reading a key fails with
   */
  async lookup(request: Request, id: bigint, keys: readonly string[], flags: number): Promise<JsonObject> {
    const mayRead = this.#owners.mayRead(request, id);
    if (mayRead === false) throw notYours();
    if (mayRead && flags & LookupFlag.current && keys.length === 1) {
      const [key = ''] = keys;
      const value = isUpdatedKey(key) ? this.#watched(id, key) : undefined;
      if (value) return { id: integer(id), [key]: flags & LookupFlag.decode ? value : encodeJson(value) };
    }
    this.count++;
    try {
      return await this.#read(request, id, keys, flags, mayRead === true);
    } finally {
      this.count--;
    }
  }

  async #read(
    request: Request,
    id: bigint,
    keys: readonly string[],
    flags: number,
    isAllowed: boolean,
  ): Promise<JsonObject> {
    // Whose job it is, and what has changed: also the instance owner learns which of job and key is missing.
    const wantsLog = !isAllowed || (flags & LookupFlag.current) !== 0;
    const found = await this.#findAll(id, wantsLog ? [EVENTLOG, ...keys] : keys);
    if (!isAllowed && !this.#owners.learn(request, id, existing(found.get(EVENTLOG)!))) throw notYours();
    const answer: Record<string, JsonValue> = { id: integer(id) };
    for (const key of keys) {
      const text = taken(key, found.get(key)!);
      answer[key] = isUpdatedKey(key) ? this.#value(id, key, text, flags, found) : text;
    }
    return answer;
  }

  /**
   * A key as it was stored, and the event log.
   *
   * @throws FluxError ENOENT: no such job, no such key; what reading them fails with
   */
  async stored(id: bigint, key: string): Promise<{ readonly text: string; readonly eventlog: string }> {
    const found = await this.#findAll(id, [EVENTLOG, key]);
    return { eventlog: existing(found.get(EVENTLOG)!), text: taken(key, found.get(key)!) };
  }

  /**
   * Whether a user may read about a job.
   *
   * @throws FluxError ENOENT: no such job
   */
  async mayRead(request: Request, id: bigint): Promise<boolean> {
    if (request.isOwner) return true;
    return (
      this.#owners.mayRead(request, id) ?? this.#owners.learn(request, id, existing(await this.#find(id, EVENTLOG)))
    );
  }

  async #findAll(id: bigint, keys: readonly string[]): Promise<ReadonlyMap<string, Found>> {
    const found = new Map<string, Found>();
    const find = (keys: Iterable<string>) =>
      Promise.all(Array.from(keys, async (key) => found.set(key, await this.#find(id, key))));
    await find(new Set(keys));
    // A job may run before its R is in the KVS.
    const missing = [...found.keys()].filter((key) => isMissing(found.get(key)!));
    if (missing.length && (await this.#managerCommitted())) await find(missing);
    return found;
  }

  /** Resolves when the KVS has what the job manager knows by now; to false when there is nothing to wait for. */
  async #managerCommitted(): Promise<boolean> {
    try {
      const answer = await this.#context.rpc('job-manager.committed');
      const { rootseq } = unpack(answer, { rootseq: 'i' });
      await this.#kvs.waitVersion(rootseq);
      return true;
    } catch {
      // There is no manager, or it cannot commit now, and says so itself.
      return false;
    }
  }

  async #find(id: bigint, key: string): Promise<Found> {
    try {
      return await this.#kvs.getText(jobKey(id, key));
    } catch (error) {
      return asFluxError(error);
    }
  }

  #value(id: bigint, key: UpdatedKey, text: string, flags: number, found: ReadonlyMap<string, Found>): JsonValue {
    if (!(flags & LookupFlag.current)) return flags & LookupFlag.decode ? parseObject(key, text) : text;
    const value = this.#current(id, key, parseObject(key, text), taken(EVENTLOG, found.get(EVENTLOG)!));
    return flags & LookupFlag.decode ? value : encodeJson(value);
  }

  #current(id: bigint, key: UpdatedKey, stored: JsonObject, eventlog: string): JsonObject {
    let value = stored;
    for (const { name, context } of decodeEventlog(eventlog))
      if (name === updateEvents[key] && context)
        value = applyUpdate(key, value, context, (path) =>
          this.#context.log('info', `failed to update job ${id} ${key}: there is no ${path}`),
        );
    return value;
  }
}

function isMissing(found: Found): boolean {
  return found instanceof FluxError && found.errno === errno.ENOENT;
}

function notYours(): FluxError {
  return new FluxError('EPERM', 'access is restricted to job/instance owner');
}

/** The event log, which every job has. */
function existing(eventlog: Found): string {
  if (!(eventlog instanceof FluxError)) return eventlog;
  throw isMissing(eventlog) ? new FluxError('ENOENT', 'invalid job id') : eventlog;
}

function taken(key: string, found: Found): string {
  if (found instanceof FluxError) {
    const why = isMissing(found) ? 'key not found' : strerror(found.errno);
    throw new FluxError(found.errno, `${key}: ${why}`);
  }
  if (found === '') throw new FluxError('EPROTO', `${key}: value is unexpectedly empty`);
  return found;
}

/** @throws FluxError EINVAL: what is stored is no JSON object */
export function parseObject(key: string, text: string): JsonObject {
  try {
    const value = parseJson(text);
    if (isObject(value)) return value;
  } catch {
    // Told below.
  }
  throw new FluxError('EINVAL', `${key}: what is stored is no JSON object`);
}
