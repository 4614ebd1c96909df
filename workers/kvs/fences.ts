/**
 * Fences: transactions of many processes that are committed as one, and answered to all, when as many have come as were
 * said to.
 */

import { FluxError } from '../../core/errno.ts';
import type { Request } from '../../core/handle/methods.ts';
import type { Payload } from '../../core/message/message.ts';
import { SetMap } from '../../core/set-map.ts';
import type { Waiting } from './commit-queue.ts';
import type { Namespace } from './namespaces.ts';
import type { Operation } from './transaction.ts';

/** A fence that all have entered. */
export interface CompleteFence {
  readonly operations: readonly Operation[];
  readonly waiting: Waiting;
}

class Fence implements Waiting {
  readonly namespace: Namespace;
  readonly name: string;
  readonly nprocs: number;
  readonly flags: number;
  readonly operations: Operation[] = [];
  readonly requests: Request[] = [];

  constructor(namespace: Namespace, name: string, nprocs: number, flags: number) {
    this.namespace = namespace;
    this.name = name;
    this.nprocs = nprocs;
    this.flags = flags;
  }

  reply(payload: Payload): void {
    for (const request of this.requests) request.reply(payload);
  }

  fail(error: FluxError): void {
    for (const request of this.requests) request.fail(error);
  }
}

export class Fences {
  readonly #fences = new Map<Namespace, Map<string, Fence>>();
  /** The fences that each client has entered. */
  readonly #entered = new SetMap<string, Fence>();

  /**
   * Somebody enters a fence; the last one gets it.
   *
   * @throws FluxError EINVAL: the others meant another number of processes, or other flags
   */
  enter(
    namespace: Namespace,
    name: string,
    nprocs: number,
    flags: number,
    operations: readonly Operation[],
    request: Request,
  ): CompleteFence | undefined {
    if (nprocs < 1) throw new FluxError('EINVAL', `fence ${name}: nprocs must be positive`);
    const fences = this.#fences.get(namespace) ?? new Map<string, Fence>();
    const fence = fences.get(name) ?? new Fence(namespace, name, nprocs, flags);
    if (fence.nprocs !== nprocs || fence.flags !== flags)
      throw new FluxError('EINVAL', `fence ${name} is for ${fence.nprocs} processes with flags ${fence.flags}`);
    for (const operation of operations) fence.operations.push(operation);
    if (fence.requests.push(request) < nprocs) {
      this.#fences.set(namespace, fences.set(name, fence));
      this.#entered.add(request.sender, fence);
      return undefined;
    }
    this.#delete(fence);
    return { operations: fence.operations, waiting: fence };
  }

  #delete(fence: Fence): void {
    const { namespace, name, requests } = fence;
    const fences = this.#fences.get(namespace);
    fences?.delete(name);
    if (fences?.size === 0) this.#fences.delete(namespace);
    for (const { sender } of requests) this.#entered.delete(sender, fence);
  }

  /** A namespace is gone, and its fences with it. */
  remove(namespace: Namespace, error: FluxError): void {
    for (const fence of [...(this.#fences.get(namespace)?.values() ?? [])]) {
      fence.fail(error);
      this.#delete(fence);
    }
  }

  /** A client is gone: the fences that it has entered can't be complete. */
  disconnect(sender: string): void {
    for (const fence of this.#entered.of(sender)) {
      fence.fail(new FluxError('ECONNABORTED', `fence ${fence.name} was broken: one of its processes is gone`));
      this.#delete(fence);
    }
  }
}
