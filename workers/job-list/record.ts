/** Records of jobs that are over, as they are kept for a restart: rows of what is known of each. */

import { FluxError } from '../../core/errno.ts';
import type { JsonValue } from '../../core/json.ts';
import { unpack } from '../../core/message/unpack.ts';
import type { RecordCodec } from '../record-pieces.ts';
import { Job } from './job.ts';
import type { StringPool } from './string-pool.ts';

const VERSION = 1;

/** What is in a row behind the id, in this order. */
const fields = [
  'userid',
  'urgency',
  'priority',
  'state',
  'states',
  'submitVersion',
  'submitted',
  'depended',
  'prioritized',
  'scheduled',
  'ran',
  'cleaned',
  'ended',
  'name',
  'cwd',
  'queue',
  'project',
  'bank',
  'ntasks',
  'ncores',
  'nnodes',
  'duration',
  'expiration',
  'ranks',
  'nodelist',
  'waitStatus',
  'success',
  'result',
  'hasException',
  'exceptionSeverity',
  'exceptionType',
  'exceptionNote',
  'usage',
  'annotations',
  'dependencies',
] as const satisfies readonly (keyof Job)[];

/** @param pool has the strings of all jobs */
export function jobCodec(pool: StringPool): RecordCodec<Job> {
  return {
    encode: (jobs) => ({ version: VERSION, jobs: jobs.map(encode) }),
    decode(value) {
      const { version, jobs } = unpack(value, { version: 'i', jobs: 'a' });
      if (version !== VERSION) throw new FluxError('EINVAL', `records of version ${version} are not known here`);
      return jobs.map((row) => decode(row as readonly JsonValue[], pool));
    },
  };
}

function encode(job: Job): JsonValue {
  return [`${job.id}`, ...fields.map((field) => (job[field] as JsonValue | undefined) ?? null)];
}

function decode([id, ...values]: readonly JsonValue[], pool: StringPool): Job {
  const job = new Job(BigInt(id as string), undefined);
  job.active = undefined;
  const members = job as unknown as Record<string, unknown>;
  for (const [index, field] of fields.entries()) {
    const value = values[index];
    if (value !== null) members[field] = typeof value === 'string' ? pool.get(value) : value;
  }
  return job;
}
