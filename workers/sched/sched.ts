/**
 * The module `sched-simple`, also loaded as `sched-fifo` and `sched-backfill`: gives resources to jobs. Its services are
 * `sched` (RFC 27) and `feasibility`. Arguments are in `options.ts`.
 *
 * Beside what RFC 27 has there is `sched.explain`, for the owner and for who has submitted the job:
 *
 *     {id} → {id, state: "pending", reason, text, policy, priority, jobs_ahead, first?, first_priority?, t_estimate?,
 *             unit: "node"|"slot", needed, free, missing, nodes: {all, eligible, up}}
 *          → {id, state: "allocated", resources, expiration?, down}
 *
 * `reason` is one of those in `explain.ts`, `text` a sentence about it; `first` is the job at the head of the queue;
 * `nodes.eligible` are those that pass the job's constraint, `nodes.up` those of them that are up; `down` are ranks of the
 * job that are down or drained. ENOENT: the scheduler does not know the job, which may wait in the job manager.
 *
 * Messages of one turn are scheduled together, and what is started together is stored by one commit.
 */

import { type Severity, severityNumber } from '../../core/broker/log-format.ts';
import type { ModuleDefinition, Service, ServiceContext } from '../../core/broker/service.ts';
import { asFluxError, FluxError } from '../../core/errno.ts';
import { encodeFluid } from '../../core/formats/fluid.ts';
import { IdSet } from '../../core/formats/idset.ts';
import { resourceSetFromJson } from '../../core/formats/resource-json.ts';
import { LATER, type Methods, type Reply, type Request } from '../../core/handle/methods.ts';
import { untilEnd } from '../../core/handle/rpc.ts';
import { type JsonObject, type JsonValue, real } from '../../core/json.ts';
import { Role } from '../../core/message/credentials.ts';
import { Flag } from '../../core/message/message.ts';
import { unpack } from '../../core/message/unpack.ts';
import { AllocRequest } from './alloc-request.ts';
import { explainPending, explainRunning } from './explain.ts';
import { Forecaster } from './forecaster.ts';
import { adoptRunning } from './hello.ts';
import { type SchedulerOptions, schedulerOptions } from './options.ts';
import { Pool } from './pool.ts';
import { type ResourceRequest, readRequest } from './resource-request.ts';
import { resourceStatus, wholeNodes } from './resource-status.ts';
import { encodeAllocation, SharedResources } from './resource-text.ts';
import { type Decision, type Policy, Scheduler } from './scheduler.ts';
import { Turns } from './turns.ts';

/** The module with a policy. */
export function schedModule(policy: Policy): ModuleDefinition {
  return { start: (context, args) => new Sched(context, policy, schedulerOptions(args)) };
}

class Sched implements Service {
  readonly services = ['feasibility', 'sched'];
  readonly methods: Methods;
  readonly #context: ServiceContext;
  readonly #policy: Policy;
  readonly #options: SchedulerOptions;
  readonly #requests = new Map<bigint, AllocRequest>();
  /** Resolves when the resources are known, and what jobs have of them. */
  readonly #ready: Promise<Scheduler>;
  #scheduler: Scheduler | undefined;
  #forecaster: Forecaster | undefined;
  #turns: Turns | undefined;
  #isStopped = false;

  constructor(context: ServiceContext, policy: Policy, options: SchedulerOptions) {
    this.#context = context;
    this.#policy = policy;
    this.#options = options;
    this.methods = this.#methods();
    this.#ready = this.#start();
    this.#ready.catch((error: Error) => this.#leave(`initialization failed: ${error.message}`));
  }

  // ---- start and end

  /** Takes resources and jobs, and says that it is ready; from then on it follows the resources. */
  async #start(): Promise<Scheduler> {
    const context = this.#context;
    const changes = context.request('resource.acquire', undefined, { flags: Flag.streaming });
    const first = await changes.next();
    if (first.errnum) throw new FluxError(first.errnum, `resource.acquire failed: ${first.error().message}`);
    const { resources } = first.unpack({ resources: 'o' });
    const pool = new Pool(resourceSetFromJson(resources), this.#options.order);
    const scheduler = new Scheduler(pool, this.#policy);
    this.#scheduler = scheduler;
    const forecaster = new Forecaster(context.clock, scheduler, (id) => this.#requests.get(id));
    this.#forecaster = forecaster;
    this.#turns = new Turns(context.clock, scheduler, {
      carryOut: (decision, now) => this.#carryOut(scheduler, decision, now),
      finished: (isLast) => {
        if (isLast) forecaster.want();
      },
    });
    this.#change(scheduler, first.json);
    untilEnd(changes, (change) => this.#change(scheduler, change.json)).then(
      (error) => this.#leave(`exiting due to resource update failure: ${error.message}`),
      (error: Error) => this.#leave(`exiting due to resource update failure: ${error.message}`),
    );
    await adoptRunning(context, scheduler, (severity, text) => this.#log(severity, text));
    const { queueDepth, logLevel, order } = this.#options;
    const mode = queueDepth === 'unlimited' ? { mode: queueDepth } : { mode: 'limited', limit: queueDepth };
    await context.rpc('job-manager.sched-ready', mode);
    const all = new SharedResources(pool, wholeNodes(pool)).describe();
    this.#log(
      'info',
      `ready: policy=${this.#policy} alloc-mode=${order} queue-depth=${queueDepth} log-level=${logLevel} ${all}`,
    );
    return scheduler;
  }

