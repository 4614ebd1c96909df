/** How a job ended, by its event log. */

import { JobResult as Result } from '../core/formats/job-state.ts';
import { jobExit } from '../core/formats/wait-status.ts';
import { type JsonObject, type JsonValue, real } from '../core/json.ts';
import type { JobEvent } from './eventlog.ts';

/** What a job's eventlog tells of its end. */
export class JobResult {
  readonly #known: Record<string, JsonValue>;

  constructor(id: bigint) {
    this.#known = { id, exception_occurred: false };
  }

  /** Takes the next event. */
  add({ name, timestamp, context }: Pick<JobEvent, 'name' | 'timestamp' | 'context'>): void {
    if (name === 'submit') this.#known.t_submit = real(timestamp);
    else if (name === 'alloc') this.#known.t_run = real(timestamp);
    else if (name === 'finish') {
      this.#known.t_cleanup = real(timestamp);
      this.#known.waitstatus = context.status ?? 0;
    } else if (name === 'exception') this.#addException(context);
  }

  /** Of several exceptions the most severe counts, and of those the last. */
  #addException({ type = '', note = '', severity = 0 }: JsonObject): void {
    const known = this.#known;
    const previous = Number(known.exception_severity ?? -1);
    if (previous > 0 && previous < Number(severity)) return;
    known.exception_occurred = true;
    known.exception_type = type;
    known.exception_note = note;
    known.exception_severity = severity;
  }

  /** The status of its shells; undefined when it never ran. */
  get status(): number | undefined {
    const { waitstatus } = this.#known;
    return waitstatus === undefined ? undefined : Number(waitstatus);
  }

  /** The exit code of its shells; 0 when it never ran. */
  get exitCode(): number {
    return this.status === undefined ? 0 : jobExit(this.status).code;
  }

  /** What kind of exception ended it, if one did. */
  get fatalException(): string | undefined {
    const { exception_occurred, exception_severity, exception_type } = this.#known;
    return exception_occurred && exception_severity === 0 ? String(exception_type) : undefined;
  }

  /** All that is known, and whether it completed, failed, was canceled or ran out of time. */
  toJson(): JsonObject {
    return { ...this.#known, result: this.#result() };
  }

  #result(): number {
    const { t_run, exception_occurred, exception_type } = this.#known;
    if (t_run !== undefined && this.status === 0) return Result.completed;
    if (exception_occurred && exception_type === 'cancel') return Result.canceled;
    if (exception_occurred && exception_type === 'timeout') return Result.timeout;
    return Result.failed;
  }
}
