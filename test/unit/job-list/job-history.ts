/** What the journal tells of jobs in tests. */

import type { JsonObject, JsonValue } from '../../../core/json.ts';
import { Real } from '../../../core/json.ts';

export interface JobOptions {
  readonly userid?: number;
  readonly urgency?: number;
  readonly priority?: number;
  readonly system?: JsonObject;
  readonly command?: readonly string[];
  readonly resources?: JsonValue;
  readonly count?: JsonObject;
  /** Hosts and ranks that it gets. */
  readonly ranks?: string;
  readonly nodelist?: string;
  readonly cores?: string;
  readonly expiration?: number;
  /** Its submission has a version from before there was an event `validate`. */
  readonly version?: number;
}

export function event(timestamp: number, name: string, context?: JsonObject): JsonObject {
  return { timestamp: new Real(timestamp), name, ...(context && { context }) };
}

export function jobspec({ system, command = ['/bin/true'], resources, count }: JobOptions = {}): JsonObject {
  return {
    version: 1,
    resources: resources ?? [{ type: 'slot', count: 1, label: 'task', with: [{ type: 'core', count: 1 }] }],
    tasks: [{ command: [...command], slot: 'task', count: count ?? { per_slot: 1 } }],
    attributes: { system: { duration: 0, ...system } },
  };
}

export function resources({ ranks = '0', nodelist = 'node0', cores = '0', expiration = 0 }: JobOptions): JsonObject {
  return {
    version: 1,
    execution: {
      R_lite: [{ rank: ranks, children: { core: cores } }],
      nodelist: [nodelist],
      starttime: 1,
      expiration: new Real(expiration),
    },
  };
}

/** The events of a job up to one of them, a second between them, from `start` on. */
export function events(start: number, last: string, options: JobOptions = {}): JsonObject[] {
  const { userid = 100, urgency = 16, priority = urgency, version = 1 } = options;
  const all = [
    event(start, 'submit', { userid, urgency, flags: 0, version }),
    event(start + 1, 'validate'),
    event(start + 2, 'depend'),
    event(start + 3, 'priority', { priority }),
    event(start + 4, 'alloc'),
    event(start + 5, 'start'),
    event(start + 6, 'finish', { status: 0 }),
    event(start + 7, 'release', { ranks: 'all', final: true }),
    event(start + 8, 'free'),
    event(start + 9, 'clean'),
  ];
  return all.slice(0, all.findIndex(({ name }) => name === last) + 1);
}

/** A job with all that has happened to it up to an event, as the backlog of the journal has it. */
export function history(id: number | bigint, start: number, last: string, options: JobOptions = {}): JsonObject {
  const R = ['alloc', 'start', 'finish', 'release', 'free', 'clean'].includes(last) ? resources(options) : undefined;
  return { id, events: events(start, last, options), jobspec: jobspec(options), ...(R && { R }) };
}

/** More events of a job that is known. */
export function more(id: number | bigint, ...events: JsonObject[]): JsonObject {
  return { id, events };
}
