/** The hosts of ranks, for texts that people read. */

import type { ServiceContext } from '../../core/broker/service.ts';
import { Hostlist } from '../../core/formats/hostlist.ts';
import type { IdSet } from '../../core/formats/idset.ts';

const UNKNOWN = 'unknown';

export class HostNames {
  readonly #context: ServiceContext;
  #text = '';
  #hosts = Hostlist.empty;

  constructor(context: ServiceContext) {
    this.#context = context;
  }

  get #current(): Hostlist {
    const text = this.#context.attribute('hostlist') ?? '';
    if (text !== this.#text) {
      this.#text = text;
      this.#hosts = Hostlist.parse(text);
    }
    return this.#hosts;
  }

  of(rank: number): string {
    return this.#current.nth(rank) ?? UNKNOWN;
  }

  /** Those of several ranks as a hostlist. */
  list(ranks: IdSet): string {
    const hosts = this.#current;
    if (ranks.first === undefined || ranks.last! >= hosts.count) return UNKNOWN;
    return hosts.pick(ranks).encode();
  }
}
