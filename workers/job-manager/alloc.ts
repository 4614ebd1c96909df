/**
 * Asks the scheduler for resources and gives them back (RFC 27). A scheduler says hello, learns what is allocated, and says
 * how many requests it takes at a time; then it gets them in order of the jobs' priorities.
 *
 * A scheduler of the same thread may answer before a call that sends returns: what is sent is sent when all is up to date.
 */

import type { ServiceContext } from '../../core/broker/service.ts';
import { FluxError } from '../../core/errno.ts';
import { encodeFluid } from '../../core/formats/fluid.ts';
import { JobState } from '../../core/formats/job-state.ts';
import { encodePythonJson } from '../../core/formats/python-json.ts';
import { LATER, type Methods, type Reply, type Request } from '../../core/handle/methods.ts';
import { type JsonObject, real } from '../../core/json.ts';
import { Role } from '../../core/message/credentials.ts';
import type { Message } from '../../core/message/message.ts';
import { unpack } from '../../core/message/unpack.ts';
import { allocatedResources } from './allocated.ts';
import type { Annotations } from './annotations.ts';
import type { Events } from './events.ts';
import type { Exceptions } from './exceptions.ts';
import { type Job, JobFlag, Priority } from './job.ts';
import { comesBefore, JobQueue } from './job-queue.ts';
import type { Jobs } from './jobs.ts';
import type { Housekeeping, QueueGate } from './parts.ts';

/** What a response of the scheduler says. */
const Answer = { success: 0, annotate: 1, deny: 2, cancel: 3 } as const;
/** What comes with R. */
interface Success {
  readonly annotations?: JsonObject | undefined;
  /** Whether the scheduler has stored R; ours leaves that to the manager. */
  readonly stores?: boolean | undefined;
}
/** Requests sent in one turn: between them others are answered. */
const REQUESTS_PER_TURN = 500;

export interface AllocHost {
  readonly context: ServiceContext;
  readonly owner: number;
  readonly jobs: Jobs;
  readonly events: Events;
  readonly annotations: Annotations;
  readonly exceptions: Exceptions;
  readonly queues: Pick<QueueGate, 'isStarted'>;
  readonly housekeeping: Pick<Housekeeping, 'hello' | 'allocated'>;
  /** What the state of a job wants done. */
  act(job: Job): void;
  /** The last request of a job may be gone. */
  pendingChanged(): void;
}

/** A scheduler that takes requests. */
interface Scheduler {
  /** The client that it is. */
  readonly sender: string;
  /** Requests that it takes at a time. */
  readonly limit: number;
}

export class Alloc {
  readonly #host: AllocHost;
  /** Jobs that wait to be sent to the scheduler, and those that were sent. */
  readonly queue = new JobQueue();
  readonly sent = new JobQueue();
  #scheduler: Scheduler | undefined;
  #isPumping = false;
  /** The answer to resource-status, until something is allocated or given back. */
  #allocated: JsonObject | undefined;

