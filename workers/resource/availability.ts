/** Which of the instance's resources may be used now: what `acquire.ts` and `status.ts` tell. */

import { IdSet } from '../../core/formats/idset.ts';
import type { ResourceSet } from '../../core/formats/resource-set.ts';
import type { Drain } from './drain.ts';
import type { Inventory } from './inventory.ts';
import type { Monitor } from './monitor.ts';

export class Availability {
  readonly inventory: Inventory;
  readonly monitor: Monitor;
  readonly drain: Drain;
  /** Ranks that are not to be used at all. */
  readonly exclude: IdSet;

  constructor(inventory: Inventory, monitor: Monitor, drain: Drain, exclude: IdSet) {
    this.inventory = inventory;
    this.monitor = monitor;
    this.drain = drain;
    this.exclude = exclude;
  }

  /** Ranks that will not come back: those that were lost, unless R is by configuration. */
  get gone(): IdSet {
    return this.inventory.method === 'configuration' ? IdSet.empty : this.monitor.lost;
  }

  /** All that may be used some time. */
  get all(): ResourceSet {
    const without = this.exclude.union(this.gone);
    const { set } = this.inventory;
    return without.count ? set.exclude(without) : set;
  }

  /** Of some ranks those that can be used now. */
  upOf(ranks: IdSet): IdSet {
    return ranks.intersect(this.monitor.up).difference(this.drain.ranks).difference(this.monitor.torpid);
  }
}
