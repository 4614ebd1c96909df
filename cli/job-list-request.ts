/** Asks the service job-list for jobs (RFC 43: constraints). */

import { FluxError } from '../core/errno.ts';
import type { Hostlist } from '../core/formats/hostlist.ts';
import { IdSet } from '../core/formats/idset.ts';
import type { Handle } from '../core/handle/handle.ts';
import { type JsonObject, type JsonValue, real } from '../core/json.ts';
import type { StateFilter } from './job-naming.ts';
import { JobInfo } from './listed-job.ts';
import { findUserid } from './users.ts';

/** What stands for all users. */
const ALL_USERS = 2 ** 32 - 1;

/** How many jobs are listed when nobody says. */
export const DEFAULT_COUNT = 1000;

/** Jobs that the service may put into one response; flux-core's puts one into each, whatever is asked. */
const BATCH = 100;

/** An id with what the user wrote for it. */
export interface WrittenId {
  readonly id: bigint;
  readonly text: string;
}

export interface JobQuery {
  /** Names of attributes, or `all`. */
  readonly attrs: readonly string[];
  readonly filter: StateFilter;
  /** Undefined: of all users. */
  readonly userid: number | undefined;
  /** 0: without limit. */
  readonly count?: number;
  /** Seconds since 1970: only inactive jobs that became so later. */
  readonly since?: number;
  readonly name?: string | undefined;
  readonly queues?: readonly string[];
  /** Ranks or hosts that jobs had. */
  readonly targets?: IdSet | Hostlist | undefined;
}

/** The request of `job-list.list`. */
export function listRequest(query: JobQuery): JsonObject {
  const { attrs, count = DEFAULT_COUNT, since = 0 } = query;
  const constraint = { and: constraints(query) };
  return { max_entries: count, attrs: [...attrs], since: real(since), constraint, batch: BATCH };
}

function constraints({ targets, userid, name, queues = [], filter }: JobQuery): JsonValue[] {
  const { states, results } = filter;
  const all: JsonValue[] = [];
  if (targets) all.push({ [targets instanceof IdSet ? 'ranks' : 'hostlist']: [targets.encode()] });
  if (userid !== undefined) all.push({ userid: [userid] });
  if (name) all.push({ name: [name] });
  if (queues.length) all.push({ queue: [...queues] });
  if (states && results) all.push({ or: [{ states: [states] }, { results: [results] }] });
  else if (states) all.push({ states: [states] });
  else if (results) all.push({ results: [results] });
  return all;
}

/** Lists jobs, the newest first as the service has them. */
export async function listJobs(handle: Handle, query: JobQuery): Promise<JobInfo[]> {
  const now = Date.now() / 1000;
  const jobs: JobInfo[] = [];
  for await (const answer of handle.stream<{ jobs: readonly JsonObject[] }>('job-list.list', listRequest(query)))
    for (const raw of answer.jobs) jobs.push(new JobInfo(raw, now));
  return jobs;
}

/** Looks some jobs up; says on stderr which of them cannot be had. */
export async function lookUpJobs(
  handle: Handle,
  ids: readonly WrittenId[],
  attrs: readonly string[],
): Promise<JobInfo[]> {
  const now = Date.now() / 1000;
  const answers = await Promise.all(
    ids.map(({ id, text }) =>
      handle.rpc<{ job: JsonObject }>('job-list.list-id', { id, attrs: [...attrs] }).then(
        ({ job }) => new JobInfo(job, now),
        (error: FluxError) => {
          console.error(error.code === 'ENOENT' ? `JobID ${text} unknown` : `rpc: ${error.message}`);
          return undefined;
        },
      ),
    ),
  );
  return answers.filter((job) => job !== undefined);
}

/**
 * The user whose jobs are meant: a name, a userid, or `all`.
 *
 * @throws FluxError EINVAL: there is no such user
 */
export function parseUser(text: string | undefined): number | undefined {
  if (text === undefined) return process.getuid!();
  if (text === 'all') return undefined;
  const uid = /^\s*[+-]?\d+\s*$/.test(text) ? Number(text) : findUserid(text);
  if (uid === undefined) throw new FluxError('EINVAL', `invalid user '${text}': there is none of that name`);
  return uid === ALL_USERS || uid === -1 ? undefined : uid;
}
