/** Refuses jobs that ask for more time than the instance has itself. */

import { FluxError } from '../../../core/errno.ts';
import { formatDuration } from '../../../core/formats/duration.ts';
import { watchExpiration } from '../instance-expiration.ts';
import type { JobtapPlugin } from '../plugin.ts';
import { durationOf } from './limit-duration.ts';

export const validateDuration: JobtapPlugin = {
  name: '.validate-duration',
  start({ service }) {
    let expiration = 0;
    const stop = watchExpiration(service, (changed) => {
      expiration = changed;
      service.log('debug', `duration-validator: updated expiration to ${expiration.toFixed(2)}`);
    });
    return {
      validate(_, jobspec) {
        if (expiration <= 0) return;
        const duration = durationOf(jobspec);
        const rest = Math.max(expiration - service.clock.now(), 0);
        if (duration <= rest) return;
        throw new FluxError(
          'EINVAL',
          `job duration (${formatDuration(duration, 2)}) exceeds remaining instance lifetime (${formatDuration(rest, 2)})`,
        );
      },
      stop,
    };
  },
};
