/** `-o rlimit.NAME=N`: limits of the tasks' processes, which `flux submit` and its like take from who submits. */

import { FluxError } from '../../../core/errno.ts';
import { type JsonObject, stringifyJson } from '../../../core/json.ts';
import { isObject } from '../../../core/message/unpack.ts';
import { findLimit, getLimit, type SoftLimit } from '../../../native/index.ts';
import { LogLevel, type Shell, type ShellPlugin } from '../plugin.ts';

const name = 'rlimit';

export const rlimitPlugin: ShellPlugin = {
  name,
  load: (shell) => ({
    'shell.init'() {
      const option = shell.option(name);
      if (option === undefined) return;
      if (!isObject(option)) throw new FluxError('EINVAL', 'failed to parse rlimit shell option');
      const limits = parseLimits(option).map(([given, limit]) => lower(shell, given, limit));
      for (const task of shell.tasks) task.spec.limits = limits;
    },
  }),
};

/**
 * The soft limits of the option's members, by their names there; a negative one is no limit.
 *
 * @throws FluxError EINVAL that names all members that are not known or no integers
 */
export function parseLimits(option: JsonObject): readonly (readonly [given: string, limit: SoftLimit])[] {
  const faults: string[] = [];
  const limits: [string, SoftLimit][] = [];
  for (const [given, value = null] of Object.entries(option)) {
    const limit = findLimit(given);
    const isInteger = typeof value === 'bigint' || Number.isInteger(value);
    if (limit && isInteger) limits.push([given, { limit, soft: Number(value) < 0 ? Infinity : Number(value) }]);
    else faults.push(`invalid shell option rlimit.${given}=${stringifyJson(value)}`);
  }
  if (faults.length) throw new FluxError('EINVAL', faults.join('; '));
  return limits;
}

function lower(shell: Shell, given: string, { limit, soft }: SoftLimit): SoftLimit {
  const { hard } = getLimit(limit);
  if (soft > hard) shell.log(LogLevel.warn, `${given} exceeds current max, raising value to hard limit`, name);
  return { limit, soft: Math.min(soft, hard) };
}
