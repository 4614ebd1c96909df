/** What an instance tells of itself that is a job of another one. */

import type { ResourceSet } from '../core/formats/resource-set.ts';
import { Handle } from '../core/handle/handle.ts';
import { fetchJobStats, type JobStats } from './job-stats.ts';
import type { JobInfo } from './listed-job.ts';
import { fetchSchedResources, type SchedResources } from './resource-inventory.ts';

export interface InstanceInfo {
  readonly stats: JobStats;
  readonly resources: SchedResources;
}

/** Does something with the instance that a job is; undefined when it cannot be reached, or does not answer. */
export async function askInstance<T>(uri: string, work: (handle: Handle) => Promise<T>): Promise<T | undefined> {
  try {
    const handle = await Handle.open(uri);
    try {
      return await work(handle);
    } finally {
      await handle.close();
    }
  } catch {
    return undefined;
  }
}

/** Asks the instances that jobs are, `limit` at a time. */
export async function fetchInstances(jobs: readonly JobInfo[], limit: number): Promise<void> {
  const instances = jobs.filter((job) => job.uri !== undefined && job.isRunning);
  await eachOf(instances, limit, async (job) => {
    job.instance = await askInstance(job.uri!, async (handle) => {
      const [stats, resources] = await Promise.all([fetchJobStats(handle), fetchSchedResources(handle)]);
      return { stats, resources };
    });
  });
}

/** Does something with each item, with no more than `limit` of them at a time. */
export async function eachOf<T>(items: readonly T[], limit: number, work: (item: T) => Promise<void>): Promise<void> {
  const queue = items.values();
  const worker = async () => {
    for (const item of queue) await work(item);
  };
  await Promise.all(Array.from({ length: Math.min(limit, items.length) }, worker));
}

/** Counts of a set, by the names that formats have for them. */
export const resourceCounts: Readonly<Record<string, (set: ResourceSet) => number>> = {
  nnodes: (set) => set.nodes.length,
  ncores: (set) => set.count('core'),
  ngpus: (set) => set.count('gpu'),
};
