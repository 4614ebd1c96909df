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
  /** What comes behind it. */
  next: Item<V> | undefined;
  isStarted: boolean;
  /** What is wrong with its directory; what is in it is behind it in the list then. */
  loading?: Promise<Outcome<Decoded>>;
  prefetching?: Promise<Outcome<V>>;
}

/** Walks the tree below a root directory's blob; faults are visits, the walk goes on behind them. */
export async function* walkTree<V = never>(
  rootref: string,
  options: WalkOptions<V>,
): AsyncGenerator<Visit<V>, void, undefined> {
  const ahead = new Lookahead(options, { path: [], blobref: rootref, next: undefined, isStarted: false });
  for (let item = await ahead.first(); item; item = await ahead.first()) {
    const { path, object } = item;
    if (object) {
      yield { path, object, prefetched: await item.prefetching };
      if (object.type === 'dirref' && object.data.length !== 1) yield { path, fault: 'dirref blobref count is not 1' };
    }
    const loaded = await item.loading;
    if (loaded?.error) yield { path, fault: 'could not load content', error: loaded.error };
    for (const { name, fault } of loaded?.value?.faults ?? [])
      yield { path: name === undefined ? path : [...path, name], fault };
    ahead.drop(item, loaded?.value?.directory);
  }
}

/** What is in a directory, or its buckets, as a list, and the last of it. */
function itemsOf<V>(path: TreePath, directory: Dir | Hdir): Item<V>[] {
  const common = { next: undefined, isStarted: false };
  if (directory.type === 'dir')
    return Object.entries(directory.data).map(([name, object]) => ({ path: [...path, name], object, ...common }));
  const { bucket } = directory.data;
  return bucket.flatMap((dirref) => (dirref ? { path, blobref: dirref.data[0]!, ...common } : []));
}

/**
 * What is still to come by, in a list, with the first of it asked for already.
 *
 * What is in a directory takes its place behind it as soon as it is loaded, so that it is asked for before the walk gets
 * there; level by level, it goes to the next level when the walk is there.
 */
class Lookahead<V> {
  readonly #options: WalkOptions<V>;
  #head: Item<V> | undefined;
  /** The next level, first things first. */
  #later: Item<V>[] = [];
  // From here on nothing has been looked at.
  #unseen: Item<V> | undefined;
  #requests = 0;
  // Items that were asked for and have not been come by: what they got is in memory.
  #held = 0;
  #wake: (() => void) | undefined;

  constructor(options: WalkOptions<V>, root: Item<V>) {
    this.#options = options;
    this.#head = root;
    this.#unseen = root;
  }

  /** What is next, asked for. */
  async first(): Promise<Item<V> | undefined> {
    if (!this.#head) {
      this.#head = chain(this.#later, undefined);
      this.#later = [];
      this.#unseen = this.#head;
    }
    const head = this.#head;
    this.#askAhead();
    while (head && !head.isStarted)
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    return head;
  }

  /** The first has been come by; in it was a directory, perhaps. */
  drop(item: Item<V>, directory: Dir | Hdir | undefined): void {
    const { breadth = 0 } = this.#options;
    if (breadth) {
      const inside = item.object?.type === 'dir' ? item.object : directory;
      const items = inside ? itemsOf<V>(item.path, inside) : [];
      if (this.#later.length >= breadth) this.#insert(item, items);
      else for (const each of items) this.#later.push(each);
    }
    if (item.loading || item.prefetching) this.#held--;
    if (this.#unseen === item) this.#unseen = item.next;
    this.#head = item.next;
  }

  #insert(item: Item<V>, items: Item<V>[]): void {
    item.next = chain(items, item.next);
    this.#unseen = this.#head;
  }

  /** Asks for what is needed first, while there is room; always for the very first. */
  #askAhead(): void {
    const { window } = this.#options;
    if (this.#head && !this.#head.isStarted && this.#requests < window) this.#start(this.#head);
    while (this.#unseen && this.#requests < window && this.#held < 2 * window) {
      const item = this.#unseen;
      this.#unseen = item.next;
      if (!item.isStarted) this.#start(item);
    }
  }

  #start(item: Item<V>): void {
    item.isStarted = true;
    const { load, prefetch, descend, breadth } = this.#options;
    const { object, path } = item;
    const isReference = object?.type === 'dirref' && object.data.length === 1;
    const blobref = isReference ? object.data[0]! : item.blobref;
    if (object?.type === 'dir' && !breadth) this.#insert(item, itemsOf<V>(path, object));
    if (blobref && (!descend || descend(blobref))) {
      const decoded = load(blobref).then(decodeDirectory);
      item.loading = this.#outcomeOf(decoded, ({ directory }) => {
        if (directory && !breadth) this.#insert(item, itemsOf<V>(path, directory));
      });
    }
    if (object?.type === 'valref' && prefetch) item.prefetching = this.#outcomeOf(prefetch(object));
    if (item.loading || item.prefetching) this.#held++;
  }

  /** How a request ends; `take` gets its value before more is asked for. */
  async #outcomeOf<T>(promise: Promise<T>, take?: (value: T) => void): Promise<Outcome<T>> {
    this.#requests++;
    try {
      const value = await promise;
      take?.(value);
      return { value };
    } catch (error) {
      return { error: asFluxError(error) };
    } finally {
      this.#requests--;
      this.#askAhead();
      this.#wake?.();
    }
  }
}

/** Makes a list of items, with another list behind it. */
function chain<V>(items: readonly Item<V>[], rest: Item<V> | undefined): Item<V> | undefined {
  let first = rest;
  for (let i = items.length - 1; i >= 0; i--) {
    items[i]!.next = first;
    first = items[i];
  }
  return first;
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
