/** Listeners of the journal who are told together, at the end of each turn, what happened in it: one entry for each job. */

import { type EventlogEntry, eventToJson } from '../../core/formats/eventlog.ts';
import type { Request } from '../../core/handle/methods.ts';
import { RequestList } from '../../core/handle/request-list.ts';
import type { JsonObject } from '../../core/json.ts';
import type { Job } from './job.ts';

/** Jobs in one response at most. */
const BATCH_MAX = 1000;

/** What is told of a job: a response, or a part of one. */
export type JournalEntry = {
  readonly id: bigint | number;
  readonly events: readonly JsonObject[];
  readonly jobspec?: JsonObject | undefined;
  readonly R?: JsonObject | undefined;
};

type Growing = JournalEntry & { readonly events: JsonObject[] };

/** What goes with an event: the jobspec with the first, R with its allocation. */
export function attached(job: Job, name: string): JsonObject | undefined {
  if (name === 'submit') return { jobspec: job.jobspec };
  return name === 'alloc' ? { R: job.R } : undefined;
}

/** Sends entries to one of such listeners. */
export function respondBatched(request: Request, entries: readonly JournalEntry[]): void {
  for (let at = 0; at < entries.length; at += BATCH_MAX) request.respond({ jobs: entries.slice(at, at + BATCH_MAX) });
}

export class JournalBatch {
  readonly listeners = new RequestList();
  #entries = new Map<bigint, Growing>();

  /** Something happened to a job. */
  add(job: Job, entry: EventlogEntry): void {
    if (this.listeners.count === 0) return;
    if (this.#entries.size === 0) queueMicrotask(() => this.send());
    let told = this.#entries.get(job.id);
    if (!told) {
      told = { id: job.id, events: [] };
      this.#entries.set(job.id, told);
    }
    told.events.push(eventToJson(entry));
    Object.assign(told, attached(job, entry.name));
  }

  /** Tells what was added since the last time. */
  send(): void {
    if (this.#entries.size === 0) return;
    const entries = [...this.#entries.values()];
    this.#entries = new Map();
    for (const request of this.listeners) respondBatched(request, entries);
  }
}
