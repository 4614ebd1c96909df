/** Where `flux exec --jobid` runs a program: on the ranks of a job, by its shells. */

import { FluxError } from '../core/errno.ts';
import { parseFluid } from '../core/formats/fluid.ts';
import { IdSet } from '../core/formats/idset.ts';
import type { Handle } from '../core/handle/handle.ts';
import { WAITCREATE, watchEventlog } from './eventlog.ts';
import type { Targets } from './exec-targets.ts';
import { fetchRunningJob } from './job-fetch.ts';

/**
 * The ranks of a job that runs, and the service of its shells.
 *
 * @throws FluxError the job does not run
 */
export async function jobTargets(handle: Handle, text: string): Promise<Targets> {
  const { ranks } = await fetchRunningJob(handle, text, ['ranks']);
  return { ranks: IdSet.parse(String(ranks ?? '')), service: `${await shellService(handle, text)}.rexec` };
}

/** The service that a job's shells have told of in `shell.init`. */
async function shellService(handle: Handle, text: string): Promise<string> {
  for await (const { name, context } of watchEventlog(handle, parseFluid(text), 'guest.exec.eventlog', WAITCREATE))
    if (name === 'shell.init' && typeof context.service === 'string') return context.service;
  throw new FluxError('ENODATA', `the shells of job ${text} have not told their service`);
}
