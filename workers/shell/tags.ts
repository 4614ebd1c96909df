/** The tags of templates that the shell itself knows: the job, its nodes and its tasks. */

import { encodeFluid, fluidForms } from '../../core/formats/fluid.ts';
import { systemAttributes } from '../../core/formats/system-attributes.ts';
import { stringifyJson } from '../../core/json.ts';
import { isObject } from '../../core/message/unpack.ts';
import type { Shell, ShellNode, ShellTask } from './plugin.ts';

/** What a tag stands for; undefined when it is none of these, or there is no task or node for it. */
export function shellTag(
  shell: Shell,
  name: string,
  task: ShellTask | undefined,
  node: ShellNode | undefined,
): string | undefined {
  const [, form] = /^(?:job)?id(?:\.(.*))?$/.exec(name) ?? [];
  if (name === 'id' || name === 'jobid') return encodeFluid(shell.jobid, 'f58');
  if (form !== undefined) {
    const known = fluidForms.find((each) => each === form);
    return known && encodeFluid(shell.jobid, known);
  }
  switch (name) {
    case 'name':
      return jobName(shell);
    case 'nnodes':
      return String(shell.size);
    case 'ntasks':
    case 'size':
      return String(shell.taskCount);
    case 'taskid':
    case 'task.id':
    case 'task.rank':
      return task && String(task.rank);
    case 'task.index':
    case 'task.localid':
      return task && String(task.index);
  }
  return node && name.startsWith('node.') ? nodeTag(node, name.slice('node.'.length)) : undefined;
}

/** Whether a template comes out differently on each rank of a job. */
export function isPerRank(template: string): boolean {
  return /\{\{(?:node|task)\.|\{\{taskid\}\}/.test(template);
}

function jobName(shell: Shell): string {
  const { job } = systemAttributes(shell.jobspec);
  if (isObject(job) && typeof job.name === 'string') return job.name;
  const [entry] = Array.isArray(shell.jobspec.tasks) ? shell.jobspec.tasks : [];
  const command = isObject(entry) && Array.isArray(entry.command) ? entry.command : [];
  return String(command[0] ?? 'unknown').replace(/.*\//, '');
}

function nodeTag(node: ShellNode, name: string): string | undefined {
  const resources = { ncores: node.cores.count, cores: node.cores.encode(), gpus: node.gpus.encode() };
  switch (name.replace(/^resources\./, '')) {
    case 'id':
      return String(node.id);
    case 'name':
      return node.hostname;
    case 'broker_rank':
      return String(node.brokerRank);
    case 'ntasks':
      return String(node.taskids.count);
    case 'taskids':
      return node.taskids.encode();
    case 'ncores':
      return String(resources.ncores);
    case 'cores':
      return resources.cores;
    case 'gpus':
      return resources.gpus;
    case 'resources':
      return stringifyJson(resources);
    default:
      return undefined;
  }
}
