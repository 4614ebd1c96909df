/** Where `flux exec --jobid` runs a program: on the ranks of a job, by its shells. */

import { FluxError } from '../core/errno.ts';
import { parseFluid } from '../core/formats/fluid.ts';
import { IdSet } from '../core/formats/idset.ts';
import type { Handle } from '../core/handle/handle.ts';
import { about } from './command.ts';
import { WAITCREATE, watchEventlog } from './eventlog.ts';
import type { Targets } from './exec-targets.ts';

/** State of a job that runs (RFC 21). */
const STATE_RUN = 16;

/**
 * The ranks of a job that runs, and the service of its shells.
 *
 * @throws FluxError the job does not run
 */
export async function jobTargets(handle: Handle, text: string): Promise<Targets> {
  const id = parseFluid(text);
  const { job } = await handle
    .rpc<{ job: { state: number; ranks?: string } }>('job-list.list-id', { id, attrs: ['ranks', 'state'] })
    .catch((error: FluxError) => {
      throw error.code === 'ENOENT' ? new FluxError('ENOENT', `there is no job ${text}`) : about(`job ${text}`, error);
    });
  if (job.state !== STATE_RUN || !job.ranks) throw new FluxError('EINVAL', `job ${text} does not run`);
  return { ranks: IdSet.parse(job.ranks), service: `${await shellService(handle, text, id)}.rexec` };
}

/** The service that a job's shells have told of in `shell.init`. */
async function shellService(handle: Handle, text: string, id: bigint): Promise<string> {
  for await (const { name, context } of watchEventlog(handle, id, 'guest.exec.eventlog', WAITCREATE))
    if (name === 'shell.init' && typeof context.service === 'string') return context.service;
  throw new FluxError('ENODATA', `the shells of job ${text} have not told their service`);
}
