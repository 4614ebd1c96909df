/**
 * Has jobs started by the execution service (RFC 32). The service says hello with its name; each job that has its
 * resources is then a request to it, whose responses tell of the job until all resources are released.
 */

import type { ServiceContext } from '../../core/broker/service.ts';
import { asFluxError, FluxError } from '../../core/errno.ts';
import { encodeFluid } from '../../core/formats/fluid.ts';
import { GUEST_PREFIX, jobNamespace } from '../../core/formats/job-keys.ts';
import { JobState } from '../../core/formats/job-state.ts';
import { makeDirref, type Treeobj } from '../../core/formats/treeobj.ts';
import type { Methods, Request } from '../../core/handle/methods.ts';
import type { JsonObject } from '../../core/json.ts';
import type { Message } from '../../core/message/message.ts';
import { unpack } from '../../core/message/unpack.ts';
import type { EventWriter } from './event-writer.ts';
import type { Events } from './events.ts';
import type { Exceptions } from './exceptions.ts';
import { type Job, JobFlag } from './job.ts';
import type { Jobs } from './jobs.ts';

const LATE_EXPIRATION =
  'failed to send expiration update to exec system: job termination may not coincide with expiration';

export interface StartHost {
  readonly context: ServiceContext;
  readonly owner: number;
  readonly jobs: Jobs;
  readonly events: Events;
  readonly exceptions: Exceptions;
  readonly writer: Pick<EventWriter, 'whenKept' | 'keep' | 'afterCommit'>;
  /** What the state of a job wants done. */
  act(job: Job): void;
}

/** Whether nothing is in the way of a job's start but that nobody has been asked for it. */
export function isToStart(job: Job): boolean {
  return job.state === JobState.run && job.perilogs === 0 && !job.isQueued('prolog-start');
}

/** An execution service that takes requests. */
interface Executor {
  readonly service: string;
  /** The client that it is. */
  readonly sender: string;
}

export class Start {
  readonly #host: StartHost;
  #executor: Executor | undefined;
  /** Jobs whose start was asked for and that are not released yet. */
  readonly #pending = new Set<Job>();
  /** Jobs whose start is not asked for yet, as their events are not kept yet. */
  readonly #unkept = new Set<Job>();

  readonly methods: Methods = {
    'exec-hello': { handler: (request) => this.#hello(request) },
  };

  readonly #answers: Readonly<Record<string, (job: Job, data: JsonObject) => void>> = {
    start: (job) => {
      if (job.isStarted)
        this.#host.context.log('err', `start response: id=${encodeFluid(job.id)} should not get start event`);
      else this.#host.events.post(job, 'start');
    },
    reattached: (job) => {
      if (job.flags & JobFlag.debug) this.#host.events.post(job, 'debug.exec-reattach-finish');
    },
    release: (job, data) => {
      const { ranks, final, guest, guest_log } = unpack(data, {
        ranks: 's',
        final: 'b',
        guest: 's?',
        guest_log: 'o?',
      });
      if (final) this.#ended(job);
      if (guest !== undefined) this.#adoptGuest(job, { guest: makeDirref(guest) });
      else if (guest_log) this.#adoptGuest(job, guestTexts(guest_log));
      this.#host.events.post(job, 'release', { ranks, final });
    },
    exception: (job, data) => {
      const { severity, type, note = '' } = unpack(data, { severity: 'i', type: 's', note: 's?' });
      this.#host.events.post(job, 'exception', { type, severity, userid: this.#host.owner, note });
    },
    finish: (job, data) => {
      unpack(data, { status: 'i' });
      this.#host.events.post(job, 'finish', data);
    },
  };

  constructor(host: StartHost) {
    this.#host = host;
  }

