/**
 * What a jobspec asks for (RFC 14, RFC 25), as a scheduler needs it: nodes, slots on them, cores and GPUs of each slot.
 */

import { FluxError } from '../../core/errno.ts';
import { compileConstraint, type NodeTest } from '../../core/formats/constraint.ts';
import { ResourceCount } from '../../core/formats/resource-count.ts';
import { type JsonObject, type JsonValue, Real, stringifyJson } from '../../core/json.ts';
import { isObject } from '../../core/message/unpack.ts';

/** Nested deeper than this, resources are taken for a mistake. */
const DEPTH_MAX = 100;

/** Which nodes a job may run on. */
export interface Constraint {
  /** The same for equal constraints; empty when all nodes pass. */
  readonly key: string;
  readonly test: NodeTest;
}

export interface ResourceRequest {
  /** How many nodes; undefined when slots may be anywhere. */
  readonly nodes: ResourceCount | undefined;
  /** How many slots: on each node where nodes are asked for, else in all. Of the former the least is given. */
  readonly slots: ResourceCount;
  /** Cores of a slot. */
  readonly cores: number;
  /** GPUs of a slot. */
  readonly gpus: number;
  /** Nodes are wanted whole. */
  readonly exclusive: boolean;
  /** Seconds; 0 when no end is known. */
  readonly duration: number;
  readonly constraint: Constraint;
  /** The same for requests that ask for the same, whatever their duration. */
  readonly shape: string;
}

/** Cores and GPUs that one node must have free for a request by nodes. */
export function perNode({ slots, cores, gpus }: ResourceRequest): { readonly cores: number; readonly gpus: number } {
  return { cores: slots.min * cores, gpus: slots.min * gpus };
}

interface Found {
  nodes: ResourceCount | undefined;
  slots: ResourceCount | undefined;
  cores: number | undefined;
  gpus: number;
  exclusive: boolean;
}

/**
 * Reads a jobspec. Of each type the last that is found counts; types that are not known are passed through.
 *
 * @throws FluxError EINVAL: it asks for nothing that can be scheduled, or in a way that is none
 */
export function readRequest(jobspec: JsonObject): ResourceRequest {
  const found: Found = { nodes: undefined, slots: undefined, cores: undefined, gpus: 0, exclusive: false };
  const { resources } = jobspec;
  if (!Array.isArray(resources) || resources.length === 0) throw invalid('jobspec has no resources');
  walk(resources, 1, 1, found);
  const { duration, constraint } = readSystem(jobspec);
  const { slots, cores, gpus, exclusive } = found;
  if (!slots) throw invalid('Unable to determine slot count');
  if (cores === undefined) throw invalid('Unable to determine slot size');
  // Whole nodes without a number of nodes: a slot on each.
  const isBySlot = exclusive && !found.nodes;
  const nodes = isBySlot ? slots : found.nodes;
  const placed = isBySlot ? ResourceCount.of(1) : slots;
  const shape = `${nodes ?? ''}/${nodes ? placed.min : placed}/${cores}/${gpus}/${exclusive ? 'x' : ''}/${constraint.key}`;
  return { nodes, slots: placed, cores, gpus, exclusive, duration, constraint, shape };
}

/** @param factor what the counts above multiply to */
function walk(resources: readonly JsonValue[], factor: number, depth: number, found: Found): void {
  if (depth > DEPTH_MAX) throw invalid(`jobspec resource nesting exceeds maximum depth ${DEPTH_MAX}`);
  for (const resource of resources) {
    if (!isObject(resource)) throw invalid('a resource is not an object');
    const { type, exclusive, with: children = [] } = resource;
    const count = ResourceCount.parse(resource.count);
    if (!Array.isArray(children)) throw invalid('with is not an array');
    if (type === 'node') found.nodes = count.scaled(factor);
    else if (type === 'slot') found.slots = count;
    else if (type === 'core') found.cores = count.min;
    else if (type === 'gpu') found.gpus = count.min;
    if (exclusive === true && (type === 'node' || type === 'slot')) found.exclusive = true;
    walk(children, type === 'node' ? factor : factor * count.min, depth + 1, found);
  }
}

function readSystem({ attributes, version }: JsonObject): { duration: number; constraint: Constraint } {
  const system = isObject(attributes) ? attributes.system : undefined;
  if (!isObject(system)) {
    if (version === 1) throw invalid('getting duration: Object item not found: system');
    return { duration: 0, constraint: anyNode };
  }
  const { duration, constraints } = system;
  if (version === 1 && (duration === undefined || duration === null))
    throw invalid('getting duration: Object item not found: duration');
  return { duration: secondsOf(duration ?? 0), constraint: readConstraint(constraints) };
}

function secondsOf(duration: JsonValue): number {
  const seconds =
    duration instanceof Real ? duration.value : typeof duration === 'bigint' ? Number(duration) : duration;
  if (typeof seconds !== 'number') throw invalid('getting duration: it is not a number');
  return Math.max(seconds, 0);
}

/** The constraint of a job that has none. */
export const anyNode: Constraint = { key: '', test: () => true };

function readConstraint(constraint: JsonValue | undefined): Constraint {
  if (constraint === undefined || constraint === null) return anyNode;
  const test = compileConstraint(constraint);
  return isObject(constraint) && Object.keys(constraint).length === 0
    ? anyNode
    : { key: stringifyJson(constraint), test };
}

function invalid(sentence: string): FluxError {
  return new FluxError('EINVAL', sentence);
}