  /** There is nothing left to do: the module asks to be removed. */
  #leave(why: string): void {
    if (this.#isStopped) return;
    this.stop();
    this.#log('err', why);
    this.#context.notify('module.remove', { name: this.#context.name });
  }

  stop(): void {
    this.#isStopped = true;
    this.#turns?.stop();
    this.#forecaster?.stop();
  }

  #log(severity: Severity, text: string): void {
    if (severityNumber(severity) <= severityNumber(this.#options.logLevel)) this.#context.log(severity, text);
  }

  /** What most never see is made only for those who do. */
  #debug(text: () => string): void {
    if (this.#options.logLevel === 'debug') this.#context.log('debug', text());
  }

  // ---- resources

  /** What `resource.acquire` tells (RFC 28). */
  #change(scheduler: Scheduler, payload: JsonValue | undefined): void {
    const { up, down, shrink, expiration } = unpack(payload, { up: 's?', down: 's?', shrink: 's?', expiration: 'n?' });
    if (up !== undefined) scheduler.setUp(IdSet.parse(up), true);
    if (down !== undefined) scheduler.setUp(IdSet.parse(down), false);
    if (shrink !== undefined) scheduler.remove(IdSet.parse(shrink));
    if (expiration !== undefined && expiration >= 0) {
      scheduler.pool.expiration = expiration;
      this.#log('info', `resource expiration updated to ${expiration.toFixed(2)}`);
    }
    this.#turns?.changed();
  }

  // ---- requests

