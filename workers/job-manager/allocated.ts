/** What jobs and housekeeping have of the resources (`job-manager.resource-status`). */

import { FluxError } from '../../core/errno.ts';
import { resourceSetFromJson, resourceSetToJson } from '../../core/formats/resource-json.ts';
import { ResourceSet } from '../../core/formats/resource-set.ts';
import type { JsonObject } from '../../core/json.ts';
import type { Job } from './job.ts';

/**
 * The resources of these jobs, and others, as one R.
 *
 * @throws FluxError EINVAL: one of them is no R, or two have the same resource
 */
export function allocatedResources(jobs: Iterable<Job>, others: Iterable<JsonObject>): JsonObject {
  try {
    const sets: ResourceSet[] = [];
    for (const { R, isFreePosted, bypassesAlloc } of jobs)
      if (R && !isFreePosted && !bypassesAlloc) sets.push(resourceSetFromJson(R));
    for (const R of others) sets.push(resourceSetFromJson(R));
    return resourceSetToJson(joinAll(sets));
  } catch (error) {
    throw new FluxError('EINVAL', (error as Error).message, { cause: error });
  }
}

/** All sets as one, joined in pairs: each node is copied as often as there are halvings. */
function joinAll(sets: readonly ResourceSet[]): ResourceSet {
  if (sets.length === 0) return ResourceSet.empty;
  let joined = sets.map((set) => new ResourceSet(set.nodes));
  while (joined.length > 1) {
    const next: ResourceSet[] = [];
    for (let at = 0; at < joined.length; at += 2)
      next.push(joined[at + 1] ? joined[at]!.append(joined[at + 1]!) : joined[at]!);
    joined = next;
  }
  return joined[0]!;
}
