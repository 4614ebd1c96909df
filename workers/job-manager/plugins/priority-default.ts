/** A job's priority is its urgency, unless another plugin says otherwise. */

import type { JobtapPlugin } from '../plugin.ts';

export const priorityDefault: JobtapPlugin = {
  name: '.priority-default',
  start: () => ({
    state: { priority: (job) => ({ priority: job.urgency }) },
    priority: (job) => job.urgency,
  }),
};
