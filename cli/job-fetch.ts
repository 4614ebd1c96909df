/** Jobs, as the service job-list tells of them. */

import { about, FluxError } from '../core/errno.ts';
import { parseFluid } from '../core/formats/fluid.ts';
import type { Handle } from '../core/handle/handle.ts';
import type { JsonObject } from '../core/json.ts';

/** State of a job that runs (RFC 21). */
const STATE_RUN = 16;

/**
 * Attributes of a job.
 *
 * @throws FluxError ENOENT: there is no such job
 */
export async function fetchJob(
  handle: Pick<Handle, 'rpc'>,
  text: string,
  attrs: readonly string[],
): Promise<JsonObject> {
  const request = { id: parseFluid(text), attrs: [...attrs] };
  const { job } = await handle.rpc<{ job: JsonObject }>('job-list.list-id', request).catch((error: FluxError) => {
    throw error.code === 'ENOENT' ? new FluxError('ENOENT', `there is no job ${text}`) : about(`job ${text}`, error);
  });
  return job;
}

/**
 * Attributes of a job that runs.
 *
 * @throws FluxError ENOENT, EINVAL: there is no such job, or it does not run
 */
export async function fetchRunningJob(handle: Handle, text: string, attrs: readonly string[]): Promise<JsonObject> {
  const job = await fetchJob(handle, text, ['state', ...attrs]);
  if (job.state !== STATE_RUN) throw new FluxError('EINVAL', `job ${text} does not run`);
  return job;
}
