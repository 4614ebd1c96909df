/** The environment of a job: that of the command, as the rules of `--env`, `--env-remove` and `--env-file` change it. */

import fs from 'node:fs';
import os from 'node:os';
import { asFluxError, FluxError } from '../core/errno.ts';
import { globMatcher } from '../core/formats/glob.ts';

export type Environment = Readonly<Record<string, string | undefined>>;

export interface JobEnvironment {
  readonly variables: ReadonlyMap<string, string>;
  /** Variables with mustache templates, for the shell of the job to expand. */
  readonly templates: ReadonlyMap<string, string>;
}

/**
 * Applies rules to an environment, one after another.
 *
 *     -PATTERN   remove those that match
 *     ^FILE      read more rules
 *     NAME=VALUE set one; `$NAME` and `${NAME}` stand for what is set so far
 *     PATTERN    add those of `own` that match and are not there
 *
 * @param own the environment of this process
 * @throws FluxError EINVAL: a variable that is not there, a file that cannot be read, a pattern that is none
 */
export function jobEnvironment(rules: readonly string[], own: Environment): JobEnvironment {
  const state = { variables: definedVariables(own), templates: new Map<string, string>() };
  applyRules(rules, own, state);
  return state;
}

function definedVariables(env: Environment): Map<string, string> {
  return new Map(Object.entries(env).filter((entry): entry is [string, string] => entry[1] !== undefined));
}

interface State {
  readonly variables: Map<string, string>;
  readonly templates: Map<string, string>;
}

function applyRules(rules: readonly string[], own: Environment, state: State): void {
  for (const rule of rules) applyRule(rule, own, state);
}

function applyRule(rule: string, own: Environment, state: State): void {
  const { variables, templates } = state;
  const equals = rule.indexOf('=');
  if (rule.startsWith('-')) {
    const matches = nameMatcher(rule.slice(1));
    for (const name of [...variables.keys()]) if (matches(name)) variables.delete(name);
  } else if (rule.startsWith('^')) applyRules(readRules(rule.slice(1)), own, state);
  else if (equals < 0) {
    const matches = nameMatcher(rule);
    for (const [name, value] of definedVariables(own))
      if (matches(name) && !variables.has(name)) variables.set(name, value);
  } else {
    const name = rule.slice(0, equals);
    const value = rule.slice(equals + 1);
    if (value.includes('{{')) templates.set(name, value);
    else
      variables.set(
        name,
        substitute(value, rule, (key) => variables.get(key) ?? own[key]),
      );
  }
}

function readRules(path: string): string[] {
  const file = path.replace(/^~(?=\/|$)/, os.homedir());
  try {
    const text = fs.readFileSync(file, 'utf8');
    return text
      .replace(/\n$/, '')
      .split('\n')
      .map((line) => line.trim());
  } catch (error) {
    throw new FluxError('EINVAL', `--env: ${asFluxError(error).message}`);
  }
}

/**
 * Tells of names whether they match: a pattern is a shell's, or behind `/` a regular expression for their beginning.
 *
 * @throws FluxError EINVAL: no regular expression
 */
export function nameMatcher(pattern: string): (name: string) => boolean {
  // No backslash is special in these patterns.
  if (!pattern.startsWith('/')) return globMatcher(pattern.replaceAll('\\', '\\\\'));
  try {
    const expression = new RegExp(`^(?:${pattern.slice(1).replace(/\/+$/, '')})`);
    return (name) => expression.test(name);
  } catch (error) {
    throw new FluxError('EINVAL', `'${pattern}': ${(error as Error).message}`);
  }
}

function substitute(text: string, rule: string, lookUp: (name: string) => string | undefined): string {
  return text.replace(/\$(?:(\$)|([_a-z]\w*)|\{([_a-z]\w*)\})?/gi, (_, dollar, name = undefined, braced = name) => {
    if (dollar) return '$';
    if (braced === undefined) throw new FluxError('EINVAL', `--env: unable to substitute ${rule}`);
    const value = lookUp(braced);
    if (value === undefined) throw new FluxError('EINVAL', `--env: variable '${braced}' not found in ${rule}`);
    return value;
  });
}
