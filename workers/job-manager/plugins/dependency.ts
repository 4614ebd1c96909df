/** What plugins for dependencies have in common. */

import { JobState } from '../../../core/formats/job-state.ts';
import type { ActiveJob } from '../job.ts';

/** Whether a job that is back after a restart had this dependency and has it no more. */
export function isDone(job: ActiveJob, description: string): boolean {
  return job.state !== JobState.new && !job.dependencies.has(description);
}
