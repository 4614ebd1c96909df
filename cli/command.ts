/**
 * What every subcommand has in common: how its options are read, how it says what went wrong, and how it ends.
 */

import os from 'node:os';
import { Command, CommanderError, Help, InvalidArgumentError, Option } from 'commander';
import { asFluxError, FluxError } from '../core/errno.ts';
import { parseDurationArgument } from '../core/formats/duration.ts';
import { IdSet } from '../core/formats/idset.ts';
import { Handle } from '../core/handle/handle.ts';

/** Ends a command with an exit code of its own, having said what there was to say. */
export class Exit extends Error {
  readonly code: number;

  constructor(code: number) {
    super(`exit ${code}`);
    this.code = code;
  }
}

/**
 * A subcommand, to be given its options and its action.
 *
 * @param name as a user types it behind `flux`; of a nested one both words: `module list`
 */
export function subcommand(name: string, description: string): Command {
  const command = new Command(`flux ${name}`).description(description);
  return configure(command);
}

/** Commands that leave stdout to the program that they run. */
const runners = new WeakSet<Command>();

/** Options behind the first word that is none belong to that word: for commands that run another. */
export function runsAnother(command: Command): Command {
  runners.add(command);
  return command.passThroughOptions().allowUnknownOption(false);
}

/** An option's text, with its default when that tells something: an empty list does not. */
function describeOption(option: Option): string {
  return Array.isArray(option.defaultValue) ? option.description : new Help().optionDescription(option);
}

function configure(command: Command): Command {
  return command
    .helpOption('-h, --help', 'Display this message.')
    .helpCommand(false)
    .showHelpAfterError(`Try \`${command.name()} --help' for more information.`)
    .configureHelp({ optionDescription: describeOption })
    .configureOutput({
      writeOut: (text) => {
        watchOutput();
        process.stdout.write(text);
      },
      outputError: (text, write) => write(text.replace(/^error: /, `${command.name().replace(' ', '-')}: `)),
    })
    .exitOverride();
}

/** The exit code for wrong command lines of those commands that are Python programs in flux-core. */
export const PYTHON_USAGE_ERROR = 2;

/**
 * Runs a subcommand to its end.
 *
 * @param usageError its exit code when the command line is wrong
 * @returns its exit code
 */
export async function runCommand(command: Command, args: readonly string[], usageError = 1): Promise<number> {
  if (!runners.has(command)) watchOutput();
  try {
    await command.parseAsync(withPresets(command, args), { from: 'user' });
    return 0;
  } catch (error) {
    if (error instanceof Exit) return error.code;
    if (error instanceof CommanderError) return error.exitCode && usageError;
    console.error(`${command.name().replace(' ', '-')}: ${describe(error)}`);
    return 1;
  }
}

/** An option whose value may be left out takes one only behind `=`: the word behind it is never its value. */
function withPresets(command: Command, args: readonly string[]): string[] {
  const end = args.indexOf('--');
  return args.map((word, index) => {
    const option = command.options.find(({ optional, short, long }) => optional && (word === short || word === long));
    const isPlain = !option || option.presetArg === undefined || (end >= 0 && index > end);
    return isPlain ? word : `${option.long}=${option.presetArg}`;
  });
}

/** What there is to say of an error: its sentence, or with FLUX_DEBUG its stack. */
export function describe(error: unknown): string {
  const stack = process.env.FLUX_DEBUG && error instanceof Error ? error.stack : undefined;
  return stack ?? asFluxError(error).message;
}

/** Ends this process when its output has nowhere to go: a closed pipe as SIGPIPE does, silently. */
function endWithoutReader(error: NodeJS.ErrnoException): never {
  if (error.code === 'EPIPE') process.exit(128 + os.constants.signals.SIGPIPE);
  console.error(`flux: write error: ${asFluxError(error).message}`);
  process.exit(1);
}

/** Ends this process when stdout has no reader. One that another program gets is better left alone: pipes are shared. */
function watchOutput(): void {
  if (process.stdout.listenerCount('error') === 0) process.stdout.once('error', endWithoutReader);
}

/** Runs `work` with a connection to the broker. It ends with the process: to close it here takes longer. */
export async function withHandle<T>(work: (handle: Handle) => Promise<T>, uri?: string): Promise<T> {
  watchOutput();
  const handle = await Handle.open(uri);
  try {
    return await work(handle);
  } finally {
    handle.ref(false);
  }
}

/** An option that flux-core has and that makes no sense here: whoever gives it is told why. */
export function refuseOption(command: Command, flags: string, why: string): Command {
  const option = new Option(flags).hideHelp();
  return command.addOption(option).on(`option:${option.name()}`, () => {
    throw new FluxError('ENOSYS', `--${option.name()}: ${why}`);
  });
}

// ---- values of options

/** A reader of option values that says what it wanted. */
export function reader<T>(read: (text: string) => T): (text: string) => T {
  return (text) => {
    try {
      return read(text);
    } catch (error) {
      throw new InvalidArgumentError((error as Error).message);
    }
  };
}

export const duration = reader(parseDurationArgument);

export const idset = reader((text) => IdSet.parse(text));

export const integer = reader((text) => {
  const [, sign, digits] = /^(-?)(\d+|0x[0-9a-f]+)$/i.exec(text) ?? [];
  const number = Number(digits);
  if (!Number.isSafeInteger(number)) throw new Error(`'${text}' is not an integer.`);
  return sign ? -number : number;
});

export const rank = reader((text) => {
  if (!/^\d+$/.test(text)) throw new Error(`'${text}' is not a rank.`);
  return Number(text);
});

const countFrom = (least: number, name: string) =>
  reader((text) => {
    const number = Number(text);
    if (!/^\d+$/.test(text) || number < least) throw new Error(`'${text}' is not ${name}.`);
    return number;
  });

export const count = countFrom(0, 'a count');
export const countFromOne = countFrom(1, 'a count from 1 on');

/** Counts how often an option is given: -v, -vv. */
export function increase(_: string, previous: number): number {
  return previous + 1;
}

/** Collects the values of an option given more than once. */
export function collect(value: string, previous: readonly string[]): string[] {
  return [...previous, value];
}
