/**
 * What is done about jobs when the initial program has ended: nothing more is started, what runs is canceled and waited
 * for. Each step is a command and the request that the command makes.
 */

import { JobState } from '../formats/job-state.ts';
import type { JsonObject } from '../json.ts';
import { USERID_UNKNOWN } from '../message/credentials.ts';

export interface CleanupStep {
  readonly command: string;
  readonly topic: string;
  readonly payload: JsonObject;
}

/** Jobs go on until rc3 when this variable is set. */
export const DISABLE_JOB_CLEANUP = 'FLUX_DISABLE_JOB_CLEANUP';

/** In the order in which they are done. */
export const jobCleanupSteps: readonly CleanupStep[] = [
  {
    // The next instance on this state starts its queues as they were.
    command: 'flux queue stop --quiet --all --nocheckpoint',
    topic: 'job-manager.queue-start',
    payload: { start: false, all: true, nocheckpoint: true },
  },
  {
    // The scheduler need not hear that ranks go.
    command: 'flux resource acquire-mute',
    topic: 'resource.acquire-mute',
    payload: {},
  },
  {
    command: 'flux cancel --user=all --quiet --states RUN',
    topic: 'job-manager.raiseall',
    payload: { dry_run: false, userid: USERID_UNKNOWN, states: JobState.run, severity: 0, type: 'cancel' },
  },
  {
    command: 'flux queue idle --quiet',
    topic: 'job-manager.idle',
    payload: {},
  },
];
