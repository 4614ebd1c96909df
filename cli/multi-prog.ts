import fs from 'node:fs';
import { about, FluxError } from '../core/errno.ts';
import type { IdSet } from '../core/formats/idset.ts';
import { quoteShellWord } from '../core/formats/shell-words.ts';
import { idset, PYTHON_USAGE_ERROR, runCommand, subcommand } from './command.ts';
import { execute } from './execute.ts';
import { MultiProg } from './multi-prog-file.ts';
import { print } from './print.ts';

/** `flux multi-prog [--dry-run=IDS] CONFIG` */
export async function run(args: readonly string[]): Promise<number> {
  let exitCode = 0;
  const command = subcommand('multi-prog', 'Run the program that a file has for the rank of this task.')
    .argument('<config>', 'the file')
    .option('-n, --dry-run <IDS>', 'Print what these ranks would run, and run nothing.', idset)
    .action(async (file: string, { dryRun }: { dryRun?: IdSet }) => {
      const programs = readFile(file);
      const wordsOf = (rank: number): string[] => {
        try {
          return programs.wordsOf(rank);
        } catch (error) {
          throw about(file, error);
        }
      };
      if (dryRun?.count) for (const rank of dryRun) print(`${rank}: ${wordsOf(rank).map(quoteShellWord).join(' ')}`);
      else exitCode = await runTask(wordsOf(taskRank()));
    });
  return (await runCommand(command, args, PYTHON_USAGE_ERROR)) || exitCode;
}

function readFile(file: string): MultiProg {
  try {
    return MultiProg.parse(fs.readFileSync(file, 'utf8').replace(/\r\n?/g, '\n'));
  } catch (error) {
    throw about(file, error);
  }
}

function taskRank(): number {
  const rank = process.env.FLUX_TASK_RANK;
  if (rank !== undefined && /^\d+$/.test(rank)) return Number(rank);
  throw new FluxError('EINVAL', 'FLUX_TASK_RANK is not the rank of a task: this is to be run by the tasks of a job');
}

/** Runs the program with what a task is given: simple PMI has a file descriptor. */
function runTask([program, ...args]: readonly string[]): Promise<number> {
  // Shells signal the process group of a task: the program gets these itself, and decides what they do.
  for (const signal of ['SIGUSR1', 'SIGUSR2', 'SIGALRM'] as const) process.on(signal, () => {});
  const pmi = Number(process.env.PMI_FD ?? Number.NaN);
  return execute(program!, args, Number.isInteger(pmi) && pmi > 2 ? [pmi] : []);
}
