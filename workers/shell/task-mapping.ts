/** The option `taskmap`: which task of a job runs on which of its nodes (RFC 34), unless they go there in blocks. */

import { asFluxError, FluxError } from '../../core/errno.ts';
import { TaskMap } from '../../core/formats/taskmap.ts';
import { unpack } from '../../core/message/unpack.ts';
import type { Shell, TaskMapScheme } from './plugin.ts';

/**
 * The task map that the options ask for.
 *
 * @param find the scheme of a name, of those that plugins know
 * @throws FluxError EINVAL: no such scheme, not such a value, a map that is not one of this job
 */
export async function mapTasks(shell: Shell, find: (scheme: string) => TaskMapScheme | undefined): Promise<TaskMap> {
  const option = shell.option('taskmap');
  if (option === undefined) return shell.taskmap;
  let settings: { readonly scheme: string; readonly value: string | undefined };
  try {
    settings = unpack(option, { scheme: 's', value: 's?' });
  } catch (error) {
    throw new FluxError('EINVAL', `failed to parse taskmap shell option: ${asFluxError(error).message}`);
  }
  const { scheme, value = '' } = settings;
  if (scheme === 'block') {
    if (value !== '') throw new FluxError('EINVAL', `block taskmap does not accept a value (got ${value})`);
    return shell.taskmap;
  }
  const map = scheme === 'manual' ? manual(value) : await find(scheme)?.(value, shell.taskmap);
  if (!map) throw new FluxError('EINVAL', `failed to map tasks with scheme=${scheme}`);
  check(map, shell);
  return map;
}

function manual(value: string): TaskMap {
  try {
    return TaskMap.parse(value);
  } catch (error) {
    throw new FluxError('EINVAL', `taskmap=${value}: ${asFluxError(error).message}`);
  }
}

function check(map: TaskMap, shell: Shell): void {
  if (map.isUnknown) throw new FluxError('EINVAL', 'invalid taskmap: mapping is unknown');
  const differ = (what: string, has: number, wants: number) => {
    if (has !== wants) throw new FluxError('EINVAL', `invalid taskmap: got ${has} total ${what}, expected ${wants}`);
  };
  differ('tasks', map.taskCount, shell.taskCount);
  if (map.nodeCount > shell.size) differ('nodes', map.nodeCount, shell.size);
}
