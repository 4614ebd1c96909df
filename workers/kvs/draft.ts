/**
 * A directory that a commit changes: the one it was, and what is to be otherwise in it. Others are touched as little as
 * can be, so that a commit costs what it changes and not what is there.
 */

import type { Treeobj } from '../../core/formats/treeobj.ts';
import type { AnyDirectory } from './objects.ts';

/** An entry of a draft; null is one that goes. */
export type DraftEntry = Treeobj | DraftDirectory | null;

export class DraftDirectory {
  /** No type of tree object. */
  readonly type = 'draft';
  /** Blobref of the directory it was; undefined when it is new. */
  readonly blobref: string | undefined;
  readonly base: AnyDirectory | undefined;
  readonly changes = new Map<string, DraftEntry>();

  constructor(blobref?: string, base?: AnyDirectory) {
    this.blobref = blobref;
    this.base = base;
  }
}

/** What a transaction did, so that it can be taken back. */
export class Journal {
  readonly #lines: [directory: DraftDirectory, name: string, before: DraftEntry | undefined][] = [];
  /** It changed other keys than it named. */
  followedLink = false;

  set(directory: DraftDirectory, name: string, entry: DraftEntry): void {
    this.#lines.push([directory, name, directory.changes.get(name)]);
    directory.changes.set(name, entry);
  }

  /** Makes all directories as they were, the last change first. */
  undo(): void {
    for (const [directory, name, before] of this.#lines.reverse()) {
      if (before === undefined) directory.changes.delete(name);
      else directory.changes.set(name, before);
    }
  }
}
