/** One instance as `flux top` follows it: asks for what the screen shows, and does what keys say. */

import { about, asFluxError, FluxError } from '../core/errno.ts';
import { compileConstraint } from '../core/formats/constraint.ts';
import { JobState } from '../core/formats/job-state.ts';
import type { ResourceSet } from '../core/formats/resource-set.ts';
import { Handle } from '../core/handle/handle.ts';
import { Kvs, PRIMARY_NAMESPACE } from '../core/handle/kvs.ts';
import type { JsonObject, JsonValue } from '../core/json.ts';
import { isObject } from '../core/message/unpack.ts';
import { resourceCounts } from './instance-info.ts';
import { readJobStats } from './job-stats.ts';
import { JobInfo } from './listed-job.ts';
import { fetchSchedResources, type SchedResources } from './resource-inventory.ts';
import type { Key } from './top-keys.ts';
import type { ResourceCount, TopState } from './top-screen.ts';

/** Seconds for which jobs are not asked for again after something has happened to some. */
const JOBS_DELAY = 2;
/** Seconds for which a heart is shown. */
const HEART_DURATION = 0.5;
const JOBS_MAX = 59;
const ATTRS = ['annotations', 'userid', 'state', 'name', 'queue', 'nnodes', 'ntasks', 't_run'];

const none: ResourceCount = { total: 0, used: 0, down: 0 };

export interface ViewOptions {
  readonly uri?: string | undefined;
  /** The path of the instance; its own job id when absent. */
  readonly title?: string;
  readonly queue?: string | undefined;
  /** Called whenever something else is to be shown. */
  readonly changed: () => void;
  /** Called when the instance is not there any more, or cannot be followed. */
  readonly lost: (error: FluxError) => void;
}

export class TopView {
  readonly #handle: Handle;
  readonly #options: ViewOptions;
  readonly #config: JsonObject;
  /** Undefined stands for all queues. */
  readonly #queues: readonly (string | undefined)[];
  readonly #timers = new Set<NodeJS.Timeout>();
  #state: TopState;
  #stats: JsonObject | undefined;
  #resources: SchedResources | undefined;
  #allJobs: readonly JobInfo[] | undefined;
  #isAsking = false;
  #areJobsDue = false;
  #isClosed = false;
  readonly #awaited = new Set(['stats', 'resources', 'jobs']);
  #allShown: () => void = () => {};
  /** Resolves once there is something of everything to show. */
  readonly shown = new Promise<void>((resolve) => {
    this.#allShown = resolve;
  });

  private constructor(handle: Handle, options: ViewOptions, config: JsonObject, state: TopState) {
    this.#handle = handle;
    this.#options = options;
    this.#config = config;
    this.#queues = [undefined, ...Object.keys(queuesOf(config))];
    this.#state = state;
  }

  /** Begins to follow an instance; rejects with a FluxError: it cannot be reached, or there is no such queue. */
  static async open(options: ViewOptions): Promise<TopView> {
    const handle = await Handle.open(options.uri).catch((error: unknown) => {
      throw about('error connecting to Flux', error);
    });
    try {
      const config = await handle.rpc<JsonObject>('config.get');
      const { queue } = options;
      if (queue !== undefined && !Object.hasOwn(queuesOf(config), queue))
        throw new FluxError('EINVAL', `queue ${queue} not configured`);
      const view = new TopView(handle, options, config, await initialState(handle, options, config));
      view.#follow();
      return view;
    } catch (error) {
      await handle.close();
      throw error;
    }
  }

