/** What the job manager is made of: its plugins, in the order in which they are asked, and its parts. */

import { HousekeepingService } from './housekeeping.ts';
import type { Parts } from './parts.ts';
import { allocBypass } from './plugins/alloc-bypass.ts';
import { allocCheck } from './plugins/alloc-check.ts';
import { beginTime } from './plugins/begin-time.ts';
import { dependencyAfter } from './plugins/dependency-after.ts';
import { dependencySingleton } from './plugins/dependency-singleton.ts';
import { history } from './plugins/history.ts';
import { limitDuration } from './plugins/limit-duration.ts';
import { limitJobSize } from './plugins/limit-job-size.ts';
import { perilog } from './plugins/perilog.ts';
import { postEvent } from './plugins/post-event.ts';
import { priorityDefault } from './plugins/priority-default.ts';
import { submitHold } from './plugins/submit-hold.ts';
import { updateDuration } from './plugins/update-duration.ts';
import { validateDuration } from './plugins/validate-duration.ts';
import { Queues } from './queues.ts';
import { Updates } from './update.ts';

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
    ['perilog.so', perilog],
    ['submit-hold.so', submitHold],
  ]),
  queues: (core) => new Queues(core),
  housekeeping: (core) => new HousekeepingService(core),
  others: (core) => [new Updates(core)],
};
