/**
 * Walks a tree of the KVS as it lies in the content store (RFC 11), without the KVS service.
 *
 * What comes next is loaded while the caller works. By default entries come in the order of the tree, each directory before
 * what is in it; so what waits in memory is the siblings along one path and a few things ahead. In either order two walks
 * of a root see the same. A large directory in buckets (hdir) is seen as an ordinary one.
 */

import { asFluxError, type FluxError } from '../core/errno.ts';
import { parseJson } from '../core/formats/jansson.ts';
import {
  checkDirectory,
  checkTreeobj,
  type Dir,
  type Hdir,
  type Treeobj,
  type Valref,
} from '../core/formats/treeobj.ts';
import type { JsonValue } from '../core/json.ts';
import { isObject } from '../core/message/unpack.ts';

export type TreeFault =
  | 'could not load content'
  | 'could not decode tree object'
  | 'dirref references non-directory'
  | 'dirref blobref count is not 1'
  | 'invalid tree object';

/** The names that lead from the root to an entry; none is the root itself. */
export type TreePath = readonly string[];

/** How something that was asked for ahead ended. */
export type Outcome<V> =
  | { readonly value: V; readonly error?: undefined }
  | { readonly error: FluxError; readonly value?: undefined };

/** What a walk comes by: an object, or what is wrong with one. */
export type Visit<V> =
  | {
      readonly path: TreePath;
      readonly object: Treeobj;
      /** What `prefetch` gave for a valref. */
      readonly prefetched?: Outcome<V> | undefined;
      readonly fault?: undefined;
    }
  | {
      readonly path: TreePath;
      readonly fault: TreeFault;
      /** Why it could not be loaded. */
      readonly error?: FluxError | undefined;
      readonly object?: undefined;
    };

export interface WalkOptions<V> {
  /** Loads the blob of a directory. */
  readonly load: (blobref: string) => Promise<Uint8Array>;
  /** How many directories and values are asked for at a time. */
  readonly window: number;
  /** Asked for each value that is in blobs, ahead of the visit that gets its answer. */
  readonly prefetch?: (value: Valref) => Promise<V>;
  /** Whether the directory in a blob is walked; asked once for each, and for buckets, too. */
  readonly descend?: (blobref: string) => boolean;
  /** Goes level by level, which finds more to ask for at a time, as long as no more entries than this wait. */
  readonly breadth?: number;
}

/** An object to come by, or a directory whose own object has been come by: its blob, or one of its buckets. */
interface Item<V> {
  readonly path: TreePath;
  readonly object?: Treeobj;
  readonly blobref?: string;
  started: boolean;
  loading?: Promise<Outcome<Uint8Array>>;
  prefetching?: Promise<Outcome<V>>;
}

/** Walks the tree below a root directory's blob; faults are visits, the walk goes on behind them. */
export async function* walkTree<V = never>(
  rootref: string,
  options: WalkOptions<V>,
): AsyncGenerator<Visit<V>, void, undefined> {
  const ahead = new Lookahead(options);
  ahead.push([{ path: [], blobref: rootref, started: false }]);
  for (let item = ahead.next(); item; item = ahead.next()) {
    const { path, object } = item;
    if (object) {
      const prefetched = await item.prefetching;
      yield { path, object, prefetched };
      if (object.type === 'dir') ahead.push(entriesOf<V>(path, object));
      else if (object.type === 'dirref' && object.data.length !== 1)
        yield { path, fault: 'dirref blobref count is not 1' };
    }
    const loaded = await item.loading;
    if (loaded?.error) yield { path, fault: 'could not load content', error: loaded.error };
    else if (loaded) {
      const { directory, faults } = decodeDirectory(loaded.value);
      for (const { name, fault } of faults) yield { path: name === undefined ? path : [...path, name], fault };
      if (directory?.type === 'dir') ahead.push(entriesOf<V>(path, directory));
      else if (directory) ahead.push(bucketsOf<V>(path, directory));
    }
  }
}

function entriesOf<V>(path: TreePath, { data }: Dir): Item<V>[] {
  return Object.entries(data).map(([name, object]) => ({ path: [...path, name], object, started: false }));
}

