/** Dependencies on another job of the same user: that it has started, or how it ends (RFC 26). */

import { FluxError } from '../../../core/errno.ts';
import { parseFluid } from '../../../core/formats/fluid.ts';
import { JobResult, JobState } from '../../../core/formats/job-state.ts';
import type { JsonObject } from '../../../core/json.ts';
import { SetMap } from '../../../core/set-map.ts';
import type { ActiveJob, JobRecord } from '../job.ts';
import type { JobtapContext, JobtapHooks, JobtapPlugin } from '../plugin.ts';
import { isDone } from './dependency.ts';

/** What a job can wait for. */
interface Kind {
  /** In front of the job's id in the description of the dependency. */
  readonly name: string;
  /** Whether a job that has run, and is over, is what was waited for. */
  readonly isMet: (target: JobRecord) => boolean;
  /** Why a job that is over can't be. */
  readonly refusal: (id: string) => string;
}

const start: Kind = {
  name: 'after-start',
  isMet: (target) => target.hasEvent('start'),
  refusal: neverStarted,
};
const finish: Kind = {
  name: 'after-finish',
  isMet: () => true,
  refusal: neverStarted,
};
const success: Kind = {
  name: 'after-success',
  isMet: (target) => target.result === JobResult.completed,
  refusal: (id) => `dependency: afterok: job ${id} failed or was canceled`,
};
const failure: Kind = {
  name: 'after-failure',
  isMet: (target) => target.result !== JobResult.completed,
  refusal: (id) => `dependency: afternotok: job ${id} succeeded`,
};
const except: Kind = {
  name: 'after-except',
  isMet: (target) => target.endedByException,
  refusal: (id) => `dependency: afterexcept: job ${id}: no exception`,
};

const kinds: Readonly<Record<string, Kind>> = {
  after: start,
  afterstart: start,
  afterany: finish,
  afterok: success,
  afternotok: failure,
  afterexcept: except,
};

function neverStarted(id: string): string {
  return `dependency: after: ${id} never started`;
}

/** Whether a job has had resources: what never ran says nothing but that it is over. */
function hasRun(target: JobRecord): boolean {
  return target.hasEvent('alloc');
}

/** A job that waits for another one. */
interface Wait {
  readonly job: ActiveJob;
  readonly target: ActiveJob;
  readonly kind: Kind;
  readonly description: string;
}

/** Who waits for whom. */
class Waits {
  readonly #all = new Set<Wait>();
  readonly #byTarget = new SetMap<ActiveJob, Wait>();
  readonly #byJob = new SetMap<ActiveJob, Wait>();

  add(wait: Wait): void {
    this.#all.add(wait);
    this.#byTarget.add(wait.target, wait);
    this.#byJob.add(wait.job, wait);
  }

  remove(wait: Wait): void {
    this.#all.delete(wait);
    this.#byTarget.delete(wait.target, wait);
    this.#byJob.delete(wait.job, wait);
  }

  /** Those for a job to start, or end. */
  of(target: ActiveJob): Wait[] {
    return this.#byTarget.of(target);
  }

  /** This one waits no more. */
  forget(job: ActiveJob): void {
    for (const wait of this.#byJob.of(job)) this.remove(wait);
  }

  toJSON(): JsonObject[] {
    return Array.from(this.#all, ({ target, job, kind, description }) => ({
      id: target.id,
      depid: job.id,
      type: kind.name,
      description,
    }));
  }
}

export const dependencyAfter: JobtapPlugin = {
  name: '.dependency-after',
  start(context) {
    const waits = new Waits();
    const depend = (job: ActiveJob, dependency: JsonObject) => addWait(context, waits, job, dependency);

    return {
      dependency: Object.fromEntries(Object.keys(kinds).map((scheme) => [scheme, depend])),
      state: {
        priority(job) {
          waits.forget(job);
          return undefined;
        },
        inactive(job) {
          for (const wait of waits.of(job)) {
            waits.remove(wait);
            settle(context, wait);
          }
          waits.forget(job);
          return undefined;
        },
      },
      event: {
        start(job) {
          for (const wait of waits.of(job)) {
            if (wait.kind !== start) continue;
            waits.remove(wait);
            context.removeDependency(wait.job, wait.description);
          }
          context.unsubscribe(job);
        },
      },
      destroy: (job) => waits.forget(job),
      query: () => ({ dependencies: waits.toJSON() }),
    } satisfies JobtapHooks;
  },
};

/** Lets a job depend on another one, or finds at once that it need not. */
function addWait(context: JobtapContext, waits: Waits, job: ActiveJob, dependency: JsonObject): void {
  const { scheme, value } = dependency;
  if (typeof scheme !== 'string' || typeof value !== 'string' || !Object.hasOwn(kinds, scheme))
    throw new FluxError('EINVAL', 'dependency: after: scheme and value must be strings');
  const kind = kinds[scheme]!;
  const description = `${kind.name}=${value}`;
  if (isDone(job, description)) return;
  if (scheme === 'after' && job.state === JobState.new)
    context.raise(job, 'dependency', 3, "dependency scheme 'after' is deprecated, use 'afterstart'");
  const target = findTarget(context, job, scheme, value);

  context.addDependency(job, description);
  if (target.state === JobState.inactive) {
    if (kind !== finish && !hasRun(target)) refuse(context, job, neverStarted(value));
    else if (!kind.isMet(target)) refuse(context, job, kind.refusal(value));
    else context.removeDependency(job, description);
    return;
  }
  if (kind === start && target.hasEvent('start')) {
    context.removeDependency(job, description);
    return;
  }
  const active = context.active(target.id)!;
  waits.add({ job, target: active, kind, description });
  if (kind === start) context.subscribe(active);
}

/** It can't be met. Of a job that is back after a restart nobody waits to hear that. */
function refuse(context: JobtapContext, job: ActiveJob, why: string): void {
  if (job.state === JobState.new) throw new FluxError('EINVAL', why);
  context.raise(job, 'dependency', 0, why);
}

/** The job of that id, which must be the same user's. */
function findTarget(context: JobtapContext, job: ActiveJob, scheme: string, text: string): JobRecord {
  const id = parseTarget(scheme, text);
  const target = context.active(id) ?? context.lookup(id);
  if (!target) throw new FluxError('EINVAL', `dependency: ${scheme}: id ${text}: job not found`);
  if (target.userid !== job.userid) throw new FluxError('EINVAL', `${scheme}: Permission denied for job ${text}`);
  if (target.id === job.id) throw new FluxError('EINVAL', `dependency: ${scheme}: job ${text} can't wait for itself`);
  return target;
}

function parseTarget(scheme: string, text: string): bigint {
  try {
    const id = parseFluid(text);
    if (id !== 0n) return id;
  } catch {}
  throw new FluxError('EINVAL', `dependency: ${scheme}: "${text}" is not a valid jobid`);
}

/** The job that was waited for is over: who waits may go on, or never will. */
function settle(context: JobtapContext, { job, target, kind, description }: Wait): void {
  if (kind === finish || (hasRun(target) && kind !== start && kind.isMet(target))) {
    context.removeDependency(job, description);
    return;
  }
  const why = hasRun(target) ? 'can never be satisfied' : 'job never started';
  context.raise(job, 'dependency', 0, `dependency ${description} ${why}`);
}
