/** What plugins of the job manager are asked and told, in the order in which they were loaded. */

import { asFluxError, FluxError } from '../../core/errno.ts';
import type { EventlogEntry } from '../../core/formats/eventlog.ts';
import { encodeFluid } from '../../core/formats/fluid.ts';
import { withValueAt } from '../../core/formats/json-path.ts';
import type { Methods, Reply, Request } from '../../core/handle/methods.ts';
import type { JsonObject, JsonValue } from '../../core/json.ts';
import { isObject } from '../../core/message/unpack.ts';
import { type InactiveJob, type Job, type StateName, systemAttribute } from './job.ts';
import type { JobtapHost } from './jobtap-context.ts';
import type { JobtapPlugins, LoadedPlugin } from './jobtap-plugins.ts';
import {
  type JobChanges,
  type JobtapHooks,
  type JobtapPlugin,
  PRIORITY_UNAVAILABLE,
  type UpdateRequest,
  type UpdateVerdict,
} from './plugin.ts';
import { annotate, stateName } from './state-machine.ts';

const DEPENDENCY_SEVERITY = 4;
const stateOrder: readonly StateName[] = ['new', 'depend', 'priority', 'sched', 'run', 'cleanup', 'inactive'];

export class Jobtap {
  readonly #host: JobtapHost;
  readonly plugins: JobtapPlugins;
  #stateHooks = new Map<StateName, NonNullable<NonNullable<JobtapHooks['state']>['*']>[]>();

  readonly methods: Methods = {
    jobtap: { handler: (request) => this.#request(request) },
    'jobtap-query': {
      handler: ({ payload }) => {
        if (!isObject(payload) || typeof payload.name !== 'string') throw new FluxError('EINVAL', 'Protocol error');
        return this.plugins.query(payload.name);
      },
    },
  };

  constructor(host: JobtapHost, plugins: JobtapPlugins) {
    this.#host = host;
    this.plugins = plugins;
    plugins.onChange = () => this.#changed();
  }

  // ---- loading

  async #request(request: Request): Promise<Reply> {
    const { load, conf, remove, query_only } = request.unpack({
      load: 's?',
      conf: '*?',
      remove: 's?',
      query_only: 'b?',
    });
    if (query_only) return { plugins: this.plugins.names };
    if (remove !== undefined) this.plugins.remove(remove);
    if (load !== undefined) await this.load(load, conf);
    return undefined;
  }

  /**
   * Loads a plugin and tells it of all active jobs.
   *
   * @throws FluxError ENOENT: there is none; EEXIST: it is loaded; EINVAL: `conf` is no object; what it throws itself
   */
  async load(path: string, conf: JsonValue = null): Promise<void> {
    if (conf !== null && !isObject(conf)) throw new FluxError('EINVAL', 'jobptap: plugin conf must be a JSON object');
    const plugin = await this.plugins.find(path);
    const isFile = path.includes('/');
    const name = isFile ? path.slice(path.lastIndexOf('/') + 1) : path;
    const loaded = this.plugins.start(plugin, name, conf ?? {}, isFile ? path : undefined);
    this.#introduce(loaded, plugin.order);
    this.#host.priorities.setAll();
  }

