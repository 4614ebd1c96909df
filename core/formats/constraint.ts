/**
 * Job constraints: which nodes a job may run on (RFC 31).
 *
 *     {"and": [{"properties": ["big", "^slow"]}, {"not": [{"hostlist": ["node[0-3]"]}]}]}
 */

import { FluxError } from '../errno.ts';
import type { JsonValue } from '../json.ts';
import { Hostlist } from './hostlist.ts';
import { IdSet } from './idset.ts';
import { encodeJson, jsonTypeName } from './jansson.ts';
import type { ResourceNode } from './resource-node.ts';

/** What a constraint looks at in a node. */
export type ConstrainedNode = Pick<ResourceNode, 'rank' | 'hostname' | 'properties'>;
export type NodeTest = (node: ConstrainedNode) => boolean;

/** Nested deeper than this, a constraint is taken for a mistake. */
const DEPTH_MAX = 100;

/**
 * The test that a constraint object stands for; an empty object lets all nodes pass.
 *
 * Operators: `properties` (all of them; `^` negates; a host's name counts as one of its properties), `hostlist`, `ranks`,
 * `and`, `or` (true when empty), `not` (not all of them). Throws FluxError EINVAL that says what is wrong.
 */
export function compileConstraint(constraint: unknown): NodeTest {
  return compile(constraint, 1);
}

function compile(constraint: unknown, depth: number): NodeTest {
  if (jsonTypeName(constraint) !== 'object') throw new FluxError('EINVAL', 'constraint must be JSON object');
  if (depth > DEPTH_MAX) throw new FluxError('EINVAL', 'constraint is nested too deep');
  const entries = Object.entries(constraint as object);
  if (entries.length > 1) throw new FluxError('EINVAL', 'constraint must only contain 1 element');
  const [entry] = entries;
  if (!entry) return () => true;
  const [operator, values] = entry;
  switch (operator) {
    case 'properties':
      return allProperties(valuesOf(values, 'properties value must be an array'));
    case 'hostlist': {
      const lists = stringsOf(values, 'hostlist', Hostlist.parse);
      const hosts = lists.reduce((all, list) => all.append(list), Hostlist.empty);
      return ({ hostname }) => hostname !== undefined && hosts.has(hostname);
    }
    case 'ranks': {
      const ranks = stringsOf(values, 'idset', IdSet.parse).reduce((union, set) => union.union(set), IdSet.empty);
      return ({ rank }) => ranks.has(rank);
    }
    case 'and':
    case 'or':
    case 'not': {
      const operands = valuesOf(values, `${operator} operator value must be an array`);
      return combine(
        operator,
        operands.map((operand) => compile(operand, depth + 1)),
      );
    }
    default:
      throw new FluxError('EINVAL', `unknown constraint operator: ${operator}`);
  }
}

function combine(operator: 'and' | 'or' | 'not', tests: readonly NodeTest[]): NodeTest {
  if (operator === 'or') return (node) => tests.length === 0 || tests.some((test) => test(node));
  const all: NodeTest = (node) => tests.every((test) => test(node));
  return operator === 'and' ? all : (node) => !all(node);
}

function allProperties(values: readonly unknown[]): NodeTest {
  const tests = values.map((value) => {
    if (typeof value !== 'string') throw new FluxError('EINVAL', 'non-string property specified');
    const [char] = /[!&'"`|()]/.exec(value) ?? [];
    if (char) throw new FluxError('EINVAL', `invalid character '${char}' in property "${value}"`);
    const negated = value.startsWith('^');
    const name = negated ? value.slice(1) : value;
    return (node: ConstrainedNode) => (node.properties.has(name) || node.hostname === name) !== negated;
  });
  return (node) => tests.every((test) => test(node));
}

function valuesOf(values: unknown, sentence: string): readonly unknown[] {
  if (!Array.isArray(values)) throw new FluxError('EINVAL', sentence);
  return values;
}

function stringsOf<T>(values: unknown, noun: string, parse: (text: string) => T): T[] {
  return valuesOf(values, `${noun} value must be an array`).map((value) => {
    const sentence = () => `invalid ${noun} '${value}' in ${encodeJson(values as JsonValue)}`;
    if (typeof value !== 'string') throw new FluxError('EINVAL', sentence());
    try {
      return parse(value);
    } catch (cause) {
      throw new FluxError('EINVAL', sentence(), { cause });
    }
  });
}
