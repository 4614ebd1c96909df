/** The limits and defaults of queues (flux-config-policy(5), flux-config-queues(5)). */

import { parseDurationArgument } from '../core/formats/duration.ts';
import { textOf } from '../core/formats/python-format.ts';
import type { JsonObject, JsonValue } from '../core/json.ts';
import { isObject } from '../core/message/unpack.ts';

export const sizes = ['nnodes', 'ncores', 'ngpus'] as const;
export type Size = (typeof sizes)[number];
export type Sizes = Readonly<Record<Size, number>>;

export interface QueueLimits {
  /** What a job has at least. */
  readonly min: Sizes;
  /** What a job has at most; Infinity is no limit. */
  readonly max: Sizes;
  /** Seconds that a job may ask for. */
  readonly timelimit: number;
  /** Seconds that a job gets that asks for none. */
  readonly defaultTimelimit: number;
}

/**
 * What the policy of a queue sets, else that of its parent, else that of the instance: of each limit by itself.
 *
 * @param name undefined: the only queue of an instance without named ones
 * @throws FluxError EINVAL: a duration is none
 */
export function readLimits(config: JsonObject, name: string | undefined, parent: string | undefined): QueueLimits {
  const policies = [entryOf(config, name), entryOf(config, parent), config].map((entry) => at(entry, 'policy'));
  const find = (...path: string[]): JsonValue | undefined =>
    policies.map((policy) => path.reduce<JsonValue | undefined>(at, policy)).find((value) => value !== undefined);
  const limits = (end: 'min' | 'max', none: number): Sizes => {
    const [nnodes, ncores, ngpus] = sizes.map((size) => readSize(find('limits', 'job-size', end, size), none));
    return { nnodes: nnodes!, ncores: ncores!, ngpus: ngpus! };
  };
  return {
    min: limits('min', 0),
    max: limits('max', Infinity),
    timelimit: readDuration(find('limits', 'duration')),
    defaultTimelimit: readDuration(find('jobspec', 'defaults', 'system', 'duration')),
  };
}

function entryOf(config: JsonObject, queue: string | undefined): JsonValue | undefined {
  return queue === undefined ? undefined : at(at(config, 'queues'), queue);
}

function at(value: JsonValue | undefined, key: string): JsonValue | undefined {
  return isObject(value) && Object.hasOwn(value, key) ? value[key] : undefined;
}

/** A negative number in the configuration is no limit. */
function readSize(value: JsonValue | undefined, none: number): number {
  const size = value === undefined ? none : Number(value);
  return size < 0 ? Infinity : size;
}

function readDuration(value: JsonValue | undefined): number {
  return value === undefined ? Infinity : parseDurationArgument(String(value));
}

/** `0-inf`: what jobs may ask for; with `all`, no more than there is. */
export function rangeText({ min, max }: QueueLimits, size: Size, all = Infinity): string {
  return `${textOf(min[size])}-${textOf(Math.min(max[size], all))}`;
}