  #introduce({ hooks, context, name }: LoadedPlugin, order: JobtapPlugin['order']): void {
    for (const job of sorted([...this.#host.jobs.active.values()], order)) {
      this.plugins.guard(name, 'job.create', () => hooks.create?.(job));
      this.plugins.guard(name, 'job.new', () => {
        const changes = context.within(job, () => hooks.new?.(job));
        if (changes) this.#change(job, changes, 'job.new');
      });
      if (stateName(job.state) !== 'depend') continue;
      for (const dependency of dependenciesOf(job)) {
        const hook = handlerOf(hooks.dependency, String(dependency.scheme));
        if (hook) this.plugins.guard(name, 'job.dependency', () => context.within(job, () => hook(job, dependency)));
      }
      const hook = handlerOf(hooks.state, 'depend');
      const entry = job.eventlog.at(-1);
      if (hook && entry)
        this.plugins.guard(name, 'job.state.depend', () =>
          context.within(job, () => hook(job, { entry, previous: job.state })),
        );
    }
  }

  #changed(): void {
    this.#stateHooks = new Map();
    for (const state of stateOrder)
      this.#stateHooks.set(
        state,
        this.plugins.loaded.flatMap(({ name, hooks, context }) => {
          const hook = handlerOf(hooks.state, state);
          if (!hook) return [];
          return [
            (job, change) =>
              this.plugins.guard(name, `job.state.${state}`, () => context.within(job as Job, () => hook(job, change))),
          ];
        }),
      );
  }

  // ---- a job is submitted

  /** @throws FluxError what a plugin refuses it with */
  create(job: Job): void {
    for (const { hooks, context } of this.plugins.loaded)
      if (hooks.create) context.within(job, () => hooks.create!(job));
  }

  /** @throws FluxError what a plugin refuses it with */
  validate(job: Job, jobspec: JsonObject): void {
    for (const { hooks, context } of this.plugins.loaded)
      if (hooks.validate) context.within(job, () => hooks.validate!(job, jobspec));
  }

  /** @throws FluxError EINVAL: no plugin knows a dependency's scheme, or what one refuses it with */
  checkDependencies(job: Job): void {
    for (const dependency of dependenciesOf(job)) this.#checkDependency(job, dependency);
  }

  #checkDependency(job: Job, dependency: JsonObject): void {
    const scheme = String(dependency.scheme);
    let isKnown = false;
    for (const { hooks, context } of this.plugins.loaded) {
      const hook = handlerOf(hooks.dependency, scheme);
      if (!hook) continue;
      isKnown = true;
      context.within(job, () => hook(job, dependency));
    }
    if (!isKnown) throw new FluxError('EINVAL', `dependency scheme "${scheme}" not supported`);
  }

  accepted(job: Job): void {
    for (const { name, hooks, context } of this.plugins.loaded) {
      if (!hooks.new) continue;
      const changes = this.plugins.guard(name, 'job.new', () => context.within(job, () => hooks.new!(job)));
      if (changes) this.#change(job, changes, 'job.new');
    }
  }

  /** A job is back after a restart. What is wrong with its dependencies is an exception that does not end it. */
  restored(job: Job): void {
    if (['new', 'depend'].includes(stateName(job.state))) this.#restoreDependencies(job);
    for (const { name, hooks, context } of this.plugins.loaded)
      if (hooks.create) this.plugins.guard(name, 'job.create', () => context.within(job, () => hooks.create!(job)));
    this.accepted(job);
  }

  #restoreDependencies(job: Job): void {
    const raise = (error: unknown) =>
      this.#host.exceptions.raise(job, {
        type: 'dependency',
        severity: DEPENDENCY_SEVERITY,
        userid: this.#host.owner,
        note: `${asFluxError(error).message} (job may be stuck in DEPEND state)`,
      });
    try {
      for (const dependency of dependenciesOf(job)) {
        try {
          this.#checkDependency(job, dependency);
        } catch (error) {
          raise(error);
        }
      }
    } catch (error) {
      this.#host.context.log(
        'err',
        `restart: id=${encodeFluid(job.id)}: dependency check failed: ${asFluxError(error).message}`,
      );
    }
  }

  // ---- something happens to a job

  /** An event was applied; `previous` is the state before. */
  applied(job: Job, entry: EventlogEntry, previous: number): void {
    if (job.subscribers) this.#tellSubscribers(job, entry);
    if (entry.name === 'jobspec-update')
      for (const { name, hooks, context } of this.plugins.loaded)
        if (hooks.update)
          this.plugins.guard(name, 'job.update', () =>
            context.within(job, () => hooks.update!(job, entry.context ?? {})),
          );
    if (job.state !== previous) this.#stateChanged(job, entry, previous);
  }

  #tellSubscribers(job: Job, entry: EventlogEntry): void {
    for (const { name, hooks, context } of this.plugins.loaded) {
      const hook = job.subscribers!.includes(context) ? handlerOf(hooks.event, entry.name) : undefined;
      if (hook) this.plugins.guard(name, `job.event.${entry.name}`, () => context.within(job, () => hook(job, entry)));
      if (!job.subscribers) return;
    }
  }

  /** What several plugins want is one change, in which later ones prevail. */
  #stateChanged(job: Job, entry: EventlogEntry, previous: number): void {
    const state = stateName(job.state);
    let changes: JobChanges | undefined;
    for (const hook of this.#stateHooks.get(state)!) {
      const more = hook(job, { entry, previous });
      if (more) changes = { ...changes, ...more };
    }
    if (changes) this.#change(job, changes, `job.state.${state}`);
  }

  #change(job: Job, { priority, annotations, R }: JobChanges, topic: string): void {
    if (R) {
      if (topic !== 'job.state.sched' || job.R)
        this.#host.context.log(
          'err',
          `jobtap: ${topic}: ${encodeFluid(job.id)}: R ${job.R ? 'is already set' : 'may only be set in SCHED state'}`,
        );
      else job.R = R;
    }
    // Before its first event has told of a job nobody is to hear of its annotations.
    if (annotations && topic === 'job.new') annotate(job, annotations);
    else if (annotations) this.#host.annotations.update(job, annotations);
    if (typeof priority === 'number' && priority >= 0) this.#host.priorities.set(job, priority);
  }

  /** What plugins say a job's priority is; undefined when none says anything, or it is to stay. */
  priorityOf(job: Job): number | undefined {
    let priority: number | typeof PRIORITY_UNAVAILABLE | undefined;
    for (const { name, hooks, context } of this.plugins.loaded) {
      if (!hooks.priority) continue;
      priority =
        this.plugins.guard(name, 'job.priority.get', () => context.within(job, () => hooks.priority!(job))) ?? priority;
    }
    if (priority !== PRIORITY_UNAVAILABLE) return priority;
    if (stateName(job.state) === 'sched')
      this.#host.context.log('err', `jobtap: ${encodeFluid(job.id)}: BUG: plugin didn't return priority`);
    return undefined;
  }

  // ---- updates

  /** @throws FluxError EINVAL: no plugin takes it, or what one refuses it with */
  checkUpdate(job: Job, request: UpdateRequest): UpdateVerdict {
    let verdict: UpdateVerdict | undefined;
    for (const { hooks, context } of this.plugins.loaded) {
      const hook = handlerOf(hooks.updates, request.key);
      if (!hook) continue;
      try {
        verdict = { ...verdict, ...context.within(job, () => hook(job, request)) };
      } catch (error) {
        throw refusal(error, 'update rejected by job-manager plugin');
      }
    }
    if (!verdict) throw new FluxError('EINVAL', `update of ${request.key} not supported`);
    return verdict;
  }

  /** @throws FluxError EINVAL: a plugin would not have the job so */
  validateUpdates(job: Job, updates: JsonObject): void {
    let { jobspec } = job;
    for (const [path, value] of Object.entries(updates)) jobspec = withValueAt(jobspec, path, value!);
    try {
      this.validate(job, jobspec);
    } catch (error) {
      throw refusal(error, 'rejected by job-manager plugin');
    }
  }

  // ---- the end of a job

  destroy(job: Job): void {
    for (const { name, hooks, context } of this.plugins.loaded) {
      this.plugins.guard(name, 'job.destroy', () => hooks.destroy?.(job));
      if (job.subscribers) context.unsubscribe(job);
    }
  }

  inactiveAdded(job: InactiveJob): void {
    for (const { name, hooks } of this.plugins.loaded)
      this.plugins.guard(name, 'job.inactive-add', () => hooks.inactiveAdd?.(job));
  }

  inactiveRemoved(job: InactiveJob): void {
    for (const { name, hooks } of this.plugins.loaded)
      this.plugins.guard(name, 'job.inactive-remove', () => hooks.inactiveRemove?.(job));
  }
}

