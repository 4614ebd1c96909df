/**
 * How many tasks a job has on each of its ranks, and on which cores: the jobspec (RFC 14, RFC 25) laid over R (RFC 20).
 */

import { FluxError } from '../../core/errno.ts';
import { IdSet } from '../../core/formats/idset.ts';
import { resourceSetFromJson } from '../../core/formats/resource-json.ts';
import { TaskMap } from '../../core/formats/taskmap.ts';
import type { JsonObject, JsonValue } from '../../core/json.ts';
import { isObject, unpack } from '../../core/message/unpack.ts';

/** What a job has on one of its ranks. */
export interface LayoutNode {
  readonly brokerRank: number;
  readonly hostname: string;
  readonly cores: IdSet;
  readonly gpus: IdSet;
}

export interface JobLayout {
  readonly nodes: readonly LayoutNode[];
  readonly taskCount: number;
  readonly slotCount: number;
  /** Slots of each node, when the jobspec asks for nodes; else -1. */
  readonly slotsPerNode: number;
  readonly coresPerSlot: number;
  readonly gpusPerSlot: number;
  /** Tasks in blocks, node by node. */
  readonly taskmap: TaskMap;
  /** Whether nodes may have more than their tasks are to use; see `trimmed`. */
  readonly hasSpareSlots: boolean;
}

/**
 * The layout of a job.
 *
 * @param options the shell's options, of which `per-resource` counts
 * @throws FluxError EINVAL that says what is wrong with jobspec or R
 */
export function layOut(jobspec: JsonObject, R: JsonObject, options: JsonObject): JobLayout {
  const set = resourceSetFromJson(R);
  const nodes: LayoutNode[] = set.byRank().map(({ rank, hostname, resources }) => ({
    brokerRank: rank,
    hostname: hostname ?? String(rank),
    cores: resources.get('core') ?? IdSet.empty,
    gpus: resources.get('gpu') ?? IdSet.empty,
  }));
  if (nodes.length === 0) throw invalid('R has no ranks');
  const resources = jobspec.resources ?? [];
  const cores = set.count('core');
  const { slotCount, hasNode } = slots(resources, set.nslots, nodes.length);
  const coresPerSlot = Math.floor(cores / slotCount);
  const perResource = perResourceOption(options);
  const counts = perResource
    ? nodes.map((node) => perResource.count * (perResource.type === 'core' ? node.cores.count : 1))
    : distribute(nodes, taskTotal(jobspec, slotCount), coresPerSlot, cores);
  const taskCount = counts.reduce((sum, count) => sum + count, 0);
  return {
    nodes,
    taskCount,
    slotCount,
    slotsPerNode: hasNode ? Math.floor(slotCount / nodes.length) : -1,
    coresPerSlot,
    gpusPerSlot: Math.floor(set.count('gpu') / slotCount),
    taskmap: TaskMap.of(counts.flatMap((ppn, nodeid) => (ppn > 0 ? [{ nodeid, nnodes: 1, ppn }] : []))),
    hasSpareSlots: hasNode && nodes.length > 1 && !perResource && slotCount > taskCount && !isNodeExclusive(resources),
  };
}

/**
 * A node with the resources that its tasks are to use: a jobspec of version 1 asks for as many slots on each node, and where
 * tasks do not divide by nodes some node has one too many (RFC 25).
 */
export function trimmed(layout: JobLayout, node: LayoutNode, taskCount: number): LayoutNode {
  if (!layout.hasSpareSlots) return node;
  return {
    ...node,
    cores: first(node.cores, taskCount * layout.coresPerSlot),
    gpus: first(node.gpus, taskCount * layout.gpusPerSlot),
  };
}

function first(ids: IdSet, count: number): IdSet {
  return ids.count > count ? IdSet.from([...ids].slice(0, count)) : ids;
}

function invalid(sentence: string): FluxError {
  return new FluxError('EINVAL', sentence);
}

// ---- the jobspec

