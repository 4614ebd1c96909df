/** The fields of jobs that formats may name (flux-jobs(1)), and the attributes that each asks job-list for. */

import { type FluidForm, fluidForms } from '../core/formats/fluid.ts';
import type { FieldValue } from '../core/formats/python-format.ts';
import { encodePythonJson, reprJson } from '../core/formats/python-json.ts';
import { type JsonValue, Real, real } from '../core/json.ts';
import { resourceCounts } from './instance-info.ts';
import type { JobInfo } from './listed-job.ts';
import { type Field, OutputFormat } from './output-format.ts';
import type { SchedState } from './resource-inventory.ts';
import { localUri } from './uri-forms.ts';

interface JobField extends Field<JobInfo> {
  readonly attrs: readonly string[];
}

type Value = (job: JobInfo) => FieldValue;

function field(heading: string, attrs: string, value: Value): JobField {
  return { heading, attrs: attrs.split(' ').filter(Boolean), value };
}

/** An attribute that not every job has: empty where it is not there. */
function optional(heading: string, name: string): JobField {
  return field(heading, name, (job) => presentable(job.raw[name]));
}

function required(heading: string, name: string): JobField {
  return field(heading, name, (job) => presentable(job.required(name)));
}

const ZERO = real(0);

/** A time or a duration, 0.0 where there is none. */
function timed(heading: string, name: string, attrs = name): JobField {
  return field(heading, attrs, (job) => presentable(job.raw[name] ?? ZERO));
}

/** A value as a format takes it; what is no text and no number is shown as JSON, lists as Python has them. */
function presentable(value: JsonValue | undefined): FieldValue {
  if (value === undefined) return '';
  if (value === null) return 'None';
  if (typeof value !== 'object' || value instanceof Real) return value;
  if (Array.isArray(value)) return reprJson(value);
  return Object.keys(value).length ? encodePythonJson(value, true) : '';
}

const STATUS = 'state result';
const EXCEPTION = 'exception_occurred exception_severity exception_type exception_note';

const idFields = Object.fromEntries(
  fluidForms.map((form: FluidForm) => [`id.${form}`, field('JOBID', '', (job) => job.encodeId(form))]),
);

const countFields = Object.fromEntries(
  Object.entries({ all: '', up: 'UP', down: 'DOWN', allocated: 'USED', free: 'FREE' }).flatMap(([state, heading]) =>
    Object.keys(resourceCounts).map((count) => {
      const path = `resources.${state}.${count}`;
      return [`instance.${path}`, instance(heading || count.slice(1).toUpperCase(), path)];
    }),
  ),
);

const jobFields: Readonly<Record<string, JobField>> = {
  id: field('JOBID', '', ({ id }) => id),
  ...idFields,
  userid: required('UID', 'userid'),
  username: field('USER', 'userid', (job) => job.userName),
  urgency: required('URG', 'urgency'),
  priority: optional('PRI', 'priority'),
  state: field('STATE', 'state', (job) => job.state.name),
  state_single: field('S', 'state', (job) => job.state.abbreviation),
  state_emoji: field('STATE', 'state', (job) => job.state.emoji),
  name: optional('NAME', 'name'),
  cwd: optional('CWD', 'cwd'),
  queue: optional('QUEUE', 'queue'),
  project: optional('PROJECT', 'project'),
  bank: optional('BANK', 'bank'),
  ntasks: optional('NTASKS', 'ntasks'),
  ncores: optional('NCORES', 'ncores'),
  duration: timed('DURATION', 'duration'),
  nnodes: optional('NNODES', 'nnodes'),
  expiration: timed('EXPIRATION', 'expiration', `expiration ${STATUS}`),
  t_remaining: field('T_REMAINING', `expiration ${STATUS}`, (job) => real(job.remaining)),
  ranks: optional('RANKS', 'ranks'),
  nodelist: optional('NODELIST', 'nodelist'),
  success: optional('SUCCESS', 'success'),
  result: field('RESULT', 'result', (job) => job.result.name),
  result_abbrev: field('RS', 'result', (job) => job.result.abbreviation),
  result_emoji: field('RESULT', 'result', (job) => job.result.emoji),
  t_submit: required('T_SUBMIT', 't_submit'),
  t_depend: timed('T_DEPEND', 't_depend'),
  t_priority: timed('T_PRIORITY', 't_priority'),
  t_sched: timed('T_SCHED', 't_sched'),
  t_run: timed('T_RUN', 't_run'),
  t_cleanup: timed('T_CLEANUP', 't_cleanup'),
  t_inactive: timed('T_INACTIVE', 't_inactive'),
  runtime: field('RUNTIME', 't_run t_cleanup', (job) => real(job.runtime)),
  status: field('STATUS', STATUS, (job) => job.status.name),
  status_abbrev: field('ST', STATUS, (job) => job.status.abbreviation),
  status_emoji: field('STATUS', STATUS, (job) => job.status.emoji),
  waitstatus: optional('WSTATUS', 'waitstatus'),
  returncode: field('RC', 'waitstatus result', (job) => job.returncode),
  'exception.occurred': optional('EXCEPTION-OCCURRED', 'exception_occurred'),
  'exception.severity': optional('EXCEPTION-SEVERITY', 'exception_severity'),
  'exception.type': optional('EXCEPTION-TYPE', 'exception_type'),
  'exception.note': optional('EXCEPTION-NOTE', 'exception_note'),
  annotations: optional('ANNOTATIONS', 'annotations'),
  dependencies: field('DEPENDENCIES', 'dependencies', (job) => job.dependencies.join(',')),
  contextual_info: field(
    'INFO',
    'state dependencies annotations nodelist priority urgency',
    (job) => job.contextualInfo,
  ),
  contextual_time: field('TIME', 'state t_run t_cleanup duration', (job) => real(job.contextualTime)),
  inactive_reason: field('INACTIVE-REASON', `${STATUS} waitstatus ${EXCEPTION}`, (job) => job.inactiveReason),
  'annotations.sched.t_estimate': annotated('T_ESTIMATE', 'sched.t_estimate'),
  'annotations.sched.reason_pending': annotated('REASON', 'sched.reason_pending'),
  'annotations.sched.resource_summary': annotated('RESOURCES', 'sched.resource_summary'),
  sched: annotated('SCHED', 'sched'),
  'sched.t_estimate': annotated('T_ESTIMATE', 'sched.t_estimate'),
  'sched.reason_pending': annotated('REASON', 'sched.reason_pending'),
  'sched.resource_summary': annotated('RESOURCES', 'sched.resource_summary'),
  user: annotated('USER', 'user'),
  uri: field('URI', 'annotations', ({ uri }) => uri ?? 'None'),
  'uri.local': field('URI', 'annotations', ({ uri }) => uri && localUri(uri)),
  'instance.stats.total': instance('NJOBS', 'stats.total'),
  'instance.utilization': instance('CORE%', 'utilization'),
  'instance.gpu_utilization': instance('GPU%', 'gpu_utilization'),
  'instance.progress': instance('PROG', 'progress'),
  ...countFields,
};

