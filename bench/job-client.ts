/** What benchmarks of jobs do: jobspecs, submissions, and waiting for jobs to be over. */

import os from 'node:os';
import { wrapUnsigned } from '../core/formats/job-envelope.ts';
import type { Handle } from '../core/handle/handle.ts';
import type { JsonObject } from '../core/json.ts';
import { requestFrame, type WireClient } from './wire-client.ts';

/** Submissions that are under way at a time. */
const WINDOW = 64;

/** The urgency at which a job is not run. */
export const HELD = 0;
const URGENCY_DEFAULT = 16;

/** How long a job runs whose execution is only pretended. */
const MOCK_DURATION = '1ms';

/** A job of one task on one core; `isMock` pretends to execute it. */
export function jobspec(command: readonly string[], { isMock = false } = {}): JsonObject {
  const exec = { test: { run_duration: MOCK_DURATION } };
  return {
    version: 1,
    resources: [{ type: 'slot', count: 1, label: 'task', with: [{ type: 'core', count: 1 }] }],
    tasks: [{ command: [...command], slot: 'task', count: { per_slot: 1 } }],
    attributes: { system: { duration: 0, cwd: '/tmp', environment: {}, ...(isMock && { exec }) } },
  };
}

/** Hands in a jobspec `count` times, many at a time. */
export function submitAll(
  client: WireClient,
  spec: JsonObject,
  count: number,
  urgency = URGENCY_DEFAULT,
): Promise<number> {
  const J = wrapUnsigned(JSON.stringify(spec), os.userInfo().uid);
  const frame = requestFrame('job-ingest.submit', { J, urgency, flags: 0 });
  let sent = 0;
  return client.exchange(
    WINDOW,
    () => frame,
    () => sent++ < count,
  );
}

/** Counts events of a name in the journal of all jobs. */
export class JournalCounter {
  #count = 0;
  #wake = () => {};

  /** Begins to count once what there is already has passed. */
  static async open(handle: Handle, name: string): Promise<JournalCounter> {
    const counter = new JournalCounter();
    const stream = handle.stream<{ id: number | bigint; events: readonly unknown[] }>(
      'job-manager.events-journal',
      { allow: { [name]: 1 } },
      { cancelTopic: 'job-manager.events-journal-cancel' },
    );
    await new Promise<void>((begin) => {
      void (async () => {
        let isOld = true;
        for await (const { id, events } of stream) {
          if (Number(id) === -1) {
            isOld = false;
            begin();
          } else if (!isOld) counter.#add(events.length);
        }
      })().catch(() => {});
    });
    return counter;
  }

  private constructor() {}

  #add(count: number): void {
    this.#count += count;
    this.#wake();
  }

  /** Resolves when there have been so many events since it was asked last. */
  async take(count: number): Promise<void> {
    while (this.#count < count)
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    this.#count -= count;
  }
}
