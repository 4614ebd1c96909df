/** What `flux pgrep` and `flux pkill` look for: a pattern of names, a range of ids, or both. */

import { FluxError } from '../core/errno.ts';
import { parseFluid } from '../core/formats/fluid.ts';
import type { JobInfo } from './listed-job.ts';

export type JobMatch = (job: JobInfo) => boolean;

/**
 * Reads expressions: `PATTERN`, `name:PATTERN` or `ID..ID`.
 *
 * @throws FluxError EINVAL: a pattern that is none, or more than one
 */
export function parseExpressions(expressions: readonly string[]): JobMatch {
  let pattern: RegExp | undefined;
  let range: readonly [bigint, bigint] | undefined;
  for (const expression of expressions) {
    const ids = parseRange(expression);
    if (ids) range = ids;
    else if (pattern) throw new FluxError('EINVAL', 'there can be only one pattern');
    else pattern = parsePattern(expression.replace(/^name:/, ''));
  }
  return ({ raw, id }) => {
    if (range && (id.value < range[0] || id.value > range[1])) return false;
    return pattern === undefined || pattern.test(String(raw.name ?? ''));
  };
}

/** A range of ids; undefined when it is a pattern. */
function parseRange(expression: string): readonly [bigint, bigint] | undefined {
  if (expression.includes(':')) return undefined;
  const [from, to, ...rest] = expression.split('..');
  if (from === undefined || to === undefined || rest.length) return undefined;
  try {
    return [parseFluid(from), parseFluid(to)];
  } catch {
    return undefined;
  }
}

/** A regular expression as Python writes it: flags at its beginning, and named groups with a P. */
function parsePattern(text: string): RegExp {
  const [start = '', flags = ''] = /^\(\?([aimsux]+)\)/.exec(text) ?? [];
  const source = text
    .slice(start.length)
    .replace(/\(\?P</g, '(?<')
    .replace(/\(\?P=(\w+)\)/g, '\\k<$1>');
  try {
    return new RegExp(source, flags.replace(/[^ims]/g, ''));
  } catch (error) {
    throw new FluxError('EINVAL', (error as Error).message);
  }
}
