/** Keys of the key value store: names with dots between them. */

/** The key of a namespace's root directory. */
export const ROOT_KEY = '.';

/**
 * The one form of a key that stands for all that mean the same: no dot twice, none in front, none behind. A key of
 * nothing but dots is `.`.
 */
export function normalizeKey(key: string): string {
  let normal = key.includes('..') ? key.replace(/\.{2,}/g, '.') : key;
  if (normal.length > 1 && normal.startsWith('.')) normal = normal.slice(1);
  if (normal.length > 1 && normal.endsWith('.')) normal = normal.slice(0, -1);
  return normal;
}
