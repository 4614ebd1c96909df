/** What jobs had before the scheduler was loaded (RFC 27, Hello). */

import type { ServiceContext } from '../../core/broker/service.ts';
import { asFluxError, endOfStream } from '../../core/errno.ts';
import { decodeEventlog } from '../../core/formats/eventlog.ts';
import { encodeFluid } from '../../core/formats/fluid.ts';
import { IdSet } from '../../core/formats/idset.ts';
import { jobKey } from '../../core/formats/job-keys.ts';
import { applyUpdate, updateEvents } from '../../core/formats/job-updates.ts';
import { resourceSetFromJson } from '../../core/formats/resource-json.ts';
import { Kvs, PRIMARY_NAMESPACE } from '../../core/handle/kvs.ts';
import { untilEnd } from '../../core/handle/rpc.ts';
import type { JsonObject } from '../../core/json.ts';
import { Flag } from '../../core/message/message.ts';
import { SharedResources } from './resource-text.ts';
import type { Scheduler } from './scheduler.ts';

type Log = ServiceContext['log'];

/** Lookups that are under way at a time. */
const LOOKUPS_MAX = 64;

interface Hello {
  readonly id: bigint;
  readonly priority: number;
  readonly userid: number;
  readonly submitted: number;
  /** Ranks that the job has given back. */
  readonly freed: IdSet;
}

/**
 * Asks the job manager which jobs have resources, and takes these over. A job whose resources are not there any more
 * gets an exception.
 *
 * @throws FluxError the job manager refuses
 */
export async function adoptRunning(context: ServiceContext, scheduler: Scheduler, log: Log): Promise<void> {
  const payload = { 'partial-ok': true };
  const responses = context.request('job-manager.sched-hello', payload, { flags: Flag.streaming });
  const jobs: Hello[] = [];
  const end = await untilEnd(responses, (response) => {
    const { id, priority, userid, t_submit, free } = response.unpack({
      id: 'I',
      priority: 'n',
      userid: 'n',
      t_submit: 'n',
      free: 's?',
    });
    jobs.push({ id, priority, userid, submitted: t_submit, freed: IdSet.parse(free ?? '') });
  });
  responses.abandon();
  if (end.errno !== endOfStream.errno) throw end;
  const kvs = new Kvs(context, PRIMARY_NAMESPACE);
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < jobs.length) await adopt(context, kvs, scheduler, jobs[next++]!, log);
  };
  await Promise.all(Array.from({ length: LOOKUPS_MAX }, worker));
}

async function adopt(
  context: ServiceContext,
  kvs: Kvs,
  scheduler: Scheduler,
  { id, priority, userid, submitted, freed }: Hello,
  log: Log,
): Promise<void> {
  const name = encodeFluid(id);
  let R: JsonObject;
  try {
    R = await currentR(kvs, id);
  } catch (error) {
    log('err', `hello: failed to look up R for job ${name}: ${asFluxError(error).message}`);
    return;
  }
  try {
    const allocation = scheduler.adopt(id, userid, resourceSetFromJson(R).exclude(freed));
    log('info', `hello: ${name}: ${new SharedResources(scheduler.pool, allocation.shares).describe()}`);
    log('debug', `hello: id=${name} priority=${priority} userid=${userid} t_submit=${submitted.toFixed(1)}`);
  } catch (error) {
    log('err', `hello: ${name} cannot keep its resources: ${asFluxError(error).message}`);
    raise(context, id, log);
  }
}

/** R with what the job's events have changed since it was stored. */
async function currentR(kvs: Kvs, id: bigint): Promise<JsonObject> {
  const [R, events] = await Promise.all([
    kvs.getJson<JsonObject>(jobKey(id, 'R')),
    kvs.getText(jobKey(id, 'eventlog')).then(decodeEventlog, () => []),
  ]);
  return events
    .filter(({ name }) => name === updateEvents.R)
    .reduce((updated, { context = {} }) => applyUpdate('R', updated, context), R);
}

function raise(context: ServiceContext, id: bigint, log: Log): void {
  const note = 'failed to reallocate R for running job';
  context
    .rpc('job-manager.raise', { id, severity: 0, type: 'scheduler-restart', note })
    .catch((error: Error) => log('err', `error raising fatal exception on ${encodeFluid(id)}: ${error.message}`));
}