  readonly methods: Methods = {
    'sched-hello': { streaming: true, handler: (request) => this.#hello(request) },
    'sched-ready': { handler: (request) => this.#ready(request) },
    'alloc-query': {
      allow: Role.user,
      handler: () => ({
        queue_length: this.queue.size,
        alloc_pending: this.sent.size,
        running: this.#host.jobs.runningCount,
      }),
    },
    'resource-status': {
      handler: () => {
        this.#allocated ??= allocatedResources(this.#host.jobs.active.values(), this.#host.housekeeping.allocated());
        return { allocated: this.#allocated };
      },
    },
  };

  constructor(host: AllocHost) {
    this.#host = host;
  }

  get isSchedulerReady(): boolean {
    return this.#scheduler !== undefined;
  }

  // ---- what states of jobs want

  /** A job in the state sched wants resources; what has asked already is let be. */
  enqueue(job: Job): void {
    if (job.state !== JobState.sched || job.bypassesAlloc || job.isAllocQueued || job.isAllocPending) return;
    if (job.priority === Priority.min || !this.#host.queues.isStarted(job)) return;
    this.queue.insert(job);
    job.isAllocQueued = true;
    this.#pump();
  }

  dequeue(job: Job): void {
    if (!job.isAllocQueued) return;
    this.queue.remove(job);
    job.isAllocQueued = false;
  }

  /**
   * Withdraws a request that was sent. The scheduler answers it, that it is canceled or that it came too late; with
   * `isFinal` nobody waits for that.
   */
  cancel(job: Job, isFinal: boolean): void {
    if (!job.isAllocPending) return;
    if (isFinal) {
      this.#retire(job);
      this.#host.annotations.clear(job);
    }
    this.#host.context.notify('sched.cancel', { id: job.id });
    if (isFinal) this.#host.pendingChanged();
  }

  /** The request of a job is answered for good. */
  #retire(job: Job): void {
    job.isAllocPending = false;
    this.sent.remove(job);
    this.#pump();
  }

  /** A job's priority is another one. */
  reorder(job: Job): void {
    if (job.isAllocQueued) this.queue.reorder(job);
    if (job.isAllocPending) this.sent.reorder(job);
    this.recalculate();
  }

  /** In limited mode the most urgent jobs are to be with the scheduler: others are withdrawn for them. */
  recalculate(): void {
    if (!this.#scheduler || this.#scheduler.limit === Infinity) return;
    const { first } = this.queue;
    const { last } = this.sent;
    if (!first || !last || !comesBefore(first, last)) return;
    const queued = this.queue[Symbol.iterator]();
    const late: Job[] = [];
    for (const job of this.sent.backwards()) {
      const { value } = queued.next() as { value: Job | undefined };
      if (!value || !comesBefore(value, job)) break;
      late.push(job);
    }
    for (const job of late) this.cancel(job, false);
    this.#pump();
  }

  /** A job has its resources from elsewhere. */
  allocatedElsewhere(): void {
    this.#allocated = undefined;
  }

  /** Gives resources back. */
  free(R: JsonObject, id: bigint, isFinal: boolean): void {
    this.#allocated = undefined;
    if (this.#scheduler) this.#host.context.sendUntagged('sched.free', { id, R, final: isFinal });
  }

  // ---- requests to the scheduler

  /** Sends what may be sent, once this turn is over. */
  #pump(): void {
    if (this.#isPumping || !this.#nextJob()) return;
    this.#isPumping = true;
    queueMicrotask(() => this.#sendSome());
  }

  #sendSome(): void {
    for (let count = 0; count < REQUESTS_PER_TURN; count++) {
      const job = this.#nextJob();
      if (!job) {
        this.#isPumping = false;
        return;
      }
      this.#send(job);
    }
    this.#host.context.clock.after(0, () => this.#sendSome());
  }

  /** The first that may be sent now. Where it is held, all behind it are. */
  #nextJob(): Job | undefined {
    const job = this.queue.first;
    if (!job || !this.#scheduler || this.sent.size >= this.#scheduler.limit) return undefined;
    return job.priority === Priority.min ? undefined : job;
  }

  #send(job: Job): void {
    const { id, priority, userid, tSubmit, jobspec } = job;
    this.queue.remove(job);
    job.isAllocQueued = false;
    this.sent.insert(job);
    job.isAllocPending = true;
    if (job.flags & JobFlag.debug) this.#host.events.post(job, 'debug.alloc-request');
    this.#host.context.sendUntagged('sched.alloc', { id, priority, userid, t_submit: real(tSubmit), jobspec });
  }

  // ---- its answers

  /** Takes a response to `sched.alloc`; one that makes no sense ends what the manager has to do with this scheduler. */
  takeAllocResponse(response: Message): void {
    try {
      if (response.errnum) throw response.error();
      this.#takeAnswer(response);
    } catch (error) {
      this.#teardown('alloc response error', error as Error);
    }
  }

  /** What is given back needs no answer; an error ends what the manager has to do with this scheduler. */
  takeFreeResponse(response: Message): void {
    if (response.errnum) this.#teardown('free response error', response.error());
  }

  #takeAnswer(response: Message): void {
    const answer = response.unpack({
      id: 'I',
      type: 'i',
      note: 's?',
      annotations: 'o?',
      R: 'o?',
      stores: 'b?',
    });
    const { id, type, note, annotations } = answer;
    const active = this.#host.jobs.active.get(id);
    const job = active?.isAllocPending ? active : undefined;
    switch (type) {
      case Answer.success:
        if (!answer.R) throw new FluxError('EPROTO', 'there is no R');
        this.#allocate(id, job, answer.R, answer);
        return;
      case Answer.annotate:
        if (!annotations) throw new FluxError('EPROTO', 'there are no annotations');
        if (job) this.#host.annotations.update(job, annotations);
        return;
      case Answer.deny:
        if (!job) return;
        this.#retire(job);
        this.#host.annotations.clear(job);
        this.#host.exceptions.raise(job, { type: 'alloc', severity: 0, note, userid: this.#host.owner });
        return;
      case Answer.cancel:
        if (job) this.#canceled(job);
        return;
      default:
        throw new FluxError('EINVAL', `there is no answer of type ${type}`);
    }
  }

  /** Other schedulers than ours have stored R before they tell of it (RFC 27). */
  #allocate(id: bigint, job: Job | undefined, given: JsonObject, { stores = true, annotations }: Success): void {
    const { scheduling: _, ...R } = given;
    if (job?.state !== JobState.sched) {
      // The request has been withdrawn meanwhile: the job is canceled, or will ask again.
      this.#host.context.sendUntagged('sched.free', { id, R, final: true });
      if (job) this.#canceled(job);
      return;
    }
    if (job.hasResources || job.R) throw new FluxError('EEXIST', `id=${encodeFluid(id)} is already allocated`);
    job.R = R;
    this.#allocated = undefined;
    this.sent.remove(job);
    if (annotations) this.#host.annotations.update(job, annotations);
    job.isAllocPending = false;
    this.#pump();
    if (!stores) this.#host.events.writer.keep(job, 'R', encodePythonJson(given));
    this.#host.events.post(job, 'alloc', job.annotations && { annotations: job.annotations });
  }

  #canceled(job: Job): void {
    if (job.state === JobState.sched) this.#requeue(job);
    else {
      this.#retire(job);
      this.#host.annotations.clear(job);
    }
    if (this.#host.queues.isStarted(job)) this.#host.act(job);
    this.#host.pendingChanged();
  }

  /** A job that was sent waits to be sent again. */
  #requeue(job: Job): void {
    this.#retire(job);
    if (this.#host.queues.isStarted(job)) {
      this.queue.insert(job);
      job.isAllocQueued = true;
      this.#pump();
    }
    this.#host.annotations.clear(job, 'sched');
  }

  // ---- schedulers come and go

  #hello(request: Request): Reply {
    const { 'partial-ok': partialOk = false } = unpack(request.payload ?? {}, { 'partial-ok': 'b?' });
    this.#host.context.log('debug', `scheduler: hello${partialOk ? ' +partial-ok' : ''}`);
    for (const { id, priority, userid, tSubmit, hasResources, bypassesAlloc } of this.#host.jobs.active.values()) {
      if (hasResources && !bypassesAlloc) request.respond({ id, priority, userid, t_submit: real(tSubmit) });
    }
    this.#host.housekeeping.hello(request, partialOk);
    // Housekeeping may have let go of something.
    this.#allocated = undefined;
    request.endStream();
    return LATER;
  }

