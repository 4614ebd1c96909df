/** The schemes `cyclic[:STRIDE]` and `hostfile:FILE` of the option `taskmap`. */

import { asFluxError, FluxError } from '../../../core/errno.ts';
import { Hostlist } from '../../../core/formats/hostlist.ts';
import { TaskMap } from '../../../core/formats/taskmap.ts';
import type { Shell, ShellPlugin } from '../plugin.ts';

export const taskmapPlugin: ShellPlugin = {
  name: 'taskmap',
  load(shell) {
    if (shell.option('taskmap') === undefined) return undefined;
    return { taskmaps: { cyclic, hostfile: (path) => hostfile(shell, path) } };
  },
};

/** Hands out `stride` tasks to each node in turn, no more to any than it had. */
function cyclic(value: string, map: TaskMap): TaskMap {
  const stride = value === '' ? 1 : Number(value);
  if (!Number.isInteger(stride) || stride <= 0) throw new FluxError('EINVAL', `invalid cyclic stride: ${value}`);
  const left = countsOf(map);
  const runs: { nodeid: number; nnodes: number; ppn: number }[] = [];
  for (let isMore = true; isMore; ) {
    isMore = false;
    for (const [nodeid, count] of left.entries()) {
      const ppn = Math.min(stride, count);
      if (ppn === 0) continue;
      runs.push({ nodeid, nnodes: 1, ppn });
      left[nodeid] = count - ppn;
      isMore = true;
    }
  }
  return TaskMap.of(runs);
}

function countsOf(map: TaskMap): number[] {
  const counts = new Array<number>(map.nodeCount).fill(0);
  for (const { nodeid, nnodes, ppn, repeat } of map.blocks)
    for (let node = nodeid; node < nodeid + nnodes; node++) counts[node]! += ppn * repeat;
  return counts;
}

/** Gives a task to each host of a file in turn, over and over. */
async function hostfile(shell: Shell, path: string): Promise<TaskMap> {
  const hosts = await readHosts(shell, path);
  const nodeOf = new Map<string, number>();
  for (const { hostname, id } of shell.nodes) if (!nodeOf.has(hostname)) nodeOf.set(hostname, id);
  const runs = Array.from({ length: shell.taskCount }, (_, taskid) => {
    const host = hosts[taskid % hosts.length]!;
    const nodeid = nodeOf.get(host);
    if (nodeid === undefined)
      throw new FluxError(
        'EINVAL',
        `failed to map tasks with hostfile:${path}: host ${host} not found in job nodelist`,
      );
    return { nodeid, nnodes: 1, ppn: 1 };
  });
  return TaskMap.of(runs);
}

async function readHosts(shell: Shell, path: string): Promise<string[]> {
  try {
    const lines = (await shell.files.readFile(path, 'utf8')).split('\n');
    const hosts = lines.flatMap((line) => Hostlist.parse(line.trim()).expand());
    if (hosts.length) return hosts;
  } catch (error) {
    throw new FluxError('EINVAL', `failed to open hostfile: ${path}: ${asFluxError(error).message}`);
  }
  throw new FluxError('EINVAL', `there are no hosts in ${path}`);
}