function refusal(error: unknown, otherwise: string): FluxError {
  return new FluxError('EINVAL', error instanceof FluxError ? error.message : otherwise, { cause: error });
}

/** The entry of a table by its name, or that for every other name. */
function handlerOf<T>(table: Readonly<Record<string, T>> | undefined, name: string): T | undefined {
  if (!table) return undefined;
  return Object.hasOwn(table, name) ? table[name] : Object.hasOwn(table, '*') ? table['*'] : undefined;
}

/** @throws FluxError EINVAL: they are not what a jobspec may have */
function dependenciesOf({ jobspec }: Job): JsonObject[] {
  const dependencies = systemAttribute(jobspec, 'dependencies');
  if (dependencies === undefined) return [];
  if (!Array.isArray(dependencies)) throw new FluxError('EINVAL', 'dependencies object must be an array');
  return (dependencies as readonly JsonValue[]).map((dependency, index) => {
    if (!isObject(dependency) || typeof dependency.scheme !== 'string')
      throw new FluxError('EINVAL', `dependency[${index}] missing string scheme`);
    return dependency;
  });
}

function sorted(jobs: Job[], order: JobtapPlugin['order']): Job[] {
  const sign = order === '-state' ? -1 : order === 'state' ? 1 : 0;
  return jobs.sort((a, b) => sign * (a.state - b.state) || (a.id < b.id ? -1 : 1));
}
