/** The jobspec of `flux submit`, `flux run` and `flux bulksubmit`: a command, on tasks or on resources. */

import type { Command } from 'commander';
import { FluxError } from '../core/errno.ts';
import { IdSet } from '../core/formats/idset.ts';
import { Jobspec, type ResourceRequest } from '../core/formats/jobspec.ts';
import { parsePythonInt } from '../core/formats/python-number.ts';
import { increase } from './command.ts';
import { applyOptions, setBasics } from './jobspec-options.ts';
import { type SubmissionOptions, submissionOptions } from './submission-options.ts';

/** Options with numbers, kept as texts: `flux bulksubmit` puts its inputs into them. */
export interface TaskOptions extends SubmissionOptions {
  nodes?: string;
  exclusive?: boolean;
  ntasks?: string;
  coresPerTask?: string;
  gpusPerTask?: string;
  cores?: string;
  tasksPerNode?: string;
  tasksPerCore?: string;
  gpusPerNode?: string;
  verbose: number;
}

export function taskOptions(command: Command): Command {
  return submissionOptions(command)
    .option('--taskmap <URI>', 'How tasks are spread over nodes: block, cyclic[:N], manual:TASKMAP.')
    .option('-N, --nodes <N>', 'Number of nodes.')
    .option('-x, --exclusive', 'With --nodes: nothing else runs on them.')
    .option('-n, --ntasks <N>', 'Number of tasks.')
    .option('-c, --cores-per-task <N>', 'Cores for each task.')
    .option('-g, --gpus-per-task <N>', 'GPUs for each task.')
    .option('--cores <N>', 'Number of cores in all.')
    .option('--tasks-per-node <N>', 'Tasks on each node.')
    .option('--tasks-per-core <N>', 'Tasks on each core.')
    .option('--gpus-per-node <N>', 'With --nodes: GPUs on each of them.')
    .option('-v, --verbose', 'Say more on stderr; may be repeated.', increase, 0);
}

/**
 * The jobspec that a command line stands for.
 *
 * @throws FluxError what is wrong with the command line
 */
export function taskJobspec(words: readonly string[], options: TaskOptions): Jobspec {
  if (!words.length) throw new FluxError('EINVAL', 'job command and arguments are missing');
  const command = words[0] === '--' ? words.slice(1) : words;
  if (!command.length) throw new FluxError('EINVAL', 'job command and arguments are missing');
  const { input } = options;
  const jobspec = createJobspec(command, options);
  setBasics(jobspec, options, input !== undefined && inputRanks(input) === undefined ? input : undefined);
  applyOptions(jobspec, options);
  return jobspec;
}

/** The tasks that `--input` names; undefined when it names a file. */
export function inputRanks(input: string): IdSet | undefined {
  try {
    return IdSet.parse(input);
  } catch {
    return undefined;
  }
}

function createJobspec(command: readonly string[], options: TaskOptions): Jobspec {
  const ntasks = numberOf('ntasks', options.ntasks);
  const nodes = numberOf('nodes', options.nodes);
  const cores = numberOf('cores', options.cores);
  const coresPerTask = numberOf('cores-per-task', options.coresPerTask);
  const gpusPerTask = numberOf('gpus-per-task', options.gpusPerTask);
  const gpusPerNode = numberOf('gpus-per-node', options.gpusPerNode);
  const tasksPer = tasksPerResource(options);
  if (gpusPerNode && !nodes) throw new FluxError('EINVAL', '--gpus-per-node goes only with --nodes');
  if (tasksPer || gpusPerNode !== undefined || cores !== undefined) {
    if (ntasks !== undefined || coresPerTask !== undefined || gpusPerTask)
      throw new FluxError('EINVAL', 'options per resource do not go together with options per task (see --help)');
    // Whole nodes, where nothing but their number is known.
    const exclusive = options.exclusive || (Boolean(nodes) && cores === undefined);
    return Jobspec.forResources(command, { nodes, cores, gpusPerNode, exclusive, tasksPer });
  }
  // A number of nodes alone means a task on each, and the nodes whole.
  const wholeNodes = !ntasks && Boolean(nodes);
  return Jobspec.forSlots(command, {
    slots: ntasks || nodes || 1,
    cores: coresPerTask || 1,
    gpus: gpusPerTask,
    nodes,
    exclusive: options.exclusive || wholeNodes,
  });
}

function tasksPerResource(options: TaskOptions): ResourceRequest['tasksPer'] {
  const perNode = numberOf('tasks-per-node', options.tasksPerNode);
  const perCore = numberOf('tasks-per-core', options.tasksPerCore);
  if (perNode !== undefined && perCore !== undefined)
    throw new FluxError('EINVAL', '--tasks-per-node and --tasks-per-core do not go together');
  const count = perNode ?? perCore;
  if (count === undefined) return undefined;
  const type = perNode === undefined ? 'core' : 'node';
  if (count < 1) throw new FluxError('EINVAL', `--tasks-per-${type} must be at least 1`);
  return { type, count };
}

function numberOf(option: string, text: string | undefined): number | undefined {
  if (!text) return undefined;
  const number = parsePythonInt(text);
  if (number === undefined) throw new FluxError('EINVAL', `--${option}: '${text}' is not an integer`);
  return number;
}
