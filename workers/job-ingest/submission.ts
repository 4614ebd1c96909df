/** One request to submit a job, and what must be right about it before its jobspec is looked into. */

import { isUtf8 } from 'node:buffer';
import { errno, FluxError, strerror } from '../../core/errno.ts';
import { unwrapUnsigned } from '../../core/formats/job-envelope.ts';
import { JobFlag, Urgency } from '../../core/formats/job-submission.ts';
import { DEPTH_MAX, isTooDeep, JsonScanner } from '../../core/formats/json-scanner.ts';
import type { Request } from '../../core/handle/methods.ts';
import { type JsonObject, type JsonValue, parseJson } from '../../core/json.ts';

const KNOWN_FLAGS = JobFlag.debug | JobFlag.waitable | JobFlag.novalidate;

export class Submission {
  readonly request: Request;
  /** The jobspec in its envelope (RFC 15), as it came. */
  readonly J: string;
  readonly urgency: number;
  /** `JobFlag` bits. */
  readonly flags: number;
  /** What was in the envelope, and what frobnicators made of it. */
  jobspec: JsonValue;

  /**
   * Reads a request.
   *
   * @throws FluxError EPROTO: a field is missing or of the wrong kind, unknown flags; EPERM: not for a guest, or signed by
   *   another user; EINVAL: urgency, envelope, a jobspec that is no JSON
   */
  constructor(request: Request) {
    const { J, urgency, flags } = readFields(request);
    if (flags & ~KNOWN_FLAGS) throw new FluxError('EPROTO', 'invalid job flags');
    checkRights(request, urgency, flags);
    this.request = request;
    this.J = J;
    this.urgency = urgency;
    this.flags = flags;
    this.jobspec = readJobspec(unwrap(request, J));
  }

  get userid(): number {
    return this.request.userid;
  }

  get isValidated(): boolean {
    return (this.flags & JobFlag.novalidate) === 0;
  }

  /** The job as plugins and the scheduler's feasibility check are asked about it. */
  describe(): JsonObject {
    const { jobspec, userid, urgency, flags } = this;
    // A C int: all bits are -1.
    return { jobspec, userid, rolemask: this.request.rolemask | 0, urgency, flags };
  }
}

function readFields(request: Request): { readonly J: string; readonly urgency: number; readonly flags: number } {
  try {
    return request.unpack({ J: 's', urgency: 'i', flags: 'i' });
  } catch {
    throw new FluxError('EPROTO', `error decoding job request: ${strerror(errno.EPROTO)}`);
  }
}

function checkRights({ isOwner }: Request, urgency: number, flags: number): void {
  if (!isOwner && flags & JobFlag.novalidate)
    throw new FluxError('EPERM', 'only the instance owner can submit with FLUX_JOB_NOVALIDATE');
  if (urgency < Urgency.min || urgency > Urgency.max)
    throw new FluxError('EINVAL', `urgency range is [${Urgency.min}:${Urgency.max}]`);
  if (!isOwner && urgency > Urgency.default)
    throw new FluxError('EINVAL', `only the instance owner can submit with urgency >${Urgency.default}`);
  if (!isOwner && flags & JobFlag.waitable)
    throw new FluxError('EINVAL', 'only the instance owner can submit with FLUX_JOB_WAITABLE');
}

function unwrap(request: Request, J: string): Buffer {
  const { payload, userid } = open(J);
  if (userid !== request.userid) throw new FluxError('EPERM', `signer=${userid} != requestor=${request.userid}`);
  if (!request.isOwner) throw new FluxError('EPERM', 'only instance owner can use sign-type=none');
  return payload;
}

function open(J: string): ReturnType<typeof unwrapUnsigned> {
  try {
    return unwrapUnsigned(J);
  } catch (error) {
    throw new FluxError(
      'EINVAL',
      `could not unwrap jobspec: ${strerror(errno.EINVAL)}: ${(error as FluxError).message}`,
    );
  }
}

/** The words for what is wrong are jansson's: clients know them. */
function readJobspec(bytes: Buffer): JsonValue {
  try {
    if (!isUtf8(bytes)) throw new FluxError('EINVAL', 'unable to decode bytes as UTF-8');
    const text = bytes.toString();
    if (!/^\s*[[{]/.test(text)) new JsonScanner(text).container();
    if (text.length > DEPTH_MAX && isTooDeep(text)) throw new FluxError('EINVAL', 'maximum parsing depth reached');
    return parse(text);
  } catch (error) {
    throw new FluxError('EINVAL', `jobspec: invalid JSON: ${(error as Error).message}`);
  }
}

function parse(text: string): JsonValue {
  try {
    return parseJson(text);
  } catch (error) {
    new JsonScanner(text).document();
    throw error;
  }
}
