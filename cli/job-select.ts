/** Jobs of a user by their states and results, as the service job-list has them. */

import type { FluxError } from '../core/errno.ts';
import { parseFluid } from '../core/formats/fluid.ts';
import type { Handle } from '../core/handle/handle.ts';
import { type JsonObject, real } from '../core/json.ts';
import { parseStateFilter } from './job-naming.ts';

/**
 * The constraint (RFC 43) that names of states and results mean for the jobs of a user.
 *
 * @throws FluxError EINVAL: there is no such state or result
 */
export function jobConstraint(userid: number, names: readonly string[]): JsonObject {
  const { states, results } = parseStateFilter(names);
  const terms = [...(states ? [{ states: [states] }] : []), ...(results ? [{ results: [results] }] : [])];
  return { and: [{ userid: [userid] }, ...(terms.length > 1 ? [{ or: terms }] : terms)] };
}

export interface JobQuery {
  readonly constraint: JsonObject;
  readonly attrs: readonly string[];
  /** How many jobs at most; 0: all. */
  readonly count: number;
  /** Inactive jobs only when they ended behind this time. */
  readonly since: number;
}

/** The jobs that match. */
export async function listJobs(handle: Handle, { constraint, attrs, count, since }: JobQuery): Promise<JsonObject[]> {
  const request = { max_entries: count, attrs: [...attrs], since: real(since), constraint };
  const jobs: JsonObject[] = [];
  let isStream = false;
  for await (const answer of handle.stream<{ jobs: JsonObject[]; version?: number }>('job-list.list', request)) {
    jobs.push(...answer.jobs);
    // Services of before send a single answer, without a version and without an end.
    if (!isStream && !answer.version) break;
    isStream = true;
  }
  return jobs;
}

/** The jobs of these ids; of those that are not there, `complain` is told. */
export async function findJobs(
  handle: Handle,
  ids: readonly string[],
  attrs: readonly string[],
  complain: (problem: string) => void,
): Promise<JsonObject[]> {
  const found = ids.map(async (id) => {
    const request = { id: parseFluid(id), attrs: [...attrs] };
    return handle.rpc<{ job: JsonObject }>('job-list.list-id', request).catch((error: FluxError) => {
      complain(error.code === 'ENOENT' ? `there is no job ${id}` : `job ${id}: ${error.message}`);
      return undefined;
    });
  });
  return (await Promise.all(found)).flatMap((answer) => (answer ? [answer.job] : []));
}
