/**
 * Posts events to jobs. An event has its effect on the job, is written to its log, told to the journal and to plugins, and
 * then what the job's state wants is done. Events that are posted meanwhile wait their turn, so all of this happens in
 * order.
 */

import type { ServiceContext } from '../../core/broker/service.ts';
import { asFluxError, FluxError } from '../../core/errno.ts';
import type { EventlogEntry } from '../../core/formats/eventlog.ts';
import { encodeFluid } from '../../core/formats/fluid.ts';
import { JobState } from '../../core/formats/job-state.ts';
import type { JsonObject } from '../../core/json.ts';
import type { EventWriter, Submitted } from './event-writer.ts';
import type { Job, QueuedEvent } from './job.ts';
import { applyEvent } from './state-machine.ts';

export interface PostOptions {
  /** It is told, but not kept in the KVS. */
  readonly isVolatile?: boolean;
  /** Seconds since the epoch; now when absent. */
  readonly timestamp?: number;
}

/** Who is told of an event that was applied, in this order. */
export interface EventListeners {
  /** @param previous the state before, a `JobState` bit */
  applied(job: Job, entry: EventlogEntry, previous: number): void;
  /** What the job's state wants done; it may post events. */
  act(job: Job): void;
}

export class Events {
  readonly writer: EventWriter;
  readonly #context: ServiceContext;
  readonly #listeners: EventListeners;

  constructor(context: ServiceContext, writer: EventWriter, listeners: EventListeners) {
    this.#context = context;
    this.writer = writer;
    this.#listeners = listeners;
  }

  /**
   * Posts an event.
   *
   * @throws FluxError ENOENT: the job is not active any more; EPROTO, EINVAL: its context is not what it must be. The second
   *   is only logged where events before it have to wait.
   */
  post(job: Job, name: string, context?: JsonObject, { isVolatile = false, timestamp }: PostOptions = {}): void {
    if (job.isReadOnly) throw new FluxError('ENOENT', 'the job is not active');
    const entry = { timestamp: timestamp ?? this.#context.clock.now(), name, ...(context && { context }) };
    job.pendingEvents.push({ entry, isVolatile });
    if (job.pendingEvents.length > 1 || job.holdsEvents) return;
    const fault = this.#handlePending(job);
    if (fault) throw fault;
  }

  /** Keeps events back until those so far are committed, or cannot be. */
  holdUntilSubmitted(job: Job, submitted: Submitted): void {
    job.holdsEvents = true;
    this.writer.whenSubmitted(job, (error) => {
      job.holdsEvents = false;
      submitted(error);
      const fault = error ? undefined : this.#handlePending(job);
      if (fault) this.#context.log('err', `${encodeFluid(job.id)}: ${fault.message}`);
    });
  }

  /** A job that was refused never was: its log is not kept, and those who were told of it are told so. */
  invalidate(job: Job): void {
    job.pendingEvents = [];
    this.post(job, 'invalidate', undefined, { isVolatile: true });
    this.writer.drop(job);
  }

  /** Handles what waits. What is wrong with the first is returned, with others logged; the job goes on without them. */
  #handlePending(job: Job): FluxError | undefined {
    let fault: FluxError | undefined;
    for (let count = 0; job.pendingEvents.length && !job.isReadOnly; count++) {
      try {
        this.#handle(job, job.pendingEvents[0]!);
      } catch (error) {
        const failure = asFluxError(error, 'EINVAL');
        const { name } = job.pendingEvents[0]!.entry;
        if (count === 0 && error instanceof FluxError) fault = failure;
        else this.#context.log('err', `${encodeFluid(job.id)}: error posting ${name}: ${failure.message}`);
      }
      job.pendingEvents.shift();
    }
    if (job.isReadOnly) job.pendingEvents = [];
    return fault;
  }

  #handle(job: Job, { entry, isVolatile }: QueuedEvent): void {
    const previous = job.state;
    if (previous === JobState.new && entry.name === 'exception' && entry.context?.severity === 0)
      throw new FluxError('EINVAL', 'fatal job exception was posted in NEW state');
    applyEvent(job, entry);
    if (!isVolatile) {
      job.eventlog.push(entry);
      this.writer.append(job, entry);
    }
    this.#listeners.applied(job, entry, previous);
    this.#listeners.act(job);
  }
}
