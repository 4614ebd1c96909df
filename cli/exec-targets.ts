/** Which ranks `flux exec` runs a program on, and by which service. */

import { FluxError } from '../core/errno.ts';
import { parseFluid } from '../core/formats/fluid.ts';
import { IdSet } from '../core/formats/idset.ts';
import type { Handle } from '../core/handle/handle.ts';
import { type JsonObject, parseJson } from '../core/message/json.ts';
import { isObject } from '../core/message/unpack.ts';
import { about } from './command.ts';

export interface Targets {
  readonly ranks: IdSet;
  readonly service: string;
}

/** State of a job that runs (RFC 21). */
const STATE_RUN = 16;
/** Flag of job-info.eventlog-watch: wait for the eventlog to be there. */
const WAITCREATE = 1;

/** The ranks of an instance. */
export function instanceTargets(size: number): Targets {
  return { ranks: IdSet.range(0, size - 1), service: 'rexec' };
}

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
  const request = { id, path: 'guest.exec.eventlog', flags: WAITCREATE };
  const events = handle.stream<{ event: string }>('job-info.eventlog-watch', request, {
    cancelTopic: 'job-info.eventlog-watch-cancel',
  });
  for await (const { event } of events) {
    for (const line of event.split('\n').filter(Boolean)) {
      const { name, context } = parseJson(line) as JsonObject;
      if (name === 'shell.init' && isObject(context) && typeof context.service === 'string') return context.service;
    }
  }
  throw new FluxError('ENODATA', `the shells of job ${text} have not told their service`);
}

/**
 * The targets that `--rank` includes and `--exclude` does not.
 *
 * @param include positions among the targets, which are the ranks themselves unless they are a job's
 * @param relative whether `exclude` names positions, too, and not ranks
 * @throws FluxError EINVAL: there is no such position, or no target is left
 */
export function filterTargets(
  ranks: IdSet,
  include: IdSet | undefined,
  exclude: IdSet | undefined,
  relative: boolean,
): IdSet {
  if (include && (include.last ?? 0) >= ranks.count)
    throw new FluxError('EINVAL', `one or more of the ranks ${include} do not exist: there are ${ranks.count}`);
  const kept = [...ranks].filter(
    (rank, position) => (include?.has(position) ?? true) && !exclude?.has(relative ? position : rank),
  );
  if (kept.length === 0) throw new FluxError('EINVAL', 'no rank is left to run it on');
  return IdSet.from(kept);
}
