/**
 * Makes a tree of the KVS in the content store (RFC 11), or changes one, without the KVS service.
 *
 * Directories are read when something in them changes, and are in memory until `store` has written them; `spill` writes
 * them sooner.
 */

import { FluxError } from '../core/errno.ts';
import { encodeTreeobj, makeDirref, type Treeobj } from '../core/formats/treeobj.ts';
import type { BlobWriter } from './blob-writer.ts';
import { decodeDirectory, type TreePath } from './tree-walk.ts';

/** A directory that may have changed. */
type OpenDirectory = Map<string, Treeobj | OpenDirectory>;

/** Loads a directory's blob. */
type Load = (blobref: string) => Promise<Uint8Array>;

export class TreeEditor {
  readonly #load: Load;
  readonly #writer: BlobWriter;
  readonly #root: OpenDirectory;
  /** How many entries are in memory. */
  size: number;

  private constructor(load: Load, writer: BlobWriter, root: OpenDirectory) {
    this.#load = load;
    this.#writer = writer;
    this.#root = root;
    this.size = root.size;
  }

  /** Begins with an empty root. */
  static empty(load: Load, writer: BlobWriter): TreeEditor {
    return new TreeEditor(load, writer, new Map());
  }

  /**
   * Begins with a root that there is.
   *
   * @throws FluxError what it could not be loaded for; EINVAL: it is no directory
   */
  static async open(rootref: string, load: Load, writer: BlobWriter): Promise<TreeEditor> {
    return new TreeEditor(load, writer, await readDirectory(rootref, load));
  }

  /** Whether there is an entry in memory under this path. */
  async get(path: TreePath): Promise<Treeobj | 'directory' | undefined> {
    const directory = await this.#enter(path.slice(0, -1));
    const node = directory?.get(path.at(-1)!);
    return node instanceof Map ? 'directory' : node;
  }

  /**
   * Sets an entry; directories that lead there are made.
   *
   * @param replace whether what is no directory on the way is replaced by one
   * @throws FluxError ENOTDIR: something on the way is no directory
   */
  async set(path: TreePath, object: Treeobj, replace = false): Promise<void> {
    const directory = await this.#make(path.slice(0, -1), replace);
    this.#put(directory, path.at(-1)!, object);
  }

  /** Moves all that is in a directory to another one, which may be there; what has the same name there is replaced. */
  async move(from: TreePath, to: TreePath): Promise<void> {
    const source = await this.#enter(from);
    if (!source) return;
    await this.#merge(source, await this.#make(to, true));
    await this.remove(from);
  }

  /** Removes an entry; it need not be there. */
  async remove(path: TreePath): Promise<void> {
    const directory = await this.#enter(path.slice(0, -1));
    if (directory?.delete(path.at(-1)!)) this.size--;
  }

  /** Writes all directories below the root, and forgets them. */
  async spill(): Promise<void> {
    for (const [name, node] of this.#root) if (node instanceof Map) this.#root.set(name, await this.#write(node));
    await this.#writer.drain();
    this.size = this.#root.size;
  }

  /** Writes all directories, and resolves to the root's blobref when they are stored. */
  async store(): Promise<string> {
    const { data } = await this.#write(this.#root);
    await this.#writer.drain();
    return data[0]!;
  }

  async #write(directory: OpenDirectory): Promise<ReturnType<typeof makeDirref>> {
    const entries: [string, Treeobj][] = [];
    for (const [name, node] of directory) entries.push([name, node instanceof Map ? await this.#write(node) : node]);
    const text = encodeTreeobj({ data: Object.fromEntries(entries), type: 'dir', ver: 1 });
    return makeDirref(await this.#writer.store(Buffer.from(text)));
  }

  async #make(path: TreePath, replace: boolean): Promise<OpenDirectory> {
    let directory = this.#root;
    for (const [depth, name] of path.entries()) {
      let next = await this.#openEntry(directory, name);
      if (!next && directory.has(name) && !replace)
        throw new FluxError('ENOTDIR', `${path.slice(0, depth + 1).join('/')} is not a directory`);
      if (!next) {
        next = new Map();
        this.#put(directory, name, next);
      }
      directory = next;
    }
    return directory;
  }

  async #merge(source: OpenDirectory, target: OpenDirectory): Promise<void> {
    for (const [name, node] of source) {
      const there = target.has(name) ? await this.#openEntry(target, name) : undefined;
      const here = there && (await this.#openEntry(source, name));
      if (here) await this.#merge(here, there);
      else this.#put(target, name, node);
    }
  }

  #put(directory: OpenDirectory, name: string, node: Treeobj | OpenDirectory): void {
    if (!directory.has(name)) this.size++;
    directory.set(name, node);
  }

  async #enter(path: TreePath): Promise<OpenDirectory | undefined> {
    let directory: OpenDirectory | undefined = this.#root;
    for (const name of path) {
      directory = await this.#openEntry(directory, name);
      if (!directory) return undefined;
    }
    return directory;
  }

  async #openEntry(directory: OpenDirectory, name: string): Promise<OpenDirectory | undefined> {
    const node = directory.get(name);
    if (node === undefined || node instanceof Map) return node;
    let opened: OpenDirectory;
    if (node.type === 'dir') opened = new Map(Object.entries(node.data));
    else if (node.type === 'dirref') opened = await readDirectory(node.data[0]!, this.#load);
    else return undefined;
    directory.set(name, opened);
    this.size += opened.size;
    return opened;
  }
}

/** The entries of a directory, also of one that is in buckets. */
async function readDirectory(blobref: string, load: Load): Promise<OpenDirectory> {
  const { directory, faults } = decodeDirectory(await load(blobref));
  if (!directory) throw new FluxError('EINVAL', `${blobref}: ${faults[0]!.fault}`);
  if (directory.type === 'dir') return new Map(Object.entries(directory.data));
  const entries: OpenDirectory = new Map();
  for (const bucket of directory.data.bucket) {
    if (!bucket) continue;
    for (const [name, node] of await readDirectory(bucket.data[0]!, load)) entries.set(name, node);
  }
  return entries;
}
