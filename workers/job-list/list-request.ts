/** The payloads of requests for jobs (RFC 43), with errors in the words of Flux's own service. */

import { FluxError } from '../../core/errno.ts';
import { jsonTypeName } from '../../core/formats/jansson.ts';
import { JobState } from '../../core/formats/job-state.ts';
import { type JsonObject, type JsonValue, Real } from '../../core/json.ts';
import { USERID_UNKNOWN } from '../../core/message/credentials.ts';
import { isObject } from '../../core/message/unpack.ts';
import { type JobWriter, jobWriter } from './attributes.ts';
import { type ConstraintLimits, compileConstraint } from './constraint.ts';
import type { ListQuery } from './listing.ts';

/** Jobs in one response of a stream. */
const BATCH_MAX = 1000;

type Attrs = readonly JsonValue[];

/** Reads members of a payload. */
class Reader {
  readonly #members: JsonObject;

  constructor(payload: JsonValue | undefined) {
    if (!isObject(payload)) throw invalid(`Expected object, got ${jsonTypeName(payload)}`);
    this.#members = payload;
  }

  get(name: string): JsonValue | undefined {
    return Object.hasOwn(this.#members, name) ? this.#members[name] : undefined;
  }

  required(name: string): JsonValue {
    const value = this.get(name);
    if (value === undefined) throw invalid(`Object item not found: ${name}`);
    return value;
  }

  integer(name: string): number {
    const value = this.required(name);
    if (!Number.isInteger(value)) throw invalid(`Expected integer, got ${jsonTypeName(value)}`);
    return value as number;
  }

  /** A number of any kind; 0 when it is not there. */
  number(name: string): number {
    const value = this.get(name) ?? 0;
    if (typeof value !== 'number' && !(value instanceof Real))
      throw invalid(`Expected real or integer, got ${jsonTypeName(value)}`);
    return Number(value);
  }

  attrs(): Attrs {
    const attrs = this.required('attrs');
    if (!Array.isArray(attrs)) throw invalid('attrs must be an array');
    return attrs;
  }
}

/**
 * Reads the payload of `list`.
 *
 * @param userid whose jobs alone may be told of; undefined: those of all
 * @throws FluxError EPROTO, EINVAL: what is wrong in it
 */
export function listQuery(
  payload: JsonValue | undefined,
  userid: number | undefined,
  limits: ConstraintLimits,
): ListQuery {
  const reader = new Reader(payload);
  const entriesMax = reader.integer('max_entries');
  reader.required('attrs');
  const since = reader.number('since');
  if (entriesMax < 0) throw invalid('max_entries < 0 not allowed');
  if (since < 0) throw invalid('since < 0.0 not allowed');
  const attrs = reader.attrs();
  const named = reader.get('constraint');
  const constraint = ofUser(named === undefined ? legacyConstraint(reader) : named, userid);
  return {
    constraint: compiled(constraint, limits),
    write: jobWriter(attrs),
    entriesMax,
    since,
    batch: batchOf(reader),
  };
}

/** Clients of flux-core expect one job in each response; who takes more says how many. */
function batchOf(reader: Reader): number {
  const batch = reader.get('batch') === undefined ? 1 : reader.integer('batch');
  if (batch < 1 || batch > BATCH_MAX) throw invalid(`batch must be from 1 to ${BATCH_MAX}`);
  return batch;
}

function ofUser(constraint: JsonValue, userid: number | undefined): JsonValue {
  return userid === undefined ? constraint : { and: [constraint, { userid: [userid] }] };
}

function compiled(constraint: JsonValue, limits: ConstraintLimits): ListQuery['constraint'] {
  try {
    return compileConstraint(constraint, limits);
  } catch (cause) {
    throw invalid(`constraint object invalid: ${(cause as Error).message}`, cause);
  }
}

/** Before there were constraints, requests had members of their own. */
function legacyConstraint(reader: Reader): JsonObject {
  const [userid, states, results] = ['userid', 'states', 'results'].map((name) => reader.get(name));
  if (![userid, states, results].every((value) => Number.isInteger(value))) return {};
  const all: JsonObject[] = [];
  if (userid !== -1 && userid !== USERID_UNKNOWN) all.push({ userid: [userid!] });
  for (const name of ['name', 'queue']) {
    const value = reader.get(name);
    if (value === undefined) continue;
    if (typeof value !== 'string') return {};
    all.push({ [name]: [value] });
  }
  if (states) all.push({ states: [states] });
  if (results) all.push({ results: [results] });
  return { and: all };
}

export interface IdQuery {
  readonly id: bigint;
  readonly write: JobWriter;
  /** States, as bits, one of which the job is to have been in; 0: any. */
  readonly states: number;
}

/**
 * Reads the payload of `list-id`.
 *
 * @throws FluxError EPROTO, EINVAL: what is wrong in it
 */
export function idQuery(payload: JsonValue | undefined): IdQuery {
  const reader = new Reader(payload);
  const id = reader.required('id');
  if (typeof id !== 'bigint' && !Number.isInteger(id)) throw invalid(`Expected integer, got ${jsonTypeName(id)}`);
  reader.required('attrs');
  const states = reader.get('state') === undefined ? 0 : reader.integer('state');
  const attrs = reader.attrs();
  if (states & ~(JobState.active | JobState.inactive)) throw invalid('invalid state specified');
  return { id: BigInt.asUintN(64, BigInt(id as number | bigint)), write: jobWriter(attrs), states };
}

function invalid(fault: string, cause?: unknown): FluxError {
  return new FluxError('EPROTO', `invalid payload: ${fault}`, { cause });
}