function slots(resources: JsonValue, nslots: number, nodeCount: number): { slotCount: number; hasNode: boolean } {
  const hasNode = firstType(resources) === 'node';
  if (nslots > 0) return { slotCount: nslots, hasNode };
  const found = findSlot(resources);
  return { slotCount: found.inNode ? found.count * nodeCount : found.count, hasNode: found.inNode };
}

function firstType(resources: JsonValue): JsonValue | undefined {
  const entry = Array.isArray(resources) ? resources[0] : undefined;
  return isObject(entry) ? entry.type : undefined;
}

function findSlot(resources: JsonValue): { count: number; inNode: boolean } {
  let inNode = false;
  const visit = (entries: JsonValue | undefined): number | undefined => {
    for (const entry of Array.isArray(entries) ? entries : []) {
      if (!isObject(entry)) continue;
      if (entry.type === 'slot') {
        if (typeof entry.count !== 'number' || !Number.isInteger(entry.count) || entry.count < 1)
          throw invalid('count must be integer for slot resource');
        return entry.count;
      }
      if (entry.type === 'node') inNode = true;
      const count = visit(entry.with);
      if (count !== undefined) return count;
    }
    return undefined;
  };
  const count = visit(resources);
  if (count === undefined) throw invalid('Missing slot resource');
  return { count, inNode };
}

function isNodeExclusive(resources: JsonValue): boolean {
  for (const entry of Array.isArray(resources) ? resources : []) {
    if (!isObject(entry)) continue;
    if (entry.type === 'node') return entry.exclusive === true;
    if (entry.with !== undefined) return isNodeExclusive(entry.with);
  }
  return false;
}

function taskTotal(jobspec: JsonObject, slotCount: number): number {
  const [task] = Array.isArray(jobspec.tasks) ? jobspec.tasks : [];
  const count = isObject(task) ? task.count : undefined;
  if (!isObject(count) || Object.keys(count).length !== 1) throw invalid('tasks count must have exactly one key set');
  const { total, per_slot: perSlot } = count;
  if (typeof total === 'number' && total >= 1) return total;
  if (perSlot === 1) return slotCount;
  throw invalid(perSlot === undefined ? 'Unable to parse tasks count' : `per_slot count: expected 1 got ${perSlot}`);
}

function perResourceOption(options: JsonObject): { type: 'node' | 'core'; count: number } | undefined {
  const option = options['per-resource'];
  if (option === undefined) return undefined;
  try {
    const { type, count = 1 } = unpack(option, { type: 's', count: 'i?' });
    if (count <= 0) throw invalid('per-resource.count must be > 0');
    if (type !== 'node' && type !== 'core') throw invalid(`unknown type '${type}'`);
    return { type, count };
  } catch (error) {
    throw invalid(`invalid per-resource section: ${(error as Error).message}`);
  }
}

// ---- tasks

/** Gives tasks to nodes one at a time, the largest first, as long as a node has cores for one; then all over again. */
function distribute(nodes: readonly LayoutNode[], total: number, coresPerSlot: number, cores: number): number[] {
  const counts = new Array<number>(nodes.length).fill(0);
  const perTask = Math.min(
    coresPerSlot > 0 ? coresPerSlot : Math.floor(cores / total),
    ...nodes.map((node) => node.cores.count),
  );
  if (perTask <= 0) throw invalid(`error distributing ${total} tasks over R`);
  const order = nodes.map((_, index) => index).sort((a, b) => nodes[b]!.cores.count - nodes[a]!.cores.count);
  let assigned = 0;
  while (assigned < total) {
    const room = nodes.map((node) => Math.floor(node.cores.count / perTask));
    let ring = order;
    while (assigned < total && ring.length > 0) {
      ring = ring.filter((index) => {
        if (room[index] === 0) return false;
        if (assigned === total) return true;
        room[index]!--;
        counts[index]!++;
        assigned++;
        return true;
      });
    }
  }
  return counts;
}
