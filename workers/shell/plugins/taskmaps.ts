/** `-o taskmap=…`: ways to map tasks to nodes beside blocks and a map that is given. */

import { asFluxError, FluxError } from '../../../core/errno.ts';
import { Hostlist } from '../../../core/formats/hostlist.ts';
import { type TaskBlock, TaskMap } from '../../../core/formats/taskmap.ts';
import type { Shell, ShellPlugin } from '../plugin.ts';

export const taskmapsPlugin: ShellPlugin = {
  name: 'taskmap',
  load: (shell) => ({
    taskmaps: {
      cyclic: (value, map) => cyclic(map, parseStride(value)),
      hostfile: (value, map) => mapByHosts(shell, map, value),
    },
  }),
};

function parseStride(value: string): number {
  if (value === '') return 1;
  const stride = /^\s*\+?\d+$/.test(value) ? Number(value) : 0;
  if (stride <= 0 || !Number.isSafeInteger(stride)) throw new FluxError('EINVAL', `invalid cyclic stride: ${value}`);
  return stride;
}

/** Deals tasks to the nodes in turn, `stride` at a time, until each has as many as in the map that there is. */
export function cyclic(map: TaskMap, stride: number): TaskMap {
  const room = Array.from({ length: map.nodeCount }, () => 0);
  for (const { nodeid, nnodes, ppn, repeat } of map.blocks) {
    for (let node = nodeid; node < nodeid + nnodes; node++) room[node]! += ppn * repeat;
  }
  const runs: Omit<TaskBlock, 'repeat'>[] = [];
  for (let open = room.flatMap((count, node) => (count ? [node] : [])); open.length; ) {
    for (const nodeid of open) {
      const ppn = Math.min(stride, room[nodeid]!);
      room[nodeid]! -= ppn;
      runs.push({ nodeid, nnodes: 1, ppn });
    }
    open = open.filter((node) => room[node]! > 0);
  }
  return TaskMap.of(runs);
}

async function mapByHosts(shell: Shell, map: TaskMap, path: string): Promise<TaskMap> {
  const text = await shell.files.readFile(path, 'utf8').catch((error: unknown) => {
    throw new FluxError(asFluxError(error).errno, `failed to open hostfile: ${path}: ${asFluxError(error).message}`);
  });
  try {
    const hosts = text.split('\n').flatMap((line) => Hostlist.parse(line).expand());
    return hostfile(
      hosts,
      shell.nodes.map(({ hostname }) => hostname),
      map.taskCount,
    );
  } catch (error) {
    throw new FluxError('EINVAL', `failed to map tasks with hostfile:${path}: ${asFluxError(error).message}`);
  }
}

/**
 * Gives a task to each host listed, again and again until there are no more tasks.
 *
 * @param nodes host names by node
 * @throws FluxError EINVAL: no hosts, one that the job does not have
 */
export function hostfile(hosts: readonly string[], nodes: readonly string[], taskCount: number): TaskMap {
  if (!hosts.length) throw new FluxError('EINVAL', 'it lists no hosts');
  const nodeids = new Map(nodes.map((host, node) => [host, node]).reverse() as [string, number][]);
  const runs = Array.from({ length: taskCount }, (_, task) => {
    const host = hosts[task % hosts.length]!;
    const nodeid = nodeids.get(host);
    if (nodeid === undefined) throw new FluxError('EINVAL', `host ${host} not found in job nodelist`);
    return { nodeid, nnodes: 1, ppn: 1 };
  });
  return TaskMap.of(runs);
}
