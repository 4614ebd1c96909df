/** Words `KEY=VALUE` of a command line that make an object. */

import { FluxError } from '../core/errno.ts';
import type { JsonObject, JsonValue } from '../core/json.ts';
import { jsonOrText } from './context-match.ts';

type Tree = { [key: string]: JsonValue };

/**
 * The object that words make: dots in a key lead into objects inside, a value is JSON or else a text.
 *
 * @returns undefined: there are no words
 * @throws FluxError EINVAL: a word without `=`, or a key inside of what is no object
 */
export function parseKeyValues(words: readonly string[]): JsonObject | undefined {
  if (words.length === 0) return undefined;
  const root: Tree = {};
  for (const word of words) {
    const [, path, value] = /^([^=]*)=(.*)$/s.exec(word) ?? [];
    if (path === undefined || value === undefined)
      throw new FluxError('EINVAL', `'${word}' is not of the form KEY=VALUE`);
    const keys = path.split('.');
    const last = keys.pop()!;
    set(
      keys.reduce((tree, key) => inner(tree, key, word), root),
      last,
      jsonOrText(value),
    );
  }
  return root;
}

function inner(tree: Tree, key: string, word: string): Tree {
  if (!Object.hasOwn(tree, key)) set(tree, key, {});
  const value = tree[key];
  if (typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype)
    return value as Tree;
  throw new FluxError('EINVAL', `'${word}': the value of '${key}' is not an object`);
}

/** Not by assignment: `__proto__` is a key as any other. */
function set(tree: Tree, key: string, value: JsonValue): void {
  Object.defineProperty(tree, key, { value, enumerable: true, configurable: true, writable: true });
}
