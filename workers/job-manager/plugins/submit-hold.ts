/** Holds all jobs that are submitted: who wants one to run raises its urgency. */

import { Urgency } from '../job.ts';
import type { JobtapPlugin } from '../plugin.ts';

export const submitHold: JobtapPlugin = {
  start: (context) => ({
    state: {
      depend(job) {
        if (job.urgency !== Urgency.hold)
          context.post(job, 'urgency', { userid: context.owner, urgency: Urgency.hold });
        return undefined;
      },
    },
  }),
};
