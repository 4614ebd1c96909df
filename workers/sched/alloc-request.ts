/** A request for resources that the job manager has made, and what it is told (RFC 27, Alloc). */

import type { Request } from '../../core/handle/methods.ts';
import { type JsonObject, type JsonValue, real } from '../../core/json.ts';

/** Types of response. */
const AllocType = { success: 0, annotate: 1, deny: 2, cancel: 3 } as const;

export class AllocRequest {
  readonly #request: Request;
  /** As the job manager wrote it. */
  readonly #id: JsonValue;
  /** The estimate that was told last. */
  estimate: number | undefined;
  #wasEstimated = false;

  constructor(request: Request, id: JsonValue) {
    this.#request = request;
    this.#id = id;
  }

  /** Who asks. */
  get sender(): string {
    return this.#request.sender;
  }

  /** Tells when the job will start, if that can be told. */
  annotate(estimate: number | undefined): void {
    if (estimate === undefined && !this.#wasEstimated) return;
    this.estimate = estimate;
    this.#wasEstimated = true;
    const t_estimate = estimate === undefined ? null : real(estimate);
    this.#request.respondMore({ id: this.#id, type: AllocType.annotate, annotations: { sched: { t_estimate } } });
  }

  /**
   * The job has R, which is left to the job manager to store, with the event that tells of it; what was told of the
   * waiting job is taken back.
   */
  succeed(R: JsonObject, sched: JsonObject): void {
    const annotations = { sched: this.#wasEstimated ? { t_estimate: null, ...sched } : sched };
    this.#request.reply({ id: this.#id, type: AllocType.success, R, stores: false, annotations });
  }

  deny(note: string): void {
    this.#request.reply({ id: this.#id, type: AllocType.deny, note });
  }

  cancel(): void {
    this.#request.reply({ id: this.#id, type: AllocType.cancel });
  }
}