  /**
   * Asks for a job's start, or that it be found again where it runs already; once is enough. A start waits until a crash
   * can't make the job look as if it had not been started.
   */
  start(job: Job): void {
    if (job.isStartPending || !this.#executor || this.#unkept.has(job)) return;
    if (job.isStarted || job.mayHaveStarted) {
      this.#request(job);
      return;
    }
    this.#unkept.add(job);
    this.#host.writer.whenKept(() => {
      this.#unkept.delete(job);
      if (isToStart(job)) this.#request(job);
    });
  }

  #request(job: Job): void {
    if (!this.#executor) return;
    const { id, userid, jobspec, isStarted, mayHaveStarted, R } = job;
    const reattach = isStarted || mayHaveStarted;
    job.isStartPending = true;
    this.#pending.add(job);
    if (job.flags & JobFlag.debug) this.#host.events.post(job, 'debug.start-request');
    this.#host.context.sendUntagged(`${this.#executor.service}.start`, { id, userid, jobspec, reattach, R });
  }

  /**
   * What the job wrote becomes a part of the primary namespace, together with the events of its end. It is in a namespace of
   * its own until that is so.
   */
  #adoptGuest(job: Job, values: Readonly<Record<string, string | Treeobj>>): void {
    const { writer, context } = this.#host;
    for (const [key, value] of Object.entries(values)) writer.keep(job, key, value);
    writer.afterCommit(job, () => {
      context.rpc('kvs.namespace-remove', { namespace: jobNamespace(job.id) }).catch((error: Error) => {
        context.log('err', `${encodeFluid(job.id)}: its namespace stays: ${error.message}`);
      });
    });
  }

  #ended(job: Job): void {
    job.isStartPending = false;
    this.#pending.delete(job);
  }

  /** Tells when a job is to end now, seconds since the epoch. */
  async updateExpiration(job: Job, context: JsonObject): Promise<void> {
    const { expiration } = context;
    try {
      if (!this.#executor) throw new FluxError('ENOSYS', 'there is no execution service');
      await this.#host.context.rpc(`${this.#executor.service}.expiration`, { id: job.id, expiration }, { nodeid: 0 });
    } catch (error) {
      this.#host.context.log('err', `${encodeFluid(job.id)}: expiration: ${asFluxError(error).message}`);
      if (!job.isReadOnly) this.#host.exceptions.raise(job, { type: 'exec', severity: 1, note: LATE_EXPIRATION });
    }
  }

  // ---- what it says

  /** Takes a response to a start request. */
  takeResponse(response: Message): void {
    if (response.errnum) {
      this.#teardown('start response error', response.error());
      return;
    }
    try {
      this.#takeAnswer(response);
    } catch (error) {
      this.#host.context.log('err', `start: ${asFluxError(error).message}`);
    }
  }

  #takeAnswer(response: Message): void {
    if (response.topic !== `${this.#executor?.service}.start`)
      throw new FluxError('EINVAL', `topic=${response.topic} not registered`);
    const { id, type, data } = response.unpack({ id: 'I', type: 's', data: 'o' });
    const job = this.#host.jobs.active.get(id);
    if (!job) throw new FluxError('EINVAL', `response: id=${encodeFluid(id)} not active`);
    if (!Object.hasOwn(this.#answers, type)) throw new FluxError('EPROTO', `unknown response type=${type}`);
    this.#answers[type]!(job, data);
  }

  // ---- services come and go

  #hello(request: Request): undefined {
    const { service } = request.unpack({ service: 's' });
    if (this.#executor && this.#pending.size)
      throw new FluxError('EINVAL', `${this.#executor.service} still has jobs to run`);
    this.#executor = { service, sender: request.sender };
    request.reply();
    for (const job of [...this.#host.jobs.active.values()]) if (job.state === JobState.run) this.#host.act(job);
    return undefined;
  }

  disconnect(request: Request): void {
    if (this.#executor?.sender === request.sender) this.#teardown('disconnect');
  }

  /** The service is gone; the next one gets its jobs. */
  #teardown(why: string, error?: Error): void {
    if (!this.#executor) return;
    this.#host.context.log('debug', `start: stop due to ${why}${error ? `: ${error.message}` : ''}`);
    this.#executor = undefined;
    for (const job of [...this.#pending]) {
      if (job.flags & JobFlag.debug) this.#host.events.post(job, 'debug.start-lost', { note: why });
      this.#ended(job);
    }
  }
}

/** What a job has written, by its keys in the primary namespace. */
function guestTexts(log: JsonObject): Record<string, string> {
  return Object.fromEntries(Object.entries(log).map(([key, text]) => [`${GUEST_PREFIX}${key}`, String(text)]));
}
