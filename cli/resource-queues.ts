/** Queues as the configuration has them (flux-config-queues(5)): which resources each may use. */

import { FluxError } from '../core/errno.ts';
import { compileConstraint } from '../core/formats/constraint.ts';
import { IdSet } from '../core/formats/idset.ts';
import type { ResourceSet } from '../core/formats/resource-set.ts';
import type { JsonObject } from '../core/json.ts';
import { isObject } from '../core/message/unpack.ts';

export interface Queue {
  readonly name: string;
  /** The properties that its resources have. */
  readonly requires: readonly string[];
  /** A virtual queue has no resources but those of its parent (RFC 33). */
  readonly isVirtual: boolean;
}

export class Queues {
  readonly all: readonly Queue[];

  constructor(all: readonly Queue[]) {
    this.all = all;
  }

  /**
   * Reads the table `queues` of a configuration.
   *
   * @throws FluxError EINVAL: a virtual queue of a parent that is not there
   */
  static read(config: JsonObject | undefined): Queues {
    const table = isObject(config?.queues) ? config.queues : {};
    return new Queues(Object.keys(table).map((name) => readQueue(name, table)));
  }

  /**
   * The ranks of queues.
   *
   * @throws FluxError EINVAL: there is no such queue
   */
  ranksOf(names: readonly string[], set: ResourceSet): IdSet {
    return names.reduce((ranks, name) => ranks.union(ranksOf(this.#queue(name), set)), IdSet.empty);
  }

  #queue(name: string): Queue {
    const queue = this.all.find((each) => each.name === name);
    if (!queue) throw new FluxError('EINVAL', `--queue: ${name}: no such queue`);
    return queue;
  }
}

function readQueue(name: string, table: JsonObject): Queue {
  const own = isObject(table[name]) ? table[name] : {};
  const { parent } = own;
  const entry = typeof parent === 'string' ? table[parent] : own;
  if (!isObject(entry))
    throw new FluxError('EINVAL', `queue '${name}': parent queue '${String(parent)}' is not configured`);
  const { requires } = entry;
  return {
    name,
    requires: Array.isArray(requires) ? requires.map(String) : [],
    isVirtual: parent !== undefined,
  };
}

function ranksOf({ requires }: Queue, set: ResourceSet): IdSet {
  const test = compileConstraint({ properties: [...requires] });
  return IdSet.from(set.nodes.filter(test).map(({ rank }) => rank));
}
