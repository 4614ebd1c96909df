/** Jobs as `flux jobs --json` prints them: what is unset is left out. */

import { type JsonObject, type JsonValue, type Real, real } from '../core/json.ts';
import { isObject } from '../core/message/unpack.ts';
import type { JobInfo } from './listed-job.ts';

const reals = ['t_depend', 't_priority', 't_sched', 't_run', 't_cleanup', 't_inactive', 'duration', 'expiration'];
const plain = [
  ...['name', 'cwd', 'queue', 'project', 'bank', 'ntasks', 'ncores', 'nnodes', 'priority', 'ranks', 'nodelist'],
  ...['success'],
];

/** A job as a JSON object; its keys are those of the fields, and `jobid` is the id in base 58. */
export function jobToJson(job: JobInfo): JsonObject {
  const { raw } = job;
  const known = <T>(value: () => T): T | undefined => (raw.state === undefined ? undefined : value());
  const result: Record<string, JsonValue | undefined> = {};
  for (const name of reals) result[name] = real(job.number(name));
  for (const name of plain) result[name] = raw[name];
  result.result = job.result.name;
  result.waitstatus = raw.waitstatus;
  result.id = job.id.value;
  result.t_submit = raw.t_submit;
  result.t_remaining = real(job.remaining);
  result.state = known(() => job.state.name);
  result.username = raw.userid === undefined ? undefined : job.userName;
  result.userid = raw.userid;
  result.urgency = raw.urgency;
  result.runtime = real(job.runtime);
  result.status = known(() => job.status.name);
  result.returncode = job.returncode;
  result.dependencies = job.dependencies;
  result.jobid = job.encodeId('f58');
  result.annotations = ownAnnotations(job);
  result.exception = exception(raw);
  result.uri = job.uri;
  for (const [name, value] of Object.entries(result)) if (isUnset(name, value)) delete result[name];
  return result;
}

function isUnset(name: string, value: JsonValue | undefined): boolean {
  if (value === undefined || value === '') return true;
  const isTime = name.startsWith('t_') || name === 'runtime' || name === 'expiration';
  return isTime && Number(value as number | Real) === 0;
}

/** The annotations without the URI, which has a key of its own. */
function ownAnnotations({ raw, uri }: JobInfo): JsonObject {
  const annotations = isObject(raw.annotations) ? raw.annotations : {};
  if (uri === undefined || !isObject(annotations.user)) return annotations;
  const { uri: _, ...user } = annotations.user;
  return { ...annotations, user: Object.keys(user).length ? user : undefined };
}

function exception(raw: JsonObject): JsonObject {
  if (!raw.exception_occurred) return { occurred: false };
  const { exception_severity: severity = '', exception_type: type = '', exception_note: note = '' } = raw;
  return { occurred: raw.exception_occurred, severity, type, note };
}
