/** Whether queues take jobs, and whether these are scheduled. */

import type { Handle } from '../core/handle/handle.ts';
import { print } from './print.ts';

/** An answer of job-manager.queue-status. */
export interface QueueStatus {
  readonly enable: boolean;
  readonly start: boolean;
  readonly disable_reason?: string;
  readonly stop_reason?: string;
  /** Of a virtual queue (RFC 33). */
  readonly parent?: string;
  /** What stops a queue that is started itself: `scheduler` or `parent`. */
  readonly blocked?: string;
}

export function submissionText({ enable, disable_reason }: QueueStatus): string {
  return enable ? 'Job submission is enabled' : `Job submission is disabled: ${disable_reason}`;
}

export function schedulingText({ start, stop_reason }: QueueStatus): string {
  if (start) return 'Scheduling is started';
  return `Scheduling is stopped${stop_reason === undefined ? '' : `: ${stop_reason}`}`;
}

/** The names of the queues; none where there is a single one, without a name. */
export async function fetchQueueNames(handle: Handle): Promise<readonly string[]> {
  const { queues } = await handle.rpc<{ queues: readonly string[] }>('job-manager.queue-list');
  return queues;
}

/** Asks for the status of a queue; undefined: of the one without a name. */
export function fetchQueueStatus(handle: Pick<Handle, 'rpc'>, name: string | undefined): Promise<QueueStatus> {
  return handle.rpc<QueueStatus>('job-manager.queue-status', name === undefined ? {} : { name }, { nodeid: 0 });
}

/** Prints texts of a queue, or of all: when none is named, or with `all`. */
export async function printStatus(
  handle: Handle,
  queue: string | undefined,
  all: boolean,
  texts: readonly ((status: QueueStatus) => string)[],
): Promise<void> {
  const names = await fetchQueueNames(handle);
  const shown = (queue === undefined || all) && names.length ? names : [queue];
  const statuses = await Promise.all(shown.map((name) => fetchQueueStatus(handle, name)));
  statuses.forEach((status, index) => {
    const name = shown[index];
    for (const text of texts) print(`${name === undefined ? '' : `${name}: `}${text(status)}`);
  });
}

interface AllocQuery {
  readonly queue_length: number;
  readonly alloc_pending: number;
  readonly running: number;
}

/** Prints what the job manager waits for the scheduler with. */
export async function printRequests(handle: Handle): Promise<void> {
  const { queue_length, alloc_pending, running } = await handle.rpc<AllocQuery>('job-manager.alloc-query');
  print(`${queue_length} alloc requests queued`);
  print(`${alloc_pending} alloc requests pending to scheduler`);
  print(`${running} running jobs`);
}
