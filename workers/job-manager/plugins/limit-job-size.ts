/** Refuses jobs that are larger, or smaller, than the policy wants them (RFC 33). */

import { FluxError } from '../../../core/errno.ts';
import { countJobspec } from '../../../core/formats/jobspec-resources.ts';
import type { JsonObject, JsonValue } from '../../../core/json.ts';
import { isObject } from '../../../core/message/unpack.ts';
import { systemAttribute } from '../job.ts';
import type { JobtapPlugin } from '../plugin.ts';
import { forQueue, type PolicyLimits, readLimits } from './policy-limits.ts';

const resources = ['nnodes', 'ncores', 'ngpus'] as const;
type Resource = (typeof resources)[number];
type Sizes = Readonly<Partial<Record<Resource, number>>>;

interface SizeLimits {
  readonly max: Sizes;
  readonly min: Sizes;
}

const UNLIMITED = -1;

function readSizes(value: JsonValue | undefined, path: string): Sizes {
  if (value === undefined) return {};
  if (!isObject(value)) throw new FluxError('EINVAL', `${path}: it is not a table`);
  const sizes: Partial<Record<Resource, number>> = {};
  for (const resource of resources) {
    const size = value[resource];
    if (size === undefined) continue;
    if (typeof size !== 'number' || !Number.isInteger(size))
      throw new FluxError('EINVAL', `${path}: ${resource} is not an integer`);
    if (size < UNLIMITED) throw new FluxError('EINVAL', `${path}: size must be -1 (unlimited), or >= 0`);
    sizes[resource] = size;
  }
  return sizes;
}

function readSizeLimits(limits: JsonObject, path: string): SizeLimits {
  const table = limits['job-size'] ?? {};
  if (!isObject(table)) throw new FluxError('EINVAL', `${path}.job-size: it is not a table`);
  return {
    max: readSizes(table.max, `${path}.job-size.max`),
    min: readSizes(table.min, `${path}.job-size.min`),
  };
}

function override(limits: SizeLimits, own: SizeLimits | undefined): SizeLimits {
  return own ? { max: { ...limits.max, ...own.max }, min: { ...limits.min, ...own.min } } : limits;
}

function checkSizes(limits: SizeLimits, sizes: Readonly<Record<Resource, number>>, queue: string | undefined): void {
  const refuse = (resource: Resource, how: string, limit: number) => {
    const requested = `requested ${resource} (${sizes[resource]})`;
    throw new FluxError('EINVAL', `${requested} ${how} policy limit of ${limit}${forQueue(queue)}`);
  };
  for (const resource of resources) {
    const limit = limits.max[resource] ?? UNLIMITED;
    if (limit !== UNLIMITED && sizes[resource] > limit) refuse(resource, 'exceeds', limit);
  }
  for (const resource of resources) {
    const limit = limits.min[resource] ?? UNLIMITED;
    if (limit !== UNLIMITED && sizes[resource] < limit) refuse(resource, 'is under', limit);
  }
}

export const limitJobSize: JobtapPlugin = {
  name: '.limit-job-size',
  start() {
    let limits: PolicyLimits<SizeLimits> = { general: { max: {}, min: {} }, queues: new Map() };

    return {
      configure(config) {
        limits = readLimits(config, readSizeLimits, override);
      },
      validate(_, jobspec) {
        const queue = systemAttribute(jobspec, 'queue');
        const name = typeof queue === 'string' ? queue : undefined;
        const effective = override(limits.general, name === undefined ? undefined : limits.queues.get(name));
        if (Object.keys(effective.max).length + Object.keys(effective.min).length === 0) return;
        const { nodes, cores, gpus } = countJobspec(jobspec);
        checkSizes(effective, { nnodes: nodes, ncores: cores, ngpus: gpus }, name);
      },
    };
  },
};
