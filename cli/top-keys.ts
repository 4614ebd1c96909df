/** Keys of a terminal, from the bytes that it sends. */

export type Key = 'up' | 'down' | 'left' | 'right' | 'enter' | 'details' | 'redraw' | 'quit';

const ESCAPE = '\x1b';

const keys: Readonly<Record<string, Key>> = {
  k: 'up',
  '\x1b[A': 'up',
  '\x1bOA': 'up',
  j: 'down',
  '\x1b[B': 'down',
  '\x1bOB': 'down',
  h: 'left',
  '\x1b[D': 'left',
  '\x1bOD': 'left',
  l: 'right',
  '\x1b[C': 'right',
  '\x1bOC': 'right',
  '\r': 'enter',
  '\n': 'enter',
  d: 'details',
  '\f': 'redraw',
  q: 'quit',
};

/** Raw mode leaves it to programs what these keys do. */
export const INTERRUPT = '\x03';

/** A key that sends more than a character, or a character. */
const oneKey = new RegExp(`${ESCAPE}[[O][0-9;]*[A-Za-z~]|[\\s\\S]`, 'gu');

/** What was typed, key by key; a key that means nothing is undefined. */
export function parseKeys(text: string): (Key | undefined)[] {
  const typed = text.match(oneKey) ?? [];
  return typed.map((key) => (Object.hasOwn(keys, key) ? keys[key] : undefined));
}
