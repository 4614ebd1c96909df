/** What the job manager is put together from. */

import type { Parts } from './parts.ts';
import { allocBypass } from './plugins/alloc-bypass.ts';
import { allocCheck } from './plugins/alloc-check.ts';
import { beginTime } from './plugins/begin-time.ts';
import { dependencyAfter } from './plugins/dependency-after.ts';
import { dependencySingleton } from './plugins/dependency-singleton.ts';
import { history } from './plugins/history.ts';
import { limitDuration } from './plugins/limit-duration.ts';
import { limitJobSize } from './plugins/limit-job-size.ts';
import { postEvent } from './plugins/post-event.ts';
import { priorityDefault } from './plugins/priority-default.ts';
import { submitHold } from './plugins/submit-hold.ts';
import { updateDuration } from './plugins/update-duration.ts';
import { validateDuration } from './plugins/validate-duration.ts';
import { Queues } from './queues.ts';

export const bundledParts: Parts = {
  plugins: [
    priorityDefault,
    limitJobSize,
    limitDuration,
    dependencyAfter,
    dependencySingleton,
    beginTime,
    validateDuration,
    updateDuration,
    history,
    postEvent,
  ],
  loadable: new Map([
    ['alloc-bypass.so', allocBypass],
    ['alloc-check.so', allocCheck],
    ['submit-hold.so', submitHold],
  ]),
  queues: (core) => new Queues(core),
  housekeeping: (core) => ({
    start: (R, id) => core.free(R, id, true),
    hello() {},
    allocated: () => [],
    stats: () => ({ running: {} }),
  }),
  others: () => [],
};
