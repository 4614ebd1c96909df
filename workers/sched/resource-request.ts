/** What a jobspec asks for, as a scheduler needs it: slots, for how long, and on which nodes. */

import { FluxError } from '../../core/errno.ts';
import { compileConstraint, type NodeTest } from '../../core/formats/constraint.ts';
import { type RequestedSlots, readDuration, readSlots } from '../../core/formats/jobspec-resources.ts';
import { valueAt } from '../../core/formats/json-path.ts';
import { ResourceCount } from '../../core/formats/resource-count.ts';
import { type JsonObject, type JsonValue, stringifyJson } from '../../core/json.ts';
import { isObject } from '../../core/message/unpack.ts';

/** Which nodes a job may run on. */
export interface Constraint {
  /** The same for equal constraints; empty when all nodes pass. */
  readonly key: string;
  readonly test: NodeTest;
}

/** Nodes wanted whole without a number of nodes are a slot on each. */
export interface ResourceRequest extends RequestedSlots {
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

/**
 * Reads a jobspec.
 *
 * @throws FluxError EINVAL: it asks for nothing that can be scheduled, or in a way that is none
 */
export function readRequest(jobspec: JsonObject): ResourceRequest {
  const { resources } = jobspec;
  if (!Array.isArray(resources) || resources.length === 0) throw new FluxError('EINVAL', 'jobspec has no resources');
  const wanted = readSlots(jobspec);
  const duration = Math.max(readDuration(jobspec), 0);
  const constraint = readConstraint(valueAt(jobspec, 'attributes.system.constraints'));
  const { cores, gpus, exclusive } = wanted;
  const isBySlot = exclusive && !wanted.nodes;
  const nodes = isBySlot ? wanted.slots : wanted.nodes;
  const slots = isBySlot ? ResourceCount.of(1) : wanted.slots;
  const shape = `${nodes ?? ''}/${nodes ? slots.min : slots}/${cores}/${gpus}/${exclusive ? 'x' : ''}/${constraint.key}`;
  return { nodes, slots, cores, gpus, exclusive, duration, constraint, shape };
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
