/**
 * The KVS namespace of a job: made for its user when the job starts, linked from the primary namespace while the job
 * is active, and part of it afterwards (RFC 16): that is what the job manager sees to, together with the last events.
 */

import type { ServiceContext } from '../../core/broker/service.ts';
import { asFluxError, FluxError } from '../../core/errno.ts';
import { type HashName, makeBlobref } from '../../core/formats/blobref.ts';
import { jobKey, jobNamespace } from '../../core/formats/job-keys.ts';
import { LookupFlag } from '../../core/formats/kvs-flags.ts';
import { encodeTreeobj, makeDir, makeDirref } from '../../core/formats/treeobj.ts';
import { Kvs, PRIMARY_NAMESPACE } from '../../core/handle/kvs.ts';
import { KvsTransaction } from '../../core/handle/kvs-transaction.ts';
import type { LogText } from '../shell/event-writer.ts';

export class GuestNamespace {
  readonly name: string;
  readonly #context: ServiceContext;
  readonly #primary: Kvs;
  readonly #own: Kvs;
  readonly #key: string;

  constructor(context: ServiceContext, jobid: bigint) {
    this.name = jobNamespace(jobid);
    this.#context = context;
    this.#primary = new Kvs(context, PRIMARY_NAMESPACE);
    this.#own = new Kvs(context, this.name);
    this.#key = jobKey(jobid, 'guest');
  }

  /**
   * Makes it.
   *
   * @param rootref what it begins with; an empty directory when absent
   * @throws FluxError EEXIST: there is one
   */
  async create(userid: number, rootref = emptyRoot(this.#context)): Promise<void> {
    // C programs send the userid as a signed integer, and the service takes it as one.
    await this.#context.rpc('kvs.namespace-create', { namespace: this.name, rootref, owner: userid | 0, flags: 0 });
  }

  /** Makes the job's key `guest` stand for it. */
  async link(): Promise<void> {
    await this.#primary.commit(new KvsTransaction().symlink(this.#key, '.', this.name));
  }

  /**
   * What is left of it in the primary namespace: a directory's blobref after an end in order; `link` when it was active, and
   * undefined when there was none.
   */
  async remains(): Promise<{ readonly rootref: string } | 'link' | undefined> {
    try {
      const object = await this.#primary.lookup(this.#key, { flags: LookupFlag.treeobj });
      return object.type === 'dirref' && object.data[0] !== undefined ? { rootref: object.data[0] } : 'link';
    } catch (error) {
      if (error instanceof FluxError && asFluxError(error).code === 'ENOENT') return undefined;
      throw error;
    }
  }

  /** Whether nobody has written to it since it was made. */
  async isUntouched(): Promise<boolean> {
    const { rootseq } = await this.#own.getroot();
    return rootseq === 0;
  }

  /**
   * Appends to its logs for the last time.
   *
   * @returns the blobref of its root directory then
   */
  async finish(log: readonly LogText[]): Promise<string> {
    const transaction = new KvsTransaction();
    for (const { key, text } of log) transaction.append(key, text);
    const { rootref } = await this.#own.commit(transaction);
    return rootref;
  }

  /** Puts a copy of what it was at some time into the primary namespace. */
  async copy(rootref: string): Promise<void> {
    await this.#primary.commit(new KvsTransaction().putTreeobj(this.#key, makeDirref(rootref)));
  }
}

/** The blobref of an empty directory by the instance's hash. */
function emptyRoot(context: ServiceContext): string {
  const hash = (context.attribute('content.hash') ?? 'sha1') as HashName;
  let rootref = emptyRoots.get(hash);
  if (rootref === undefined) {
    rootref = makeBlobref(hash, Buffer.from(encodeTreeobj(makeDir())));
    emptyRoots.set(hash, rootref);
  }
  return rootref;
}

const emptyRoots = new Map<HashName, string>();
