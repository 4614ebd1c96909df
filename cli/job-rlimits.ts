/** Limits for processes that a job takes along, as the rules of `--rlimit` choose them. */

import fs from 'node:fs';
import { FluxError } from '../core/errno.ts';
import { globMatcher } from '../core/formats/glob.ts';
import { parsePythonInt } from '../core/formats/python-number.ts';
import { nameMatcher } from './job-environment.ts';

const UNLIMITED = -1;

/** The limits, in the order in which jobspecs have them, and what `/proc/PID/limits` calls each. */
const limits: readonly (readonly [name: string, line: string])[] = [
  ['cpu', 'Max cpu time'],
  ['fsize', 'Max file size'],
  ['data', 'Max data size'],
  ['stack', 'Max stack size'],
  ['core', 'Max core file size'],
  ['nofile', 'Max open files'],
  ['ofile', 'Max open files'],
  ['as', 'Max address space'],
  ['rss', 'Max resident set'],
  ['nproc', 'Max processes'],
  ['memlock', 'Max locked memory'],
  ['msgqueue', 'Max msgqueue size'],
  ['nice', 'Max nice priority'],
  ['rtprio', 'Max realtime priority'],
  ['rttime', 'Max realtime timeout'],
  ['sigpending', 'Max pending signals'],
];

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

/** The soft limits that this process was started with. */
export function ownLimits(): Limits {
  const text = fs.readFileSync('/proc/self/limits', 'utf8');
  const entries = limits.map(([name, line]): [string, number] => [name, softLimit(text, line)]);
  return new Map(entries).set('nofile', startingFileLimit(text)).set('ofile', startingFileLimit(text));
}

/** Node raises its own soft limit of open files when it starts; the parent has what was there before. */
function startingFileLimit(own: string): number {
  const line = 'Max open files';
  try {
    return softLimit(fs.readFileSync(`/proc/${process.ppid}/limits`, 'utf8'), line);
  } catch {
    return softLimit(own, line);
  }
}

function softLimit(text: string, line: string): number {
  const [value] = text.split(line)[1]?.trim().split(/\s+/) ?? [];
  return value === undefined || value === 'unlimited' ? UNLIMITED : Number(value);
}
