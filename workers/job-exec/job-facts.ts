/** What a job's start request says (RFC 32). */

import type { ServiceContext } from '../../core/broker/service.ts';
import { FluxError } from '../../core/errno.ts';
import { Hostlist } from '../../core/formats/hostlist.ts';
import { IdSet } from '../../core/formats/idset.ts';
import { unwrapJobspec } from '../../core/formats/job-envelope.ts';
import { jobKey } from '../../core/formats/job-keys.ts';
import { Kvs, PRIMARY_NAMESPACE } from '../../core/handle/kvs.ts';
import type { Request } from '../../core/handle/methods.ts';
import { type JsonObject, parseJson } from '../../core/json.ts';
import { isObject, unpack } from '../../core/message/unpack.ts';

export interface JobFacts {
  readonly id: bigint;
  readonly userid: number;
  /** Without the environment, which is in the envelope that was submitted. */
  readonly jobspec: JsonObject;
  readonly R: JsonObject;
  /** Broker ranks, of which the first is the leader's. */
  readonly ranks: IdSet;
  /** Seconds since the epoch; 0 when R does not say. */
  readonly starttime: number;
  readonly expiration: number;
  /** It was started before the instance, or this service, was. */
  readonly reattach: boolean;
}

/** @throws FluxError EPROTO, EINVAL: it is no start request */
export function readJobFacts(request: Request): JobFacts {
  const { id, userid, jobspec, reattach, R } = request.unpack({
    id: 'I',
    userid: 'i',
    jobspec: 'o',
    reattach: 'b',
    R: 'o',
  });
  const { execution } = unpack(R, { execution: 'o' });
  const {
    R_lite,
    starttime = 0,
    expiration = 0,
  } = unpack(execution, { R_lite: 'a', starttime: 'n?', expiration: 'n?' });
  const sets = R_lite.map((entry) => IdSet.parse(unpack(entry, { rank: 's' }).rank));
  const [first = IdSet.empty, ...others] = sets;
  const ranks = others.reduce((all, set) => all.union(set), first);
  if (ranks.count === 0) throw new FluxError('EINVAL', 'reading R: there are no ranks in it');
  return { id, userid, jobspec, R, ranks, starttime, expiration, reattach };
}

/** The names of the hosts of some of a job's ranks. */
export function hostsOf({ R, ranks }: JobFacts, wanted: Iterable<number>): string {
  const { execution } = R;
  const nodelist = isObject(execution) ? execution.nodelist : undefined;
  const names = Array.isArray(nodelist) ? nodelist.flatMap((text) => Hostlist.parse(String(text)).expand()) : [];
  const order = [...ranks];
  const hosts = [...wanted].map((rank) => names[order.indexOf(rank)] ?? '(unknown)');
  return hosts.length ? Hostlist.from(hosts).encode() : '(unknown)';
}

/**
 * The jobspec as it was submitted, with the environment of the tasks.
 *
 * @throws FluxError EINVAL and what the KVS answers: there is none
 */
export async function submittedJobspec(context: ServiceContext, id: bigint): Promise<JsonObject> {
  const J = await new Kvs(context, PRIMARY_NAMESPACE).getText(jobKey(id, 'J'));
  const jobspec = parseJson(unwrapJobspec(J));
  if (!isObject(jobspec)) throw new FluxError('EINVAL', 'error parsing jobspec: it is not an object');
  return jobspec;
}
