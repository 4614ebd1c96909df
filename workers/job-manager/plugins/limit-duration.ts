/** Refuses jobs that ask for more time than the policy grants (RFC 33). */

import { FluxError } from '../../../core/errno.ts';
import { formatDuration, parseDuration } from '../../../core/formats/duration.ts';
import { type JsonObject, Real } from '../../../core/json.ts';
import { systemAttribute } from '../job.ts';
import type { JobtapPlugin } from '../plugin.ts';
import { forQueue, type PolicyLimits, readLimits } from './policy-limits.ts';

/** What stands for no limit, in the configuration and in a jobspec. */
const UNLIMITED = 0;

function readLimit(limits: JsonObject, path: string): number | undefined {
  const { duration } = limits;
  if (duration === undefined) return undefined;
  if (typeof duration !== 'string') throw new FluxError('EINVAL', `${path}.duration: it is not a string`);
  try {
    return parseDuration(duration);
  } catch {
    throw new FluxError('EINVAL', `${path}.duration: FSD value is malformed`);
  }
}

/** The time limit that a jobspec asks for, in seconds; 0: none. */
export function durationOf(jobspec: JsonObject): number {
  const duration = systemAttribute(jobspec, 'duration');
  if (duration === undefined) return UNLIMITED;
  if (typeof duration === 'number' || duration instanceof Real) return Number(duration);
  throw new FluxError('EINVAL', 'attributes.system.duration is not a number');
}

export const limitDuration: JobtapPlugin = {
  name: '.limit-duration',
  start() {
    let limits: PolicyLimits<number | undefined> = { general: undefined, queues: new Map() };

    return {
      configure(config) {
        limits = readLimits(config, readLimit, (inherited, own) => own ?? inherited);
      },
      validate(_, jobspec) {
        const queue = systemAttribute(jobspec, 'queue');
        const name = typeof queue === 'string' ? queue : undefined;
        const limit = (name === undefined ? undefined : limits.queues.get(name)) ?? limits.general ?? UNLIMITED;
        if (limit === UNLIMITED || limit === Infinity) return;
        const duration = durationOf(jobspec);
        if (duration !== UNLIMITED && duration <= limit) return;
        const requested = duration === UNLIMITED ? 'unlimited' : formatDuration(duration, 2);
        const granted = formatDuration(limit, 2);
        throw new FluxError(
          'EINVAL',
          `requested duration (${requested}) exceeds policy limit of ${granted}${forQueue(name)}`,
        );
      },
    };
  },
};
