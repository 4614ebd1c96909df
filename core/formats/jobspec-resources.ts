/** What a jobspec asks for (RFC 14, RFC 25): nodes, slots on them, cores and GPUs of each slot, and for how long. */

import { about, FluxError } from '../errno.ts';
import { type JsonObject, type JsonValue, Real } from '../json.ts';
import { isObject } from '../message/unpack.ts';
import { ResourceCount } from './resource-count.ts';

/** Nested deeper than this, resources are taken for a mistake. */
const DEPTH_MAX = 100;

/** One entry of a jobspec's resources. */
export interface ResourceVertex {
  readonly type: string;
  readonly count: ResourceCount;
  /** What the counts above it multiply to, each at its least. */
  readonly factor: number;
  readonly exclusive: boolean;
}

/**
 * Goes through the resources of a jobspec, parents before children.
 *
 * @throws FluxError EINVAL: they are not what RFC 14 says, and where
 */
export function walkResources(resources: JsonValue | undefined, visit: (vertex: ResourceVertex) => void): void {
  walkLevel(resources, 0, 1, visit);
}

function walkLevel(
  resources: JsonValue | undefined,
  level: number,
  factor: number,
  visit: (vertex: ResourceVertex) => void,
): void {
  if (!Array.isArray(resources)) throw invalid(`level ${level}: must be an array`);
  if (level > DEPTH_MAX) throw invalid(`jobspec resource nesting exceeds maximum depth ${DEPTH_MAX}`);
  for (const resource of resources as readonly JsonValue[]) {
    if (!isObject(resource)) throw invalid(`level ${level}: a resource must be an object`);
    const { type, exclusive, with: children } = resource;
    if (typeof type !== 'string') throw invalid(`level ${level}: a resource has no type`);
    const count = readCount(resource, level);
    visit({ type, count, factor, exclusive: exclusive === true });
    if (children !== undefined) walkLevel(children, level + 1, factor * count.min, visit);
  }
}

function readCount({ type, count }: JsonObject, level: number): ResourceCount {
  try {
    return ResourceCount.parse(count);
  } catch (error) {
    throw about(`level ${level}: ${String(type)}`, error);
  }
}

export interface RequestedSlots {
  /** How many nodes; undefined when slots may be anywhere. */
  readonly nodes: ResourceCount | undefined;
  /** How many slots: on each node where nodes are asked for, else in all. */
  readonly slots: ResourceCount;
  /** Cores of a slot. */
  readonly cores: number;
  /** GPUs of a slot. */
  readonly gpus: number;
  /** Nodes are wanted whole. */
  readonly exclusive: boolean;
}

/**
 * Reads the resources of a jobspec. Of each type the last that is found counts; types that are not known are let pass.
 *
 * @throws FluxError EINVAL: it has no slots, or slots without cores, or its resources are none
 */
export function readSlots({ resources }: JsonObject): RequestedSlots {
  let nodes: ResourceCount | undefined;
  let slots: ResourceCount | undefined;
  let cores = 0;
  let gpus = 0;
  let exclusive = false;
  walkResources(resources, (vertex) => {
    const { type, count } = vertex;
    if (type === 'node') nodes = count.scaled(vertex.factor);
    else if (type === 'slot') slots = count;
    else if (type === 'core') cores = count.min;
    else if (type === 'gpu') gpus = count.min;
    if (vertex.exclusive && (type === 'node' || type === 'slot')) exclusive = true;
  });
  if (!slots) throw invalid('Unable to determine slot count');
  if (cores === 0) throw invalid('Unable to determine slot size');
  return { nodes, slots, cores, gpus, exclusive };
}

/**
 * The time limit of a jobspec in seconds; 0: none.
 *
 * @throws FluxError EINVAL: version 1 has one always; or it is no number
 */
export function readDuration({ attributes, version }: JsonObject): number {
  const system = isObject(attributes) ? attributes.system : undefined;
  const duration = isObject(system) ? (system.duration ?? undefined) : undefined;
  if (duration === undefined) {
    if (version !== 1) return 0;
    const missing = isObject(system) ? 'duration' : 'system';
    throw invalid(`getting duration: Object item not found: ${missing}`);
  }
  if (!(typeof duration === 'number' || typeof duration === 'bigint' || duration instanceof Real))
    throw invalid('getting duration: it is not a number');
  return Number(duration);
}

/** What a jobspec asks for in all, in numbers; where it leaves a choice the least. */
export interface JobspecCounts {
  /** Nodes; 0: any number of them. */
  readonly nodes: number;
  readonly slots: number;
  readonly cores: number;
  readonly gpus: number;
  /** How many cores it gets is not known before: its nodes are wanted whole. */
  readonly hasWholeNodes: boolean;
}

/** @throws FluxError EINVAL: as `readSlots` */
export function countJobspec(jobspec: JsonObject): JobspecCounts {
  const request = readSlots(jobspec);
  const nodes = request.nodes?.min ?? 0;
  const slots = request.slots.min * (nodes || 1);
  const { cores, gpus, exclusive } = request;
  return { nodes, slots, cores: slots * cores, gpus: slots * gpus, hasWholeNodes: exclusive && nodes > 0 };
}

function invalid(sentence: string): FluxError {
  return new FluxError('EINVAL', sentence);
}
