/**
 * The events of namespaces, `kvs.namespace-NAME-…`: how other ranks' services learn of roots. They are private: guests see
 * those that they caused.
 */

import type { ServiceContext } from '../../core/broker/service.ts';
import type { JsonObject } from '../../core/json.ts';
import type { Root } from './follower.ts';

export class RootEvents {
  readonly #context: ServiceContext;

  constructor(context: ServiceContext) {
    this.#context = context;
  }

  created({ namespace, rootseq, rootref, owner }: Root): void {
    this.#publish(namespace, 'created', { namespace, rootseq, rootref, owner });
  }

  removed(namespace: string): void {
    this.#publish(namespace, 'removed', { namespace });
  }

  /** A new root; `names` are those of the transactions that are in it, `keys` what they changed. */
  setroot({ namespace, rootseq, rootref, owner }: Root, names: readonly string[], keys: readonly string[]): void {
    this.#publish(namespace, 'setroot', { namespace, rootseq, rootref, names, keys: asMembers(keys), owner });
  }

  /** Transactions that could not be committed. */
  failed(namespace: string, names: readonly string[], errnum: number): void {
    this.#publish(namespace, 'error', { namespace, names, errnum });
  }

  #publish(namespace: string, what: string, payload: JsonObject): void {
    this.#context.sendEvent(`kvs.namespace-${namespace}-${what}`, payload, { private: true });
  }
}

/** An object whose members are the keys; any text may be one, `__proto__` too. */
function asMembers(keys: readonly string[]): JsonObject {
  const members: Record<string, null> = Object.create(null);
  for (const key of keys) members[key] = null;
  return members;
}
