/**
 * `-o cpu-affinity=…`: binds tasks to processors.
 *
 * `on` (the default) binds all tasks of a node to the cores that the job has there, `per-task` divides these among them,
 * `map:SETS` says which task gets which, and `off` leaves them alone. `verbose` and `dry-run`, before one of these, tell
 * what is bound; the latter does not bind.
 */

import { IdSet } from '../../../core/formats/idset.ts';
import type { JsonValue } from '../../../core/json.ts';
import { coreCpus } from '../../../native/index.ts';
import { LogLevel, type Shell, type ShellPlugin, type ShellTask } from '../plugin.ts';
import { distribute, parseSetMap } from './cpu-sets.ts';

const name = 'cpu-affinity';

/** The processors of each core of this machine. */
export type Machine = () => readonly (readonly number[])[];

interface Affinity {
  readonly how: string;
  readonly isVerbose: boolean;
  readonly isDryRun: boolean;
}

export function cpuAffinityPlugin(machine: Machine = thisMachine): ShellPlugin {
  return {
    name,
    load: (shell) => ({
      'shell.init'() {
        const affinity = readOption(shell);
        if (affinity.how !== 'off') bindTasks(shell, machine(), affinity);
        else shell.log(LogLevel.debug, 'disabling affinity due to cpu-affinity=off', name);
      },
    }),
  };
}

const standard: Affinity = { how: 'on', isVerbose: false, isDryRun: false };

function readOption(shell: Shell): Affinity {
  const option = shell.option(name);
  const affinity = parseAffinity(option);
  if (!affinity) shell.log(LogLevel.warn, `invalid option: ${JSON.stringify(option)}`, name);
  return affinity ?? standard;
}

/** The option's parts; undefined when it is not text. */
export function parseAffinity(option: JsonValue | undefined): Affinity | undefined {
  if (option === undefined) return standard;
  if (typeof option !== 'string') return undefined;
  let how = option;
  const words = new Set<string>();
  for (let match = leadingWord(how); match; match = leadingWord(how)) {
    words.add(match[1]!);
    how = how.slice(match[0].length);
  }
  return { how, isVerbose: words.has('verbose') || words.has('dry-run'), isDryRun: words.has('dry-run') };
}

function leadingWord(text: string): RegExpMatchArray | null {
  return text.match(/^(dry-run|verbose),?/);
}

let cores: readonly (readonly number[])[] | undefined;

/** Looked at once: it takes a file for each processor. */
function thisMachine(): readonly (readonly number[])[] {
  cores ??= coreCpus();
  return cores;
}

function bindTasks(shell: Shell, known: readonly (readonly number[])[], { how, isVerbose, isDryRun }: Affinity): void {
  const { cores } = shell.node;
  const own = [...cores].flatMap((core) => (known[core] ? [known[core]] : []));
  if (!own.length || own.length < cores.count) {
    shell.log(LogLevel.warn, `unable to get cpuset for cores ${cores}. Disabling affinity`, name);
    return;
  }
  const all = IdSet.from(own.flat());
  const sets = setsOfTasks(how, own, shell.tasks.length);
  if (isVerbose) shell.log(LogLevel.notice, `cpus: ${all}`, name);
  for (const task of shell.tasks) {
    if (sets && isVerbose) shell.log(LogLevel.notice, `task ${task.rank}: cpus: ${sets[task.index]}`, name);
    if (!isDryRun) bind(shell, task, sets?.[task.index] ?? all, known);
  }
}

/** The processors of each task; undefined when they all have the same. */
function setsOfTasks(
  how: string,
  cores: readonly (readonly number[])[],
  taskCount: number,
): readonly IdSet[] | undefined {
  if (how === 'per-task') return distribute(cores, taskCount);
  if (how.startsWith('map:')) return parseSetMap(how.slice('map:'.length), taskCount);
  return undefined;
}

/** A set without any processor that may be used here would keep the task from starting. */
function bind(shell: Shell, task: ShellTask, set: IdSet, known: readonly (readonly number[])[]): void {
  if (known.some((cpus) => cpus.some((cpu) => set.has(cpu)))) task.spec.cpus = [...set];
  else shell.log(LogLevel.warn, `task ${task.rank} cannot be bound: there are no cpus ${set} here`, name);
}
