/** To what a tree object refers (RFC 11): what it keeps from being garbage. */

import { checkDirectory, type Hdir, type Treeobj } from './treeobj.ts';

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
const SPACE = 0x20;
const BRACE = 0x7b;

export interface Reference {
  readonly blobref: string;
  /** Whether it leads to a directory object, which refers to others; a value never does, whatever its bytes are. */
  readonly isDirectory: boolean;
}

/**
 * The references of an object, each as often as it is there; those of directories that stand in it included.
 *
 * @param start the first that is wanted of a `valref`
 */
export function referencesOf(object: Treeobj | Hdir, start = 0): readonly Reference[] {
  const references: Reference[] = [];
  collect(object, start, references);
  return references;
}

/** The references of a directory by its blob; undefined when that is no directory. */
export function directoryReferences(bytes: Uint8Array): readonly Reference[] | undefined {
  try {
    return referencesOf(checkDirectory(JSON.parse(utf8.decode(bytes))));
  } catch {
    return undefined;
  }
}

/** Whether a blob might be read as a directory, whatever it was stored for: seldom true of one that is none. */
export function mayBeDirectory(bytes: Uint8Array): boolean {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  let start = 0;
  while (start < text.length && text[start]! <= SPACE) start++;
  return text[start] === BRACE && (text.includes('dir"') || text.includes('\\u'));
}

function collect(object: Treeobj | Hdir, start: number, references: Reference[]): void {
  switch (object.type) {
    case 'valref':
    case 'dirref':
      for (let i = start; i < object.data.length; i++)
        references.push({ blobref: object.data[i]!, isDirectory: object.type === 'dirref' });
      return;
    case 'dir':
      for (const entry of Object.values(object.data)) collect(entry, 0, references);
      return;
    case 'hdir':
      for (const bucket of object.data.bucket) if (bucket) collect(bucket, 0, references);
      return;
  }
}

/** Those of a list that another one has not, or not as often. */
export function withoutReferences(list: readonly Reference[], others: readonly Reference[]): readonly Reference[] {
  if (!list.length || !others.length) return list;
  const counts = new Map<string, number>();
  for (const other of others) counts.set(keyOf(other), (counts.get(keyOf(other)) ?? 0) + 1);
  return list.filter((reference) => {
    const key = keyOf(reference);
    const count = counts.get(key) ?? 0;
    if (count) counts.set(key, count - 1);
    return !count;
  });
}

function keyOf({ blobref, isDirectory }: Reference): string {
  return isDirectory ? `${blobref}/` : blobref;
}
