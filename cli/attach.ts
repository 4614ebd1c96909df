/** Follows programs that run in the background: `flux exec --attach`, `flux sproc attach`. */

import { FluxError } from '../core/errno.ts';
import type { IdSet } from '../core/formats/idset.ts';
import type { Handle } from '../core/handle/handle.ts';
import { RemoteProcess } from '../core/handle/remote-process.ts';
import { ExecGroup, type GroupOptions } from './exec-group.ts';
import { parseProcessName } from './remote-process.ts';

/**
 * Prints what a program writes from now on, until it ends or the user interrupts this command.
 *
 * @param target its process id, or the label that one has on each of the ranks
 * @returns its exit code
 */
export async function attach(
  handle: Handle,
  service: string,
  ranks: IdSet,
  target: string,
  options: GroupOptions,
): Promise<number> {
  const name = parseProcessName(target);
  if (name.label === undefined && ranks.count > 1)
    throw new FluxError('EINVAL', 'a process id means one process on one rank: name that with --rank');
  const title = name.label === undefined ? `pid ${target}` : `label ${target}`;
  const detachHint = `detached; \`flux sproc kill SIGNAL ${target}' signals it`;
  const group = new ExecGroup(title, { ...options, detachHint });
  await group.run(ranks, (rank) => RemoteProcess.attach(handle, service, rank, name, group), undefined);
  return group.exitCode;
}
