/** Which ranks `flux exec` runs a program on, and by which service. */

import { FluxError } from '../core/errno.ts';
import { IdSet } from '../core/formats/idset.ts';

export interface Targets {
  readonly ranks: IdSet;
  readonly service: string;
}

/** The ranks of an instance. */
export function instanceTargets(size: number): Targets {
  return { ranks: IdSet.range(0, size - 1), service: 'rexec' };
}

/**
 * The targets that `--rank` includes and `--exclude` does not.
 *
 * @param include positions among the targets, which are the ranks themselves unless they are a job's
 * @param relative whether `exclude` names positions, too, and not ranks
 * @throws FluxError EINVAL: there is no such position, or no target is left
 */
export function filterTargets(
  ranks: IdSet,
  include: IdSet | undefined,
  exclude: IdSet | undefined,
  relative: boolean,
): IdSet {
  if (include && (include.last ?? 0) >= ranks.count)
    throw new FluxError('EINVAL', `one or more of the ranks ${include} do not exist: there are ${ranks.count}`);
  const kept = [...ranks].filter(
    (rank, position) => (include?.has(position) ?? true) && !exclude?.has(relative ? position : rank),
  );
  if (kept.length === 0) throw new FluxError('EINVAL', 'no rank is left to run it on');
  return IdSet.from(kept);
}
