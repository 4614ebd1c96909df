/** Hands jobspecs to an instance. */

import os from 'node:os';
import { FluxError } from '../core/errno.ts';
import { wrapUnsigned } from '../core/formats/job-envelope.ts';
import { JobFlag, Urgency } from '../core/formats/job-submission.ts';
import { parsePythonInt } from '../core/formats/python-number.ts';
import type { Handle } from '../core/handle/handle.ts';
import type { JsonValue } from '../core/json.ts';
import type { SubmissionOptions } from './submission-options.ts';

/** Flags of job-ingest.submit. */
export const submitFlags: ReadonlyMap<string, number> = new Map(Object.entries(JobFlag));

const urgencyNames: ReadonlyMap<string, number> = new Map([
  ['hold', Urgency.hold],
  ['default', Urgency.default],
  ['expedite', Urgency.expedite],
]);

export interface SubmitSettings {
  readonly urgency: number;
  readonly flags: number;
}

/**
 * What `--flags` and `--urgency` say.
 *
 * @throws FluxError EINVAL: an unknown flag, an urgency that is no number
 */
export function submitSettings({ flags, urgency }: Pick<SubmissionOptions, 'flags' | 'urgency'>): SubmitSettings {
  let bits = 0;
  for (const name of flags.flatMap((text) => text.split(','))) {
    const bit = submitFlags.get(name);
    if (bit === undefined) throw new FluxError('EINVAL', `--flags: unknown flag '${name}'`);
    bits |= bit;
  }
  const number = urgencyNames.get(urgency) ?? parsePythonInt(urgency);
  if (number === undefined) throw new FluxError('EINVAL', `--urgency: '${urgency}' is not an urgency`);
  return { urgency: number, flags: bits };
}

/**
 * Submits a jobspec and resolves to the job's id.
 *
 * @throws FluxError why the instance refuses it
 */
export async function submitJob(handle: Handle, jobspec: string, settings: SubmitSettings): Promise<bigint> {
  const J = wrapUnsigned(jobspec, os.userInfo().uid);
  const { id } = await handle.rpc<{ id: JsonValue }>('job-ingest.submit', { J, ...settings });
  return BigInt(String(id));
}