function bucketsOf<V>(path: TreePath, { data }: Hdir): Item<V>[] {
  return data.bucket.flatMap((dirref) => (dirref ? { path, blobref: dirref.data[0]!, started: false } : []));
}

/** What is still to come by, the next thing last, with the first of it asked for already. */
class Lookahead<V> {
  readonly #options: WalkOptions<V>;
  #items: Item<V>[] = [];
  /** The next level, first things first. */
  #later: Item<V>[] = [];
  /** How far ahead is looked for something to ask for. */
  readonly #distance: number;
  // From here on all has been looked at.
  #seen = 0;
  #asked = 0;

  constructor(options: WalkOptions<V>) {
    this.#options = options;
    this.#distance = 4 * options.window + 64;
  }

  push(items: Item<V>[]): void {
    if (this.#later.length < (this.#options.breadth ?? 0)) {
      for (const item of items) this.#later.push(item);
      return;
    }
    for (let i = items.length - 1; i >= 0; i--) this.#items.push(items[i]!);
    this.#seen = this.#items.length;
  }

  next(): Item<V> | undefined {
    if (!this.#items.length) {
      this.#items = this.#later.reverse();
      this.#later = [];
      this.#seen = this.#items.length;
    }
    const last = this.#items.at(-1);
    if (!last) return undefined;
    this.#start(last);
    this.#askAhead();
    this.#items.pop();
    this.#seen = Math.min(this.#seen, this.#items.length);
    if (last.loading || last.prefetching) this.#asked--;
    return last;
  }

  #askAhead(): void {
    const end = Math.max(0, this.#items.length - this.#distance);
    while (this.#seen > end && this.#asked < this.#options.window) this.#start(this.#items[--this.#seen]!);
  }

  #start(item: Item<V>): void {
    if (item.started) return;
    item.started = true;
    const { load, prefetch, descend } = this.#options;
    const { object } = item;
    const isReference = object?.type === 'dirref' && object.data.length === 1;
    const blobref = isReference ? object.data[0]! : item.blobref;
    if (blobref && (!descend || descend(blobref))) item.loading = outcomeOf(load(blobref));
    if (object?.type === 'valref' && prefetch) item.prefetching = outcomeOf(prefetch(object));
    if (item.loading || item.prefetching) this.#asked++;
  }
}

function outcomeOf<V>(promise: Promise<V>): Promise<Outcome<V>> {
  return promise.then(
    (value) => ({ value }),
    (error: unknown) => ({ error: asFluxError(error) }),
  );
}

interface Decoded {
  readonly directory?: Dir | Hdir;
  /** What is wrong with the whole, or with the entry of a name. */
  readonly faults: readonly { readonly fault: TreeFault; readonly name?: string }[];
}

/** The directory in a blob; of one that has bad entries, the good ones. */
export function decodeDirectory(blob: Uint8Array): Decoded {
  let value: JsonValue;
  try {
    value = parseJson(Buffer.from(blob.buffer, blob.byteOffset, blob.length).toString()) as JsonValue;
  } catch {
    return { faults: [{ fault: 'could not decode tree object' }] };
  }
  try {
    return { directory: checkDirectory(value), faults: [] };
  } catch {
    return decodeDamaged(value);
  }
}

function decodeDamaged(value: JsonValue): Decoded {
  if (!isObject(value) || value.type !== 'dir' || !isObject(value.data)) {
    const isOther = isObject(value) && ['val', 'valref', 'dirref', 'symlink'].includes(String(value.type));
    return { faults: [{ fault: isOther ? 'dirref references non-directory' : 'could not decode tree object' }] };
  }
  const good: [string, Treeobj][] = [];
  const faults: { fault: TreeFault; name: string }[] = [];
  for (const [name, object] of Object.entries(value.data)) {
    try {
      good.push([name, checkTreeobj(object ?? null)]);
    } catch {
      faults.push({ name, fault: 'invalid tree object' });
    }
  }
  return { directory: { data: Object.fromEntries(good), type: 'dir', ver: 1 }, faults };
}
