/** Which events of resources are about some ranks or hosts (RFC 44). */

import { Hostlist } from '../core/formats/hostlist.ts';
import { IdSet } from '../core/formats/idset.ts';
import type { JsonObject } from '../core/json.ts';
import { hostsOf } from './hosts.ts';
import { parseTargets } from './resource-inventory.ts';

export class EventTargets {
  readonly #ranks: IdSet;
  /** Undefined when ranks were named: a host may have several, and an event of it be about another one. */
  readonly #hosts: Hostlist | undefined;

  private constructor(ranks: IdSet, hosts: Hostlist | undefined) {
    this.#ranks = ranks;
    this.#hosts = hosts;
  }

  /**
   * Reads targets, an idset or a hostlist, of an instance with these hosts.
   *
   * @throws FluxError EINVAL, or ENOENT: the instance does not have them
   */
  static parse(text: string, hosts: Hostlist): EventTargets {
    const targets = parseTargets(text, '--include');
    if (targets instanceof Hostlist) return new EventTargets(IdSet.from(hosts.index(targets)), targets);
    hostsOf(targets, hosts);
    return new EventTargets(targets, undefined);
  }

  /** Whether an event with this context is about one of them. */
  match({ ranks, idset, nodelist }: JsonObject): boolean {
    if (this.#hosts && typeof nodelist === 'string' && sharesHost(this.#hosts, Hostlist.parse(nodelist))) return true;
    const named = ranks ?? idset;
    return typeof named === 'string' && this.#ranks.intersects(IdSet.parse(named));
  }
}

function sharesHost(a: Hostlist, b: Hostlist): boolean {
  return a.expand().some((host) => b.has(host));
}