  get state(): TopState {
    return this.#state;
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    for (const timer of this.#timers) clearTimeout(timer);
    await this.#handle.close();
  }

  // ---- following

  #follow(): void {
    void this.#handle.closed.then((error) => {
      if (this.#isClosed) return;
      this.#options.lost(about('lost connection to Flux', error ?? new FluxError('ECONNRESET')));
    });
    for (const part of [this.#followStats(), this.#followHeartbeats(), this.#askResources(), this.#askJobs()])
      part.catch((error: unknown) => {
        if (!this.#isClosed) this.#options.lost(asFluxError(error));
      });
  }

  #set(change: Partial<TopState>): void {
    this.#state = { ...this.#state, ...change };
    if (!this.#isClosed) this.#options.changed();
  }

  #after(seconds: number, action: () => void): void {
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      action();
    }, seconds * 1000);
    this.#timers.add(timer);
  }

  #isShown(part: string): void {
    this.#awaited.delete(part);
    if (this.#awaited.size === 0) this.#allShown();
  }

  async #followStats(): Promise<void> {
    try {
      for await (const answer of this.#handle.stream<JsonObject>('job-list.job-stats', {}, { nodeid: 0 })) {
        this.#stats = answer;
        this.#showStats();
        this.#isShown('stats');
        this.#jobsChanged();
      }
    } catch (error) {
      unlessAbsent('error getting job-list.job-stats RPC response', error);
      this.#isShown('stats');
    }
  }

  async #followHeartbeats(): Promise<void> {
    for await (const _ of await this.#handle.subscribe('heartbeat.pulse')) {
      this.#set({ beats: true });
      this.#after(HEART_DURATION, () => this.#set({ beats: false }));
      void this.#askResources().catch((error: unknown) => this.#options.lost(asFluxError(error)));
    }
  }

  async #askResources(): Promise<void> {
    if (this.#isAsking || this.#isClosed) return;
    this.#isAsking = true;
    try {
      this.#resources = await fetchSchedResources(this.#handle);
      this.#showResources();
    } catch (error) {
      if (!this.#isClosed) unlessAbsent('error getting resources', error);
    } finally {
      this.#isAsking = false;
      this.#isShown('resources');
    }
  }

  /** Something has happened to jobs. */
  #jobsChanged(): void {
    if (this.#areJobsDue) return;
    this.#areJobsDue = true;
    this.#after(JOBS_DELAY, () => {
      this.#areJobsDue = false;
      void this.#askJobs().catch((error: unknown) => this.#options.lost(asFluxError(error)));
    });
  }

  async #askJobs(): Promise<void> {
    const request = { max_entries: JOBS_MAX, constraint: { states: [JobState.running] }, attrs: ATTRS };
    const jobs: JobInfo[] = [];
    try {
      const answers = this.#handle.stream<{ jobs: readonly JsonObject[] }>('job-list.list', request, { nodeid: 0 });
      for await (const answer of answers) jobs.push(...answer.jobs.map((raw) => new JobInfo(raw)));
      this.#allJobs = jobs;
      this.#showJobs();
    } catch (error) {
      if (!this.#isClosed) unlessAbsent('error decoding job-list.list RPC response', error);
    } finally {
      this.#isShown('jobs');
    }
  }

  // ---- what is shown of one queue

  #showStats(): void {
    if (!this.#stats) return;
    const { queue } = this.#state;
    try {
      this.#set({ stats: readJobStats(this.#stats, queue === undefined ? [] : [queue]) });
    } catch {
      // A queue without jobs may not be told of.
      this.#set({ stats: undefined });
    }
  }

  #showResources(): void {
    if (!this.#resources) return;
    const test = compileConstraint(this.#queueConstraint());
    const [all, used, down] = [this.#resources.all, this.#resources.allocated, this.#resources.down].map((set) =>
      set.withNodes(set.nodes.filter(test)),
    );
    const count = (name: string): ResourceCount => {
      const of = (set: ResourceSet | undefined) => (set ? resourceCounts[name]!(set) : 0);
      return { total: of(all), used: of(used), down: of(down) };
    };
    this.#set({ resources: { nodes: count('nnodes'), cores: count('ncores'), gpus: count('ngpus') } });
  }

  #queueConstraint(): JsonObject {
    const { queue } = this.#state;
    const entry = queue === undefined ? undefined : queuesOf(this.#config)[queue];
    const requires: JsonValue | undefined = isObject(entry) ? entry.requires : undefined;
    return requires === undefined ? {} : { properties: requires };
  }

  #showJobs(): void {
    const { queue } = this.#state;
    this.#set({ jobs: this.#allJobs?.filter(({ raw }) => queue === undefined || raw.queue === queue) });
  }

  // ---- keys

  /** Does what a key says, if that concerns this instance alone. */
  press(key: Key): void {
    switch (key) {
      case 'up':
        this.#select(-1);
        break;
      case 'down':
        this.#select(1);
        break;
      case 'left':
        this.#turnQueues(-1);
        break;
      case 'right':
        this.#turnQueues(1);
        break;
      case 'details':
        this.#set({ hasDetails: !this.#state.hasDetails });
        break;
    }
  }

  /** The next job, and behind the last one the first. */
  #select(step: number): void {
    const { jobs = [], selected } = this.#state;
    if (jobs.length === 0) return;
    const at = jobs.findIndex(({ id }) => id.value === selected);
    const next = at < 0 && step < 0 ? jobs.length - 1 : (at + step + jobs.length) % jobs.length;
    this.#set({ selected: jobs[next]!.id.value });
  }

  #turnQueues(step: number): void {
    const at = this.#queues.indexOf(this.#state.queue) + step + this.#queues.length;
    this.#set({ queue: this.#queues[at % this.#queues.length] });
    this.#showStats();
    this.#showResources();
    this.#showJobs();
  }

  get selectedJob(): JobInfo | undefined {
    return this.#state.jobs?.find(({ id }) => id.value === this.#state.selected);
  }

  /** Shows what went wrong; undefined: no longer. */
  tell(popup: string | undefined): void {
    this.#set({ popup });
  }
}

function queuesOf(config: JsonObject): JsonObject {
  return isObject(config.queues) ? config.queues : {};
}

/** An instance may not be up yet, or not tell guests. */
function unlessAbsent(what: string, error: unknown): void {
  const { code } = asFluxError(error);
  if (code !== 'ENOSYS' && code !== 'EPERM') throw about(what, error);
}

async function initialState(handle: Handle, { title, queue }: ViewOptions, config: JsonObject): Promise<TopState> {
  const number = async (name: string) => Number(await handle.attribute(name));
  const [level, size, owner, version, jobid, starttime, expiration] = await Promise.all([
    number('instance-level'),
    number('size'),
    number('security.owner'),
    handle.attribute('version'),
    handle.attribute('jobid').catch(() => ''),
    handle.attribute('broker.starttime', { nodeid: 0 }).then(Number, () => Date.now() / 1000),
    fetchExpiration(handle),
  ]);
  return {
    title: title ?? jobid,
    level,
    size,
    version,
    starttime,
    expiration,
    hasDetails: owner === process.getuid!(),
    stats: undefined,
    resources: { nodes: none, cores: none, gpus: none },
    jobs: undefined,
    selected: undefined,
    queue,
    hasQueues: Object.keys(queuesOf(config)).length > 0,
    beats: false,
    popup: undefined,
  };
}

/** When the instance ends, in seconds since the epoch; 0 where that is not known. */
async function fetchExpiration(handle: Handle): Promise<number> {
  try {
    const R = await new Kvs(handle, PRIMARY_NAMESPACE).getJson('resource.R');
    const execution = isObject(R) ? R.execution : undefined;
    return Number((isObject(execution) && execution.expiration) || 0);
  } catch {
    return 0;
  }
}