  #methods(): Methods {
    return {
      alloc: { handler: (request) => this.#alloc(request) },
      free: { handler: (request) => this.#free(this.#known(), request) },
      cancel: { handler: (request) => this.#cancel(request) },
      prioritize: { handler: (request) => this.#prioritize(request) },
      expiration: { handler: async (request) => this.#expiration(await this.#ready, request) },
      'resource-status': { handler: async () => resourceStatus((await this.#ready).pool) },
      check: { handler: async (request) => checkFeasibility(await this.#ready, request) },
      explain: { allow: Role.user, handler: async (request) => this.#explain(await this.#ready, request) },
      disconnect: { handler: (request) => this.#disconnect(request) },
    };
  }

  #alloc(request: Request): Reply {
    const { id, priority, userid, t_submit, jobspec } = request.unpack({
      id: 'I',
      priority: 'n',
      userid: 'n',
      t_submit: 'n?',
      jobspec: 'o',
    });
    if (this.#requests.has(id)) throw new FluxError('EEXIST', `${encodeFluid(id)} is waiting for resources already`);
    const alloc = new AllocRequest(request, (request.payload as JsonObject).id!);
    let wanted: ResourceRequest;
    try {
      wanted = readRequest(jobspec);
    } catch (error) {
      const { message } = asFluxError(error);
      this.#log('err', `alloc: cannot parse jobspec for ${encodeFluid(id)}: ${message}`);
      alloc.deny(`cannot parse jobspec: ${message}`);
      return LATER;
    }
    this.#requests.set(id, alloc);
    this.#known().add({ id, priority, userid, submitted: t_submit ?? 0, request: wanted });
    this.#turns?.changed();
    return LATER;
  }

  /** The job manager asks for nothing before it was told that the scheduler is ready. */
  #known(): Scheduler {
    if (!this.#scheduler) throw new FluxError('EAGAIN', 'the scheduler does not know the resources yet');
    return this.#scheduler;
  }

  /** It has no answer but an error, which tells the job manager that nothing goes on (RFC 27). */
  #free(scheduler: Scheduler, request: Request): Reply {
    const { id, R, final } = request.unpack({ id: 'I', R: 'o', final: 'b?' });
    const ranks = ranksOf(R);
    const missing = ranks.count - scheduler.release(id, ranks);
    if (missing > 0) this.#log('err', `free: ${encodeFluid(id)}: ${missing} of the ranks ${ranks} are not the job's`);
    const left = final ? scheduler.release(id) : 0;
    if (left > 0) this.#log('err', `free: ${encodeFluid(id)}: ${left} rank(s) were not named when the job was done`);
    this.#debug(() => `free: ${encodeFluid(id)}: rank${ranks.encode({ brackets: true })}${final ? ' (final)' : ''}`);
    this.#turns?.changed();
    return request.leaveUnanswered();
  }

  #cancel(request: Request): undefined {
    this.#drop(request.unpack({ id: 'I' }).id);
    return undefined;
  }

  /** A job that waits wants nothing any more; one that was given something is left alone. */
  #drop(id: bigint): void {
    if (!this.#scheduler?.cancel(id)) return;
    this.#requests.get(id)!.cancel();
    this.#requests.delete(id);
    this.#turns?.changed();
  }

  #prioritize(request: Request): undefined {
    const { jobs } = request.unpack({ jobs: 'a' });
    for (const pair of jobs) {
      if (!Array.isArray(pair)) throw new FluxError('EPROTO', 'bad payload: jobs are pairs of id and priority');
      const { id, priority } = unpack({ id: pair[0], priority: pair[1] }, { id: 'I', priority: 'n' });
      this.#scheduler?.prioritize(id, priority);
    }
    this.#turns?.changed();
    return undefined;
  }

  #expiration(scheduler: Scheduler, request: Request): undefined {
    const { id, expiration } = request.unpack({ id: 'I', expiration: 'n' });
    if (expiration < 0) throw new FluxError('EINVAL', `invalid expiration ${expiration}`);
    scheduler.setEnd(id, expiration);
    this.#turns?.changed();
    return undefined;
  }

  async #explain(scheduler: Scheduler, request: Request): Promise<JsonObject> {
    const { id } = request.unpack({ id: 'I' });
    const running = scheduler.running(id);
    const job = scheduler.job(id);
    const owner = running?.userid ?? job?.userid;
    if (owner === undefined) throw new FluxError('ENOENT', `the scheduler does not know ${encodeFluid(id)}`);
    if (!request.isOwner && request.userid !== owner)
      throw new FluxError('EPERM', 'guests can ask about their own jobs only');
    if (running) return { id, ...explainRunning(scheduler, running) };
    const said = { id, ...explainPending(scheduler, job!) };
    const estimate = await this.#forecaster!.estimate(id);
    return estimate === undefined ? said : { ...said, t_estimate: real(estimate) };
  }

  /** Who asked for resources is gone. */
  #disconnect({ sender }: Request): undefined {
    for (const [id, request] of this.#requests) if (request.sender === sender) this.#drop(id);
    return undefined;
  }

  // ---- decisions

  #carryOut(scheduler: Scheduler, decision: Exclude<Decision, { readonly type: 'pause' }>, now: number): void {
    const { id } = decision.job;
    const request = this.#requests.get(id)!;
    this.#requests.delete(id);
    if (decision.type === 'deny') {
      request.deny(decision.note);
      return;
    }
    const { job, allocation, around } = decision;
    const resources = new SharedResources(scheduler.pool, allocation.shares);
    const times = { starttime: now, expiration: scheduler.endOf(job.request, now), slots: allocation.slots };
    const resource_summary = resources.describe();
    const sched = around === undefined ? { resource_summary } : { resource_summary, backfill: encodeFluid(around) };
    request.succeed(encodeAllocation(scheduler.pool, resources, times), sched);
    this.#debug(() => `alloc: ${encodeFluid(id)}: ${resource_summary}`);
  }

  /** As flux-core's schedulers count, and what they have no word for is 0. */
  stats(): JsonObject {
    return {
      sched_passes: this.#turns?.passes ?? 0,
      sched_yields: (this.#turns?.turns ?? 0) - (this.#turns?.passes ?? 0),
      forecast_passes: this.#forecaster?.passes ?? 0,
      forecast_yields: this.#forecaster?.slices ?? 0,
      sched_delay: real(0),
      sched_duration_ewma: real(0),
      sched_interval_ewma: real(0),
      pending_jobs: this.#scheduler?.pending.size ?? 0,
    };
  }
}

/** @throws FluxError EINVAL: no jobspec; EOVERFLOW: it asks for what can never be had */
function checkFeasibility(scheduler: Scheduler, request: Request): undefined {
  const { jobspec } = request.unpack({ jobspec: 'o' });
  const obstacle = scheduler.pool.free.obstacle(readRequest(jobspec));
  if (obstacle !== undefined) throw new FluxError('EOVERFLOW', obstacle);
  return undefined;
}

/** The ranks of R; what jobs have of them is known. */
function ranksOf(R: JsonObject): IdSet {
  const { execution } = unpack(R, { execution: 'o' });
  const { R_lite } = unpack(execution, { R_lite: 'a' });
  const sets = R_lite.map((entry) => IdSet.parse(unpack(entry, { rank: 's' }).rank));
  return sets.length === 1 ? sets[0]! : sets.reduce((all, each) => all.union(each), IdSet.empty);
}
