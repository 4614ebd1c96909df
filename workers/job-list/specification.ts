/** What jobs' specifications and resources say of them (RFC 14, RFC 20), taken over into their records. */

import { FluxError } from '../../core/errno.ts';
import { countJobspec, type JobspecCounts, readDuration } from '../../core/formats/jobspec-resources.ts';
import { valueAt, withValueAt } from '../../core/formats/json-path.ts';
import { type JsonObject, type JsonValue, Real } from '../../core/json.ts';
import { isObject } from '../../core/message/unpack.ts';
import type { ActiveJob, Job } from './job.ts';
import { expirationOf, type ResourceSummaries } from './resource-summary.ts';
import type { StringPool } from './string-pool.ts';

/**
 * Takes over what a job's jobspec says.
 *
 * @throws FluxError EINVAL: what is wrong in it; what comes before that is taken over
 */
export function readJobspec(job: Job, active: ActiveJob, pool: StringPool): void {
  const { jobspec } = active;
  if (!jobspec) throw new FluxError('EINVAL', 'there is no jobspec');
  const system = valueAt(jobspec, 'attributes.system');
  if (!isObject(system)) throw new FluxError('EINVAL', 'the jobspec has no attributes.system');
  const text = (value: JsonValue | undefined) => (typeof value === 'string' ? pool.get(value) : undefined);
  job.name = pool.get(nameOf(jobspec, system));
  job.cwd = text(system.cwd);
  job.queue = text(system.queue);
  job.project = text(system.project) ?? job.project;
  job.bank = text(system.bank) ?? job.bank;
  job.duration = readDuration(jobspec);
  const counts = countJobspec(jobspec);
  readTasks(job, active, counts);
  if (active.hasResources) return;
  job.nnodes = counts.nodes || -1;
  // How many cores a whole node has is known when the job has it.
  job.ncores = counts.hasWholeNodes ? -1 : counts.cores;
}

/** A job is called by its program where it has no name. */
function nameOf(jobspec: JsonObject, system: JsonObject): string {
  const name = isObject(system.job) ? system.job.name : undefined;
  if (typeof name === 'string') return name;
  const { tasks } = jobspec;
  const [task] = Array.isArray(tasks) ? (tasks as readonly JsonValue[]) : [];
  const command = isObject(task) ? task.command : undefined;
  const [program] = Array.isArray(command) ? (command as readonly JsonValue[]) : [];
  if (typeof program !== 'string') throw new FluxError('EINVAL', 'the jobspec has no command');
  return program.slice(program.lastIndexOf('/') + 1) || program;
}

function readTasks(job: Job, active: ActiveJob, counts: JobspecCounts): void {
  const jobspec = active.jobspec!;
  active.tasksPerNode = 0;
  active.tasksPerCore = 0;
  const perResource = valueAt(jobspec, 'attributes.system.shell.options.per-resource');
  if (perResource !== undefined) {
    const { type, count = 1 } = isObject(perResource) ? perResource : {};
    if (typeof type !== 'string' || typeof count !== 'number' || !(count >= 1))
      throw new FluxError('EINVAL', 'invalid per-resource spec');
    if (type === 'node') {
      if (!counts.nodes) active.tasksPerNode = count;
      setTasks(job, active, counts.nodes ? counts.nodes * count : -1);
      return;
    }
    if (type === 'core') {
      if (counts.nodes) active.tasksPerCore = count;
      setTasks(job, active, counts.nodes ? -1 : counts.cores * count);
      return;
    }
  }
  const { tasks } = jobspec;
  const total =
    Array.isArray(tasks) && isObject(tasks[0]) && isObject(tasks[0].count) ? tasks[0].count.total : undefined;
  setTasks(job, active, typeof total === 'number' ? total : counts.slots);
}

/** A number that depends on the resources stays when they are known already. */
function setTasks(job: Job, active: ActiveJob, ntasks: number): void {
  if (ntasks >= 0 || !active.hasResources) job.ntasks = ntasks;
  countTasksOfResources(job, active);
}

function countTasksOfResources(job: Job, { hasResources, tasksPerNode, tasksPerCore }: ActiveJob): void {
  if (!hasResources) return;
  if (tasksPerNode) job.ntasks = job.nnodes * tasksPerNode;
  if (tasksPerCore) job.ntasks = job.ncores * tasksPerCore;
}

/**
 * Changes a job's jobspec by the context of an event `jobspec-update` (RFC 21): new values by paths.
 *
 * @throws FluxError EINVAL: a path that is none, or what is wrong in the jobspec that comes of it
 */
export function updateJobspec(job: Job, active: ActiveJob, updates: JsonObject, pool: StringPool): void {
  if (!active.jobspec) throw new FluxError('EINVAL', 'there is no jobspec to update');
  for (const [path, value] of Object.entries(updates)) {
    if (!/^(resources|tasks|attributes)(\.|$)/.test(path))
      throw new FluxError('EINVAL', `'${path}' is nothing of a jobspec that can be updated`);
    active.jobspec = withValueAt(active.jobspec, path, value!);
  }
  readJobspec(job, active, pool);
}

/**
 * Takes over what R says.
 *
 * @throws FluxError EINVAL: what is wrong in it
 */
export function readResources(
  job: Job,
  active: ActiveJob,
  R: JsonValue | undefined,
  summaries: ResourceSummaries,
  pool: StringPool,
): void {
  const { nnodes, ncores, ranks, nodelist } = summaries.get(R);
  job.expiration = expirationOf(R);
  job.nnodes = nnodes;
  job.ncores = ncores;
  job.ranks = pool.get(ranks);
  job.nodelist = nodelist && pool.get(nodelist);
  active.hasResources = true;
  countTasksOfResources(job, active);
}

/** Takes over a new expiration, all that an event `resource-update` changes (RFC 21). */
export function updateResources(job: Job, { expiration }: JsonObject): void {
  if (typeof expiration === 'number' || expiration instanceof Real) job.expiration = Math.max(Number(expiration), 0);
}
