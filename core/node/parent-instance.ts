/** What an instance that is a job tells the instance that it is a job of, when it starts. */

import { about, asFluxError, FluxError } from '../errno.ts';
import { parseFluid } from '../formats/fluid.ts';
import { IdSet } from '../formats/idset.ts';
import { TaskMap } from '../formats/taskmap.ts';
import { Handle } from '../handle/handle.ts';
import { type Instance, socketPath } from './instance.ts';
import type { Enclosing } from './instance-attributes.ts';

/**
 * Posts where an instance is, as the memo of the job that it is, and which of the job's nodes it cannot do without.
 *
 * @throws FluxError what connecting failed with, or what the enclosing instance says
 */
export async function tellParent(instance: Instance, enclosing: Enclosing): Promise<void> {
  if (enclosing.uri === undefined)
    throw new FluxError('EINVAL', 'FLUX_URI of the enclosing instance is not in the environment');
  const uri = `ssh://${instance.hostnames[0]}${socketPath(instance.rundir, 0)}`;
  const id = parseFluid(enclosing.jobid);
  const handle = await Handle.open(enclosing.uri, { env: {} });
  try {
    const nodes = criticalNodes(instance);
    await Promise.all([
      say('job-manager.memo', handle.rpc('job-manager.memo', { id, memo: { uri } })),
      nodes &&
        say(
          'job-exec.critical-ranks',
          handle.rpc('job-exec.critical-ranks', { id, ranks: nodes }).catch(unlessMissing),
        ),
    ]);
  } finally {
    await handle.close();
  }
}

async function say(topic: string, answer: Promise<unknown>): Promise<void> {
  try {
    await answer;
  } catch (error) {
    throw about(topic, error);
  }
}

/** An instance whose jobs have no critical ranks takes all of them for critical. */
function unlessMissing(error: unknown): void {
  if (asFluxError(error).code !== 'ENOSYS') throw error;
}

/** The job's nodes that have critical ranks, counted from 0; undefined when nobody knows which they are. */
export function criticalNodes({ attributes }: Pick<Instance, 'attributes'>): string | undefined {
  const shared = new Map(attributes);
  const mapping = shared.get('broker.mapping');
  if (!mapping) return undefined;
  const map = TaskMap.parse(mapping);
  if (map.isUnknown) return undefined;
  const ranks = IdSet.parse(shared.get('broker.critical-ranks') ?? '');
  return IdSet.from([...ranks].map((rank) => map.nodeid(rank))).encode();
}
