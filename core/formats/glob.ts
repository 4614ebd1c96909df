/**
 * Shell patterns as fnmatch(3) reads them: `*` any characters, `?` one, `[a-z]` and `[!a-z]` one of a set, `\` takes the
 * meaning from the next.
 *
 * They are matched by hand: as a regular expression a pattern of many stars takes time without end, and a long one
 * cannot be compiled.
 */

/** Any characters, or whether one character fits. */
type Token = '*' | ((character: string) => boolean);

/** Tells of texts whether they match a pattern; it takes at most the product of both lengths. */
export function globMatcher(pattern: string): (text: string) => boolean {
  const tokens = parse(pattern);
  return (text) => matches(tokens, text);
}

function parse(pattern: string): Token[] {
  const tokens: Token[] = [];
  for (let i = 0; i < pattern.length; i++) {
    const character = pattern[i]!;
    const end = character === '[' ? endOfSet(pattern, i) : -1;
    if (character === '*') tokens.push('*');
    else if (character === '?') tokens.push(() => true);
    else if (end >= 0) {
      tokens.push(parseSet(pattern.slice(i + 1, end)));
      i = end;
    } else {
      const literal = character === '\\' ? (pattern[++i] ?? character) : character;
      tokens.push((other) => other === literal);
    }
  }
  return tokens;
}

/** Where the bracket closes that opens at `start`; one that comes first in the set is part of it. */
function endOfSet(pattern: string, start: number): number {
  const negated = pattern[start + 1] === '!' || pattern[start + 1] === '^';
  return pattern.indexOf(']', start + (negated ? 3 : 2));
}

function parseSet(set: string): Token {
  const negated = set[0] === '!' || set[0] === '^';
  const ranges: [from: string, to: string][] = [];
  for (let i = negated ? 1 : 0; i < set.length; i++) {
    const from = set[i]!;
    if (set[i + 1] === '-' && i + 2 < set.length) {
      ranges.push([from, set[i + 2]!]);
      i += 2;
    } else ranges.push([from, from]);
  }
  return (character) => ranges.some(([from, to]) => from <= character && character <= to) !== negated;
}

function matches(tokens: readonly Token[], text: string): boolean {
  let token = 0;
  // The last star, and how far into the text it reaches; what fails behind it is tried again one character later.
  let star = -1;
  let reach = 0;
  for (let at = 0; at < text.length; ) {
    const current = tokens[token];
    if (current === '*') {
      star = token++;
      reach = at;
    } else if (current?.(text[at]!)) {
      token++;
      at++;
    } else if (star >= 0) {
      token = star + 1;
      at = ++reach;
    } else return false;
  }
  while (tokens[token] === '*') token++;
  return token === tokens.length;
}
