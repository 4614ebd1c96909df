/**
 * Requests for one job that wait: until it is in a state, or until its first event has come. A job that a client knows of
 * may be too new to be known here; whether there is one of its id, the KVS knows.
 */

import type { FluxError } from '../../core/errno.ts';
import { JobState } from '../../core/formats/job-state.ts';
import type { Request } from '../../core/handle/methods.ts';
import { mayEnd } from '../../core/handle/request-list.ts';
import type { Job } from './job.ts';

export interface IdWait {
  readonly request: Request;
  readonly id: bigint;
  /** States, one of which the job is to have been in; 0: any but NEW. */
  readonly states: number;
  /** Answers the request with the job. */
  readonly answer: (job: Job) => void;
}

export class IdWaits {
  readonly #waits = new Map<bigint, IdWait[]>();

  /** How many jobs are waited for. */
  get count(): number {
    return this.#waits.size;
  }

  /** Answers a request now, if its job is in such a state, or once it is. */
  add(wait: IdWait, job: Job | undefined): void {
    if (job && isOver(wait, job)) {
      wait.answer(job);
      return;
    }
    const waits = this.#waits.get(wait.id);
    if (waits) waits.push(wait);
    else this.#waits.set(wait.id, [wait]);
  }

  /** A job is in another state. */
  entered(job: Job): void {
    const waits = this.#waits.get(job.id);
    if (!waits) return;
    const isDone = (wait: IdWait) => isOver(wait, job);
    this.#keep(
      job.id,
      waits.filter((wait) => !isDone(wait)),
    );
    for (const wait of waits) if (isDone(wait)) wait.answer(job);
  }

  /** There is no such job any more. */
  removed(id: bigint): void {
    const waits = this.#waits.get(id) ?? [];
    this.#waits.delete(id);
    for (const { request } of waits) request.fail('ENOENT');
  }

  /** A client is gone. */
  disconnect(disconnect: Request): void {
    for (const [id, waits] of this.#waits) {
      const isGone = ({ request }: IdWait) => request.sender === disconnect.sender && mayEnd(disconnect, request);
      if (waits.some(isGone))
        this.#keep(
          id,
          waits.filter((wait) => !isGone(wait)),
        );
    }
  }

  #keep(id: bigint, waits: IdWait[]): void {
    if (waits.length) this.#waits.set(id, waits);
    else this.#waits.delete(id);
  }

  /** None of them can be answered. */
  fail(error: FluxError): void {
    const all = [...this.#waits.values()].flat();
    this.#waits.clear();
    for (const { request } of all) request.fail(error);
  }
}

/** A job that has ended will be in no other state. */
function isOver({ states }: IdWait, { state, states: past }: Job): boolean {
  if (state === JobState.inactive) return true;
  return state !== JobState.new && (states === 0 || (states & past) !== 0);
}
