/** Lookups: finds what a key stands for, loads what is missing on the way, and checks who may look where. */

import type { Treeobj } from '../../core/formats/treeobj.ts';
import type { Credentials } from '../../core/message/credentials.ts';
import { Lookup } from './lookup.ts';
import type { Namespaces } from './namespaces.ts';
import { LoadedObjects, type ObjectCache } from './object-cache.ts';
import type { Objects } from './objects.ts';

export type Found = Treeobj | undefined;

/** Namespaces that another thread has. */
export interface Elsewhere {
  has(namespace: string): boolean;
  /** The root of one; rejects with EOPNOTSUPP or EPERM. */
  rootref(namespace: string, user: Credentials): Promise<string>;
}

type Step = { readonly missing: readonly string[] } | { readonly elsewhere: string } | { readonly value: Found };

export class Reader {
  readonly #cache: ObjectCache;
  readonly #namespaces: Namespaces;
  readonly #elsewhere: Elsewhere;

  constructor(cache: ObjectCache, namespaces: Namespaces, elsewhere: Elsewhere) {
    this.#cache = cache;
    this.#namespaces = namespaces;
    this.#elsewhere = elsewhere;
  }

  /**
   * What a key below a root directory stands for; undefined when there is no such key. A promise when something must be
   * loaded.
   *
   * @param user who asks: symlinks may lead into namespaces of others
   * @throws FluxError as `Lookup`, and EOPNOTSUPP or EPERM of another namespace; or rejects with it
   */
  lookup(rootref: string, key: string, flags: number, user: Credentials): Found | Promise<Found> {
    const lookup = new Lookup(rootref, key, flags);
    const step = this.#advance(lookup, this.#cache, user);
    return 'value' in step ? step.value : this.#lookupSlowly(lookup, step, user);
  }

  async #lookupSlowly(lookup: Lookup, first: Step, user: Credentials): Promise<Found> {
    const objects = new LoadedObjects(this.#cache);
    let step = first;
    while (!('value' in step)) {
      if ('missing' in step) await objects.load(step.missing);
      else lookup.enter(await this.#elsewhere.rootref(step.elsewhere, user));
      step = this.#advance(lookup, objects, user);
    }
    return step.value;
  }

  /** Goes on until all is found or something is missing. */
  #advance(lookup: Lookup, objects: Objects, user: Credentials): Step {
    for (;;) {
      const step = lookup.step(objects);
      if (!('namespace' in step)) return step;
      if (this.#elsewhere.has(step.namespace)) return { elsewhere: step.namespace };
      lookup.enter(this.#namespaces.open(step.namespace, user).rootref);
    }
  }
}
