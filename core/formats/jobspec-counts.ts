/** What a jobspec of version 1 asks for, in numbers (RFC 14, RFC 25). */

import { FluxError } from '../errno.ts';
import { type JsonValue, Real } from '../json.ts';
import { isObject } from '../message/unpack.ts';

export interface JobspecCounts {
  /** Nodes; 0: any number of them. */
  readonly nodes: number;
  /** Slots in all. */
  readonly slots: number;
  /** Cores of each slot. */
  readonly cores: number;
  /** GPUs of each slot. */
  readonly gpus: number;
  /** Whether nodes are not shared with other jobs. */
  readonly isExclusive: boolean;
  /** The time limit in seconds; 0: none. */
  readonly duration: number;
}

/**
 * Reads the counts of a jobspec; types that it does not know are let pass.
 *
 * @throws FluxError EINVAL: it has no slots, or slots without cores, or is no jobspec
 */
export function countJobspec(jobspec: JsonValue | undefined): JobspecCounts {
  if (!isObject(jobspec)) throw invalid('the jobspec is not an object');
  const { version, resources, attributes } = jobspec;
  if (!Number.isInteger(version)) throw invalid('the jobspec has no version');
  const system = isObject(attributes) ? attributes.system : undefined;
  const duration = isObject(system) ? system.duration : undefined;
  if (!(typeof duration === 'number' || duration instanceof Real)) throw invalid('the jobspec has no duration');
  const counts = { nodes: 0, slots: 0, cores: 0, gpus: 0, isExclusive: false, duration: Number(duration) };
  readLevel(resources, 1, counts, 0);
  if (counts.slots === 0) throw invalid('Unable to determine slot count');
  if (counts.cores === 0) throw invalid('Unable to determine slot size');
  if (counts.nodes) counts.slots *= counts.nodes;
  return counts;
}

const DEPTH_MAX = 100;

interface Counts {
  nodes: number;
  slots: number;
  cores: number;
  gpus: number;
  isExclusive: boolean;
}

/** Reads a list of resources; each of them is there `times` in all. */
function readLevel(resources: JsonValue | undefined, times: number, counts: Counts, level: number): void {
  if (!Array.isArray(resources)) throw invalid(`level ${level}: must be an array`);
  if (level > DEPTH_MAX) throw invalid('resources are nested too deep');
  for (const resource of resources as readonly JsonValue[]) {
    if (!isObject(resource)) throw invalid(`level ${level}: a resource must be an object`);
    const { type, count, exclusive, with: children } = resource;
    if (typeof type !== 'string') throw invalid(`level ${level}: a resource has no type`);
    if (typeof count !== 'number' || !Number.isInteger(count)) throw invalid(`level ${level}: '${type}' has no count`);
    if (count <= 0) throw invalid(`Invalid count ${count} for type '${type}'`);
    if (type === 'node') {
      counts.nodes = times * count;
      if (exclusive === true) counts.isExclusive = true;
    } else if (type === 'slot') counts.slots = count;
    else if (type === 'core') counts.cores = count;
    else if (type === 'gpu') counts.gpus = count;
    if (children !== undefined) readLevel(children, times * count, counts, level + 1);
  }
}

function invalid(sentence: string): FluxError {
  return new FluxError('EINVAL', sentence);
}
