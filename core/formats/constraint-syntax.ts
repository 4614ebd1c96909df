/**
 * The constraint query syntax (RFC 35), as `--requires` takes it, made into constraint objects (RFC 31).
 *
 *     gpu -host:node[1-3] or (rank:0 and not big)
 *
 * Which words belong together is what flux-core's generated parser makes of it, and more than precedence: a plain word
 * never binds to what stands before it, so `a or b c` is `(a or b) c`, while in `a or b and c` the `and` comes first.
 */

import { FluxError } from '../errno.ts';

export type Constraint = { [operator: string]: (string | Constraint)[] };

/** What terms are called in constraint objects, and what a term without an operator means. */
const operators: ReadonlyMap<string, string> = new Map([
  ['host', 'hostlist'],
  ['hosts', 'hostlist'],
  ['rank', 'ranks'],
]);

type Kind = 'and' | 'or' | 'not' | 'negate' | '(' | ')' | 'term' | 'end';

interface Token {
  readonly kind: Kind;
  readonly text: string;
  readonly at: number;
}

/** How strongly words bind to what stands before them; the others do not at all. */
const levels: Partial<Record<Kind, number>> = { or: 1, and: 2, not: 3, negate: 4 };
const OR = 1;
const AND = 2;
const NOT = 3;

/**
 * Reads a constraint.
 *
 * @throws FluxError EINVAL: what is wrong, and at which position
 */
export function parseConstraint(text: string): Constraint {
  const tokens = scan(text);
  let next = 0;
  const peek = () => tokens[next]!;

  function fail(token: Token): never {
    if (token.kind === 'end') throw invalid(`unexpected end of '${text}'`);
    throw invalid(`'${token.text}' at position ${token.at} has no place there`);
  }

  function operand(): Constraint {
    const token = tokens[next]!;
    if (token.kind !== 'end') next++;
    if (token.kind === 'term') return term(token);
    if (token.kind === 'not') return { not: [expression(NOT)] };
    if (token.kind === 'negate') {
      const negated = peek();
      if (negated.kind !== 'term') fail(negated);
      next++;
      return { not: [term(negated)] };
    }
    if (token.kind !== '(') fail(token);
    const inner = expression(0);
    if (peek().kind === 'end') throw invalid(`unclosed parenthesis at position ${token.at}`);
    if (peek().kind !== ')') fail(peek());
    next++;
    return inner;
  }

  /** @param level of the operator whose right side this is; 0 for none */
  function expression(level: number): Constraint {
    let left = operand();
    for (;;) {
      const { kind } = peek();
      const own = levels[kind] ?? 0;
      if (kind === 'end' || kind === ')') return left;
      if (level && (own < level || (own === level && level !== NOT))) return left;
      if (kind === 'or' || kind === 'and') next++;
      left = kind === 'or' ? either(left, expression(OR)) : both(left, expression(AND));
    }
  }

  const constraint = expression(0);
  if (peek().kind !== 'end') fail(peek());
  return constraint;
}

function invalid(sentence: string): FluxError {
  return new FluxError('EINVAL', sentence);
}

function term({ text }: Token): Constraint {
  const colon = text.indexOf(':');
  const name = text.slice(0, Math.max(0, colon));
  const operator = colon < 0 ? 'properties' : (operators.get(name) ?? name);
  const value = text.slice(colon + 1);
  const [bad] = /[^\p{L}\p{N}_.+@-]/u.exec(operator) ?? [];
  if (bad) throw invalid(`invalid character '${bad}' in operator '${operator}:'`);
  return { [operator]: operator === 'properties' ? value.split(',') : [value] };
}

function either(left: Constraint, right: Constraint): Constraint {
  return left.or ? { or: [...left.or, right] } : { or: [left, right] };
}

function both(left: Constraint, right: Constraint): Constraint {
  if (left.and) return { and: [...left.and, right] };
  if (left.properties && right.properties) return { properties: [...left.properties, ...right.properties] };
  return { and: [left, right] };
}

const wordPattern = /\s+|-|not\b|&{1,2}|and\b|\|{1,2}|or\b|[()"']|[^()|&\s"']+/gy;

function scan(text: string): Token[] {
  const tokens: Token[] = [];
  // An operator whose operand is still to come, quoted perhaps.
  let pending = '';
  const addTerm = (word: string, at: number) => {
    const whole = pending + word;
    const waits = !pending && word.endsWith(':');
    pending = waits ? word : '';
    if (!waits) tokens.push({ kind: 'term', text: whole, at });
  };
  wordPattern.lastIndex = 0;
  for (let match = wordPattern.exec(text); match; match = wordPattern.exec(text)) {
    const [word] = match;
    const at = match.index;
    if (word === '"' || word === "'") {
      const end = text.indexOf(word, at + 1);
      if (end < 0) throw invalid(`unclosed quote at position ${at}`);
      if (end > at + 1) addTerm(text.slice(at + 1, end), at);
      wordPattern.lastIndex = end + 1;
    } else if (word.trim()) {
      const kind = kindOf(word);
      if (kind === 'term') addTerm(word, at);
      else tokens.push({ kind, text: word, at });
    }
  }
  if (pending) throw invalid(`'${pending}' lacks its operand`);
  tokens.push({ kind: 'end', text: '', at: text.length });
  return tokens;
}

function kindOf(word: string): Kind {
  switch (word) {
    case '-':
      return 'negate';
    case 'not':
      return 'not';
    case '&':
    case '&&':
    case 'and':
      return 'and';
    case '|':
    case '||':
    case 'or':
      return 'or';
    case '(':
    case ')':
      return word;
    default:
      return 'term';
  }
}
