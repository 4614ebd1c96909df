/** The owner may add any event to a job's event log. */

import { FluxError } from '../../../core/errno.ts';
import type { JobtapPlugin } from '../plugin.ts';

export const postEvent: JobtapPlugin = {
  name: '.post-event',
  start: (context) => ({
    methods: {
      post: {
        handler(request) {
          const { id, name, context: members } = request.unpack({ id: 'I', name: 's', context: 'o?' });
          const job = context.active(id);
          if (!job) throw new FluxError('ENOENT', 'there is no such active job');
          context.post(job, name, members);
          return undefined;
        },
      },
    },
  }),
};
