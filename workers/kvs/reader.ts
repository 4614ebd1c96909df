/** Lookups: finds what a key stands for, loads what is missing on the way, and checks who may look where. */

import type { Treeobj } from '../../core/formats/treeobj.ts';
import type { Credentials } from '../../core/message/credentials.ts';
import { Lookup } from './lookup.ts';
import type { Namespaces } from './namespaces.ts';
import { LoadedObjects, type ObjectCache } from './object-cache.ts';
import type { Objects } from './objects.ts';

export type Found = Treeobj | undefined;

export class Reader {
  readonly #cache: ObjectCache;
  readonly #namespaces: Namespaces;

  constructor(cache: ObjectCache, namespaces: Namespaces) {
    this.#cache = cache;
    this.#namespaces = namespaces;
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
    return 'missing' in step ? this.#lookupSlowly(lookup, step.missing, user) : step.value;
  }

  async #lookupSlowly(lookup: Lookup, missing: readonly string[], user: Credentials): Promise<Found> {
    const objects = new LoadedObjects(this.#cache);
    for (let needed = missing; ; ) {
      await objects.load(needed);
      const step = this.#advance(lookup, objects, user);
      if (!('missing' in step)) return step.value;
      needed = step.missing;
    }
  }

  /** Goes on until all is found or something is missing. */
  #advance(
    lookup: Lookup,
    objects: Objects,
    user: Credentials,
  ): { readonly missing: readonly string[] } | { readonly value: Found } {
    for (;;) {
      const step = lookup.step(objects);
      if (!('namespace' in step)) return step;
      lookup.enter(this.#namespaces.open(step.namespace, user).rootref);
    }
  }
}
