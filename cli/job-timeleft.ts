/** `flux job timeleft`: how long a job, or the instance around, may still run. */

import { FluxError } from '../core/errno.ts';
import { formatDuration } from '../core/formats/duration.ts';
import { JobState } from '../core/formats/job-state.ts';
import type { Handle } from '../core/handle/handle.ts';
import { type JsonObject, type JsonValue, Real } from '../core/json.ts';
import { isObject } from '../core/message/unpack.ts';
import { withHandle } from './command.ts';
import { fetchJob } from './job-fetch.ts';
import type { NestedCommand } from './nested.ts';
import { print } from './print.ts';

export const timeleftCommand: NestedCommand = {
  summary: 'Tell how many seconds a job, or without an id the one around, may still run',
  define: (command) =>
    command
      .argument('[id]', 'job id; without it, FLUX_JOB_ID, and without that the instance')
      .option('-H, --human', 'As a duration: 1.5h, infinity.')
      .action((word: string | undefined, { human }: { human?: boolean }) =>
        withHandle(async (handle) => {
          const job = word ?? process.env.FLUX_JOB_ID;
          const expiration = await (job === undefined ? instanceExpiration(handle) : jobExpiration(handle, job));
          const left = timeLeft(expiration, Date.now() / 1000);
          print(human ? formatDuration(left) : formatSeconds(left));
        }),
      ),
};

/** Seconds up to an expiration, of which 0 is none. */
export function timeLeft(expiration: number, now: number): number {
  return expiration === 0 ? Infinity : Math.max(0, expiration - now);
}

/** Whole seconds; 1 for what is less but not nothing, and the largest number of 32 bits for no limit. */
export function formatSeconds(left: number): string {
  if (left === Infinity) return String(2 ** 32 - 1);
  return String(left > 0 ? Math.max(1, Math.floor(left)) : 0);
}

async function jobExpiration(handle: Handle, word: string): Promise<number> {
  const { state, expiration } = await fetchJob(handle, word, ['expiration', 'state']);
  if (Number(state) & JobState.pending) throw new FluxError('EINVAL', `job ${word} has not started`);
  // One that is over has no time left, whenever it would have had to be.
  return state === JobState.run ? numberOf(expiration) : 1;
}

async function instanceExpiration(handle: Handle): Promise<number> {
  const { R } = await handle.rpc<{ R?: JsonObject }>('resource.status', undefined, { nodeid: 0 });
  const execution = isObject(R) ? R.execution : undefined;
  if (!isObject(execution)) throw new FluxError('EPROTO', 'the resources of the instance tell no expiration');
  return numberOf(execution.expiration);
}

function numberOf(value: JsonValue | undefined): number {
  return value instanceof Real ? value.value : Number(value ?? 0);
}
