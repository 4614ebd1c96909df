/** The options that all commands that submit jobs share, and how their command lines are split. */

import type { Command, Option } from 'commander';
import { InvalidArgumentError } from 'commander';
import { parsePythonInt } from '../core/formats/python-number.ts';
import { beginTimeUri } from './begin-time.ts';
import { collect, PYTHON_USAGE_ERROR, runCommand } from './command.ts';

export interface SubmissionOptions {
  bank?: string;
  queue?: string;
  timeLimit?: string;
  urgency: string;
  jobName?: string;
  setopt: string[];
  setattr: string[];
  addFile: string[];
  /** URIs of --dependency and of --begin-time. */
  dependency: string[];
  requires: string[];
  /** Rules of --env, --env-remove and --env-file, in the order of the command line. */
  env: string[];
  rlimit: string[];
  input?: string;
  output?: string;
  error?: string;
  unbuffered?: boolean;
  labelIo?: boolean;
  cwd?: string;
  flags: string[];
  signal?: string;
  taskmap?: string;
  dryRun?: boolean;
  quiet?: boolean;
  debugEmulate?: boolean;
  listPlugins?: boolean;
}

/** Adds the options that all of these commands have. */
export function submissionOptions(command: Command): Command {
  const env: string[] = [];
  const dependency: string[] = [];
  const requires: string[] = [];
  const into = (list: string[], convert: (value: string) => string) => (value: string) => {
    list.push(convert(value));
    return list;
  };
  const same = (value: string) => value;
  return (
    command
      .option('-B, --bank <BANK>', 'Charge the job to this bank.')
      .option('-q, --queue <NAME>', 'Submit the job to this queue.')
      .option('-t, --time-limit <MIN|FSD>', 'Time limit: minutes, or with a unit as in 30s, 1.5h, 2d.')
      .option('--urgency <N>', 'Urgency, 0 to 31, or hold (0), default (16), expedite (31).', '16')
      .option('--job-name <NAME>', 'Name of the job.')
      .option('-o, --setopt <OPT[=VAL]>', 'Set an option of the job shell, to 1 when no value is given.', collect, [])
      .option('-S, --setattr <ATTR[=VAL]>', 'Set an attribute; ^ATTR=FILE takes JSON from a file.', collect, [])
      .option('--add-file <[NAME=]PATH>', 'Send a file along, to {{tmpdir}}/NAME.', collect, [])
      .option('--dependency <URI>', 'What the job waits for.', into(dependency, same), dependency)
      .option('--requires <CONSTRAINT>', 'Which nodes the job may run on.', into(requires, same), requires)
      .option('--begin-time <+FSD|TIME>', 'When the job may start at the earliest.', into(dependency, beginTimeUri))
      .option('--env <RULE>', 'Set, take along or remove variables of the environment.', into(env, same), env)
      .option(
        '--env-remove <PATTERN>',
        'Remove variables.',
        into(env, (pattern) => `-${pattern}`),
      )
      .option(
        '--env-file <FILE>',
        'Read rules for the environment from a file.',
        into(env, (file) => `^${file}`),
      )
      .option('--rlimit <RULE>', 'Choose the limits that the job takes along.', collect, [])
      .option('--input <FILENAME>', 'Take stdin from a file, or send ours to these tasks only.')
      .option('--output <FILENAME>', 'Write stdout to a file.')
      .option('--error <FILENAME>', 'Write stderr to a file.')
      .option('-u, --unbuffered', 'Hold no input or output back.')
      .option('-l, --label-io', 'Print the rank of the task before each line of output.')
      .option('--cwd <DIRECTORY>', 'Run it in this folder.')
      .option('--flags <FLAGS>', 'Flags of the submission: debug, waitable, novalidate.', collect, [])
      .option('--signal <[SIG][@TIME]>', 'Send a signal some time before the time limit.')
      .option('--dry-run', 'Print the jobspec, and submit nothing.')
      .option('--quiet', 'Do not print the job id.')
      .option('--list-plugins', 'List plugins of the command line.')
      // Others of their spellings.
      .addOption(hidden(command, '--require <CONSTRAINT>').argParser(into(requires, same)))
      .addOption(hidden(command, '--dry'))
      .addOption(hidden(command, '--debug-emulate'))
  );
}

/** An option that `--help` does not show. */
export function hidden(command: Command, flags: string): Option {
  return command.createOption(flags).hideHelp();
}

/** The values of a command's options. */
export function optionsOf<T extends SubmissionOptions>(command: Command): T {
  const options = command.opts<T & { dry?: boolean }>();
  return { ...options, dryRun: options.dryRun ?? options.dry ?? false };
}

/** Reads an option's integer, as Python reads one. */
export function pythonInteger(text: string): number {
  const number = parsePythonInt(text);
  if (number === undefined) throw new InvalidArgumentError(`'${text}' is not an integer.`);
  return number;
}

export interface SplitLine {
  readonly options: readonly string[];
  /** The job's command, or the script; with the `--` that stood before it. */
  readonly words: readonly string[];
}

/**
 * Splits a command line where the first word stands that is no option; what follows belongs to the job.
 *
 * Values are put so that commander reads them as Python's argparse would: `-n=4` is `-n4`, and an option whose value may
 * be left out takes the next word if that is none.
 */
export function splitCommandLine(command: Command, args: readonly string[]): SplitLine {
  const options: string[] = [];
  for (let i = 0; i < args.length; i++) {
    const word = args[i]!;
    if (isOperand(word)) return { options, words: args.slice(i) };
    const [, short, value] = /^(-[a-zA-Z])=([\s\S]*)$/.exec(word) ?? [];
    const option = command.options.find((each) => each.long === word || each.short === word);
    const next = args[i + 1];
    if (short !== undefined) options.push(short, value!);
    else if (option?.required && next !== undefined) {
      options.push(...(option.long ? [`${option.long}=${next}`] : [word, next]));
      i++;
    } else if (option?.optional && next !== undefined && !isOperand(next, false)) options.push(word);
    else if (option?.optional && next !== undefined && next !== '--') {
      options.push(`${option.long}=${next}`);
      i++;
    } else options.push(word);
  }
  return { options, words: [] };
}

/** Whether a word is no option: `-`, a negative number, `--` or one that begins otherwise. */
function isOperand(word: string, endsOptions = true): boolean {
  if (word === '--') return endsOptions;
  return !/^-./s.test(word) || /^-\d+$|^-\d*\.\d+$/.test(word);
}

/**
 * Runs a submission command: `action` gets the job's words.
 *
 * @returns its exit code
 */
export async function runSubmission(
  command: Command,
  args: readonly string[],
  action: (words: readonly string[]) => Promise<number>,
): Promise<number> {
  const { options, words } = splitCommandLine(command, args);
  let exitCode = 0;
  command.action(async () => {
    exitCode = command.opts<SubmissionOptions>().listPlugins ? 0 : await action(words);
  });
  return (await runCommand(command, options, PYTHON_USAGE_ERROR)) || exitCode;
}
