/** Takes the requests that change a namespace, and tells everybody who is concerned what came of them. */

import type { ServiceContext } from '../../core/broker/service.ts';
import { FluxError } from '../../core/errno.ts';
import { CommitFlag } from '../../core/formats/kvs-flags.ts';
import { LATER, type Reply, type Request } from '../../core/handle/methods.ts';
import { type JsonObject, type JsonValue, stringifyJson } from '../../core/json.ts';
import type { Payload } from '../../core/message/message.ts';
import { isObject } from '../../core/message/unpack.ts';
import { Tally } from '../tally.ts';
import { type CommitHost, CommitQueue, type Outcome, type Transaction, type Waiting } from './commit-queue.ts';
import { Fences } from './fences.ts';
import type { Follower } from './follower.ts';
import { type Namespace, type Namespaces, PRIMARY } from './namespaces.ts';
import { checkGuestMayCommit, readCommit } from './requests.ts';
import type { RootEvents } from './root-events.ts';
import { type Operation, readOperations } from './transaction.ts';

export interface CommitterHost extends Omit<CommitHost, 'finished'> {
  readonly context: ServiceContext;
  readonly namespaces: Namespaces;
  readonly events: RootEvents;
  readonly follower: Follower;
  /** Whether transactions that wait are committed as one. */
  readonly merges: boolean;
}

export class Committer {
  readonly #host: CommitterHost;
  readonly #queue: CommitQueue;
  readonly #fences = new Fences();
  #operationCounts = new Tally();
  #count = 0;

  constructor(host: CommitterHost) {
    this.#host = host;
    this.#queue = new CommitQueue({ ...host, finished: (outcome) => this.#finished(outcome) });
  }

  // ---- what comes in

  commit(request: Request): Reply {
    const { namespace, flags, operations } = this.#read(request);
    this.#add(namespace, flags, operations, request);
    return LATER;
  }

  /** A commit of another rank's KVS, which learns from the events what came of it. */
  relay(request: Request): void {
    const { namespace, name, flags, ops } = request.unpack({ namespace: 's', name: 's', flags: 'i', ops: '*' });
    try {
      this.#add(this.#host.namespaces.open(namespace, request), flags, readOperations(ops), undefined, name);
    } catch (error) {
      if (!(error instanceof FluxError)) throw error;
      this.#host.events.failed(namespace, [name], error.errno);
    }
  }

  fence(request: Request): Reply {
    const { name, nprocs } = isObject(request.payload) ? request.payload : {};
    // Most versions of flux-core have no fences; what is none here is answered as it is there.
    if (typeof name !== 'string' || typeof nprocs !== 'number' || !Number.isInteger(nprocs))
      throw new FluxError('ENOSYS', `Unknown service method '${request.topic}'`);
    const { namespace, flags, operations } = this.#read(request);
    checkFlags(namespace, flags);
    const fence = this.#fences.enter(namespace, name, nprocs, flags, operations, request);
    if (fence) this.#add(namespace, flags, fence.operations, fence.waiting);
    return LATER;
  }

  #read(request: Request): { namespace: Namespace; flags: number; operations: readonly Operation[] } {
    const { namespace: name, flags, ops } = readCommit(request.payload);
    if (!request.isOwner) checkGuestMayCommit(ops);
    const namespace = this.#host.namespaces.open(name, request);
    return { namespace, flags, operations: readOperations(ops) };
  }

  #add(
    namespace: Namespace,
    flags: number,
    operations: readonly Operation[],
    waiting: Waiting | undefined,
    name = `transaction_req.${this.#host.context.rank}.${this.#count++}`,
  ): void {
    checkFlags(namespace, flags);
    const isSync = (flags & CommitFlag.sync) !== 0;
    const isAlone = (flags & CommitFlag.noMerge) !== 0 || !this.#host.merges;
    this.#operationCounts.add(operations.length);
    this.#queue.add(namespace, { name, operations, isAlone, isSync, waiting });
  }

  /** A namespace is gone: what waits for it fails. */
  remove(namespace: Namespace): void {
    const error = new FluxError('EOPNOTSUPP');
    this.#fences.remove(namespace, error);
    this.#fail(
      namespace,
      namespace.queue.splice(0).map((transaction) => [transaction, error]),
    );
  }

  /** A client is gone. */
  disconnect(sender: string): void {
    this.#fences.disconnect(sender);
  }

  stop(): void {
    this.#queue.stop();
  }

  // ---- what came of it

  #finished({ namespace, applied, failed, root }: Outcome): void {
    if (root) {
      if (root.rootref === namespace.rootref) namespace.noopCount++;
      namespace.rootref = root.rootref;
      namespace.rootseq++;
      const { cache, events } = this.#host;
      for (const { old } of root.replaced) cache.drop(old);
      for (const [blobref, directory] of root.directories) cache.keep(blobref, directory);
      this.#tellFollowers(namespace, root);
      this.#answer(namespace, applied);
      events.setroot(
        namespace,
        applied.map(({ name }) => name),
        root.keys,
      );
    }
    if (failed.length) this.#fail(namespace, failed);
  }

  #tellFollowers(
    { namespace, owner, flags, rootref, rootseq }: Namespace,
    { keys, complete }: { readonly keys: readonly string[]; readonly complete: boolean },
  ): void {
    try {
      this.#host.follower.changed({ namespace, owner, flags, rootref, rootseq, keys, complete });
    } catch (error) {
      this.#host.context.log('err', `bug in a follower of the KVS: ${(error as Error).stack}`);
    }
  }

  #answer(namespace: Namespace, applied: readonly Transaction[]): void {
    const { rootref, rootseq } = namespace;
    // Many may wait for one commit, and a fence is many.
    const answer = asBytes({ rootref, rootseq });
    namespace.answer(() => {
      for (const { waiting } of applied) waiting?.reply(answer);
    });
    for (const request of namespace.waits.take(rootseq)) request.reply(answer);
  }

  #fail(namespace: Namespace, failed: readonly (readonly [Transaction, FluxError])[]): void {
    const namesByErrno = new Map<number, string[]>();
    for (const [{ name, waiting }, error] of failed) {
      if (isBug(error)) this.#host.context.log('err', `bug in a commit: ${(error.cause as Error).stack}`);
      const names = namesByErrno.get(error.errno);
      if (names) names.push(name);
      else namesByErrno.set(error.errno, [name]);
      waiting?.fail(error);
    }
    for (const [errnum, names] of namesByErrno) this.#host.events.failed(namespace.namespace, names, errnum);
  }

  // ---- statistics

  stats(): JsonObject {
    return { commit: this.#operationCounts.inUnits() };
  }

  clearStats(): void {
    this.#operationCounts = new Tally();
  }
}

/** @throws FluxError EINVAL: SYNC, and the namespace is in no checkpoint */
function checkFlags(namespace: Namespace, flags: number): void {
  if (flags & CommitFlag.sync && !namespace.isPrimary)
    throw new FluxError('EINVAL', `${namespace.namespace} is in no checkpoint: only ${PRIMARY} can be synchronized`);
}

/** A payload that many answers share is encoded once. */
function asBytes(value: JsonValue): Payload {
  return Buffer.from(`${stringifyJson(value)}\0`);
}

/** Whether something else went wrong than what answers are for. */
function isBug({ cause }: FluxError): boolean {
  return cause instanceof TypeError || cause instanceof RangeError || cause instanceof ReferenceError;
}
