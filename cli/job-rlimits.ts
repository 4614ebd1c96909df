/** Limits for processes that a job takes along, as the rules of `--rlimit` choose them. */

import { FluxError } from '../core/errno.ts';
import { globMatcher } from '../core/formats/glob.ts';
import { parsePythonInt } from '../core/formats/python-number.ts';
import { getLimit, limitNames, readLimit } from '../native/index.ts';
import { nameMatcher } from './job-environment.ts';

const UNLIMITED = -1;

/** These stay behind unless a rule names them. */
const defaultRules = ['-memlock', '-ofile', '-msgqueue', '-nice', '-rtprio', '-rttime', '-sigpending'];

/** The soft limits of this process, -1 where there is none. */
export type Limits = ReadonlyMap<string, number>;

/**
 * Applies rules to limits, one after another: `-PATTERN` leaves some out, `PATTERN` takes them along, `NAME=VALUE` sets
 * one.
 *
 * @param rules each may be several with commas between
 * @param own the limits of this process
 * @throws FluxError EINVAL: no such limit, or no number
 */
export function jobLimits(rules: readonly string[], own: Limits = ownLimits()): Limits {
  const chosen = new Map(own);
  for (const rule of [...defaultRules, ...rules.flatMap((text) => text.split(','))]) {
    const equals = rule.indexOf('=');
    if (rule.startsWith('-')) {
      const matches = nameMatcher(rule.slice(1).toLowerCase());
      for (const name of [...chosen.keys()]) if (matches(name)) chosen.delete(name);
    } else if (equals < 0) {
      const matches = globMatcher(rule.toLowerCase());
      const matching = [...own].filter(([name]) => matches(name));
      if (!matching.length) throw new FluxError('EINVAL', `--rlimit: there is no limit '${rule}'`);
      for (const [name, value] of matching) chosen.set(name, value);
    } else {
      const name = rule.slice(0, equals).toLowerCase();
      if (!own.has(name)) throw new FluxError('EINVAL', `--rlimit: there is no limit '${name}'`);
      chosen.set(name, parseLimit(rule, rule.slice(equals + 1)));
    }
  }
  return chosen;
}

function parseLimit(rule: string, text: string): number {
  if (['unlimited', 'infinity', 'inf'].includes(text)) return UNLIMITED;
  const value = parsePythonInt(text);
  if (value === undefined) throw new FluxError('EINVAL', `--rlimit: invalid value in ${rule}`);
  return value;
}

/** The soft limits that this process was started with, in the order in which jobspecs have them. */
export function ownLimits(): Limits {
  const own = new Map<string, number>();
  for (const name of limitNames) {
    if (name !== 'nofile') own.set(name, toNumber(getLimit(name).soft));
    else own.set('nofile', startingFileLimit()).set('ofile', startingFileLimit());
  }
  return own;
}

/** Node raises its own soft limit of open files when it starts; the parent has what was there before. */
function startingFileLimit(): number {
  try {
    return toNumber(readLimit(process.ppid, 'nofile').soft);
  } catch {
    return toNumber(getLimit('nofile').soft);
  }
}

function toNumber(limit: number): number {
  return limit === Infinity ? UNLIMITED : limit;
}