// ---- what schedulers, users and instances tell

function annotated(heading: string, path: string): JobField {
  const keys = path.split('.');
  return field(heading, 'annotations', (job) => {
    const value = job.annotation(keys);
    return value === undefined ? undefined : presentable(value);
  });
}

function instance(heading: string, path: string): JobField {
  const [group = '', name = '', count = ''] = path.split('.');
  return field(heading, `annotations ${STATUS}`, (job) => instanceValue(job, group, name, count));
}

/** A part of the whole as a real; empty where the whole is nothing. */
function ratio(part: number, whole: number): FieldValue {
  return whole ? real(part / whole) : '';
}

/** Empty where there is no instance, or no such thing. */
function instanceValue({ instance: info }: JobInfo, group: string, name: string, count: string): FieldValue {
  if (!info) return ['utilization', 'gpu_utilization', 'progress'].includes(group) ? '' : undefined;
  const { stats, resources } = info;
  switch (group) {
    case 'stats': {
      const { pending, running, successful, failed } = stats;
      if (name === '') return `PD:${pending} R:${running} CD:${successful} F:${failed}`;
      return Object.hasOwn(stats, name) ? stats[name as keyof typeof stats] : undefined;
    }
    case 'resources': {
      if (!['all', 'up', 'down', 'allocated', 'free'].includes(name)) return undefined;
      const set = resources[name as SchedState];
      if (count === 'nodelist') return set.nodelist?.encode() ?? '';
      return count === 'ranks' ? set.ranks.encode() : resourceCounts[count]?.(set);
    }
    case 'utilization':
      return ratio(resources.allocated.count('core'), resources.all.count('core'));
    case 'gpu_utilization':
      return ratio(resources.allocated.count('gpu'), resources.all.count('gpu'));
    case 'progress':
      return ratio(stats.inactive, stats.total);
    default:
      return undefined;
  }
}

/** A field that only some jobs know of: `annotations.user.foo`. */
function findField(name: string): JobField | undefined {
  const path = name.slice(name.indexOf('.') + 1);
  if (/^annotations\../.test(name)) return annotated(path.toUpperCase(), path);
  if (/^(sched|user)\../.test(name)) return annotated(name.toUpperCase(), name);
  if (/^instance\../.test(name)) return instance(path.toUpperCase().replace(/^RESOURCES\./, ''), path);
  return undefined;
}

/**
 * A format of jobs.
 *
 * @throws FluxError EINVAL: what is wrong with it
 */
export function jobFormat(format: string): OutputFormat<JobInfo> {
  return new OutputFormat(format, jobFields, findField);
}

/** The attributes that job-list is to tell for these fields. */
export function attributesOf(names: Iterable<string>): string[] {
  const attrs = new Set<string>();
  for (const name of names)
    for (const attr of (Object.hasOwn(jobFields, name) ? jobFields[name] : findField(name))?.attrs ?? [])
      attrs.add(attr);
  return [...attrs];
}

/** Whether instances need to be asked for these fields. */
export function needInstances(names: Iterable<string>): boolean {
  return [...names].some((name) => name.startsWith('instance.'));
}