  #ready(request: Request): JsonObject {
    const { mode, limit = 0 } = request.unpack({ mode: 's', limit: 'i?' });
    if (mode === 'limited' ? limit <= 0 : mode !== 'unlimited')
      throw new FluxError('EPROTO', `mode ${mode} with limit ${limit} is none`);
    this.#scheduler = { sender: request.sender, limit: mode === 'limited' ? limit : Infinity };
    this.#host.context.log('debug', `scheduler: ready ${mode}`);
    const count = this.queue.size;
    // What was to be freed while there was no scheduler.
    for (const job of [...this.#host.jobs.active.values()])
      if (job.state === JobState.cleanup && job.hasResources) this.#host.act(job);
    this.#pump();
    return { count };
  }

  disconnect(request: Request): void {
    if (this.#scheduler?.sender === request.sender) this.#teardown('disconnect');
  }

  /** Nothing more is asked of any scheduler. */
  stop(): void {
    this.#scheduler = undefined;
  }

  /** Nothing more is asked of this scheduler; what was asked is asked of the next one. */
  #teardown(why: string, error?: Error): void {
    if (!this.#scheduler) return;
    this.#host.context.log('debug', `alloc: stop due to ${why}${error ? `: ${error.message}` : ''}`);
    this.#scheduler = undefined;
    for (const job of [...this.sent]) this.#requeue(job);
    this.#host.pendingChanged();
  }
}
