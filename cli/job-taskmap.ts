/** `flux job taskmap`: which task of a job runs where (RFC 34). */

import { FluxError } from '../core/errno.ts';
import { Hostlist } from '../core/formats/hostlist.ts';
import { TaskMap, type TaskMapForm } from '../core/formats/taskmap.ts';
import type { Handle } from '../core/handle/handle.ts';
import { parseJson } from '../core/json.ts';
import { isObject } from '../core/message/unpack.ts';
import { integer, withHandle } from './command.ts';
import { watchEventlog } from './eventlog.ts';
import { splitIds } from './job-id.ts';
import { lookupJob } from './job-info.ts';
import type { NestedCommand } from './nested.ts';
import { print } from './print.ts';

interface Options {
  taskids: number;
  ntasks: number;
  nodeid: number;
  hostname: number;
  to?: string;
}

/** What an option is that was not given; flux-core takes -1 for that, too. */
const UNSET = -1;

export const taskmapCommand: NestedCommand = {
  summary: 'Show which tasks of a job run where',
  define: (command) =>
    command
      .argument('<id|taskmap>', 'job id, or a task map')
      .option('--taskids <NODE>', 'Only the tasks of this node, counted from 0 in the job.', integer, UNSET)
      .option('--ntasks <NODE>', 'Only how many tasks this node has.', integer, UNSET)
      .option('--nodeid <TASK>', 'Only the node of this task.', integer, UNSET)
      .option('--hostname <TASK>', 'Only the host of this task.', integer, UNSET)
      .option('--to <FORM>', 'Write it in another form: raw, pmi, multiline, or hosts.')
      .action((text: string, options: Options) => showTaskmap(text, options)),
};

async function showTaskmap(text: string, options: Options): Promise<void> {
  const [job] = splitIds([text]).ids;
  if (!job) {
    if (options.hostname !== UNSET || options.to === 'hosts')
      throw new FluxError('EINVAL', 'hosts are those of a job: this takes a job id, not a task map');
    print(describe(readTaskmap(text), options));
    return;
  }
  await withHandle(async (handle) => {
    const [word, id] = job;
    const map = await taskmapOf(handle, id, word);
    const { hostname, taskids, ntasks, nodeid } = options;
    if (taskids === UNSET && ntasks === UNSET && nodeid === UNSET && hostname !== UNSET)
      print(hostOf(await hostsOfJob(handle, id), map.nodeid(hostname)));
    else if (taskids === UNSET && ntasks === UNSET && nodeid === UNSET && options.to === 'hosts') {
      const hosts = await hostsOfJob(handle, id);
      for (let node = 0; node < map.nodeCount; node++) print(`${hostOf(hosts, node)}: ${map.taskids(node).encode()}`);
    } else print(describe(map, options));
  });
}

function readTaskmap(text: string): TaskMap {
  try {
    return TaskMap.parse(text);
  } catch (error) {
    throw new FluxError('EINVAL', `'${text}' is neither a job id nor a task map: ${(error as Error).message}`);
  }
}

function describe(map: TaskMap, { taskids, ntasks, nodeid, to }: Options): string {
  if (taskids !== UNSET) return map.taskids(taskids).encode();
  if (ntasks !== UNSET) return String(map.taskids(ntasks).count);
  if (nodeid !== UNSET) return String(map.nodeid(nodeid));
  if (to === undefined) return map.encode();
  const form = (['raw', 'pmi', 'multiline'] as const satisfies readonly TaskMapForm[]).find((each) => each === to);
  if (form === undefined) throw new FluxError('EINVAL', `--to: there is no form '${to}'; raw, pmi, multiline, hosts`);
  return map.encode(form);
}

async function taskmapOf(handle: Handle, id: bigint, word: string): Promise<TaskMap> {
  try {
    for await (const { name, context } of watchEventlog(handle, id, 'guest.exec.eventlog'))
      if (name === 'shell.start') return TaskMap.fromJson(context.taskmap);
  } catch (error) {
    throw (error as FluxError).code === 'ENOENT' ? new FluxError('ENOENT', `there is no job ${word}`) : error;
  }
  throw new FluxError('ENODATA', `job ${word} has no task map`);
}

async function hostsOfJob(handle: Handle, id: bigint): Promise<Hostlist> {
  const R = parseJson(await lookupJob(handle, id, 'R'));
  const execution = isObject(R) ? R.execution : undefined;
  const nodelist = isObject(execution) ? execution.nodelist : undefined;
  if (!Array.isArray(nodelist)) throw new FluxError('EPROTO', 'the resources of the job name no hosts');
  return Hostlist.parse(nodelist.join(','));
}

function hostOf(hosts: Hostlist, node: number): string {
  const host = hosts.nth(node);
  if (host === undefined) throw new FluxError('ENOENT', `the resources of the job have no node ${node}`);
  return host;
}
