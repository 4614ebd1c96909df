/** Lets the time limit of a job be changed: while it waits by its user, while it runs by the owner alone. */

import { FluxError } from '../../../core/errno.ts';
import { JobState } from '../../../core/formats/job-state.ts';
import { Real } from '../../../core/json.ts';
import { Role } from '../../../core/message/credentials.ts';
import type { JobtapPlugin } from '../plugin.ts';

export const updateDuration: JobtapPlugin = {
  name: '.update-duration',
  start(_, conf) {
    const ownerMayAnything = conf['owner-allow-any'] === undefined || Boolean(Number(conf['owner-allow-any']));
    return {
      updates: {
        'attributes.system.duration'(job, { value, credentials }) {
          if (typeof value !== 'number' && !(value instanceof Real))
            throw new FluxError('EINVAL', 'the duration is not a number');
          if (Number(value) < 0) throw new FluxError('EINVAL', 'duration must not be negative');
          const isFree = (credentials.rolemask & Role.owner) !== 0 && ownerMayAnything;
          if (job.state & JobState.running && !isFree)
            throw new FluxError('EINVAL', 'duration update of running job requires instance owner privileges');
          // The owner's word stands whatever the limits are.
          return isFree ? { isValidated: true } : undefined;
        },
      },
    };
  },
};
