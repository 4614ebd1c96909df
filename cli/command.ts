/**
 * What every subcommand has in common: how its options are read, how it says what went wrong, and how it ends.
 */

import os from 'node:os';
import { Command, CommanderError, Help, InvalidArgumentError, type Option } from 'commander';
import { asFluxError, FluxError, strerror } from '../core/errno.ts';
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

/** Options behind the first word that is none belong to that word: for commands that run another. */
export function runsAnother(command: Command): Command {
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
      outputError: (text, write) => write(text.replace(/^error: /, `${command.name().replace(' ', '-')}: `)),
    })
    .exitOverride();
}

/**
 * Runs a subcommand to its end.
 *
 * @param usageError its exit code when the command line is wrong
 * @returns its exit code
 */
export async function runCommand(command: Command, args: readonly string[], usageError = 1): Promise<number> {
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

function describe(error: unknown): string {
  return error instanceof FluxError
    ? error.message
    : process.env.FLUX_DEBUG && error instanceof Error
      ? (error.stack ?? error.message)
      : sentenceOf(error);
}

/** What went wrong in a system call, by its errno; of other errors what they say. */
function sentenceOf(error: unknown): string {
  const { errno, message } = asFluxError(error);
  const { syscall, path } = (error ?? {}) as NodeJS.ErrnoException;
  if (error instanceof FluxError || syscall === undefined) return message;
  return path === undefined ? strerror(errno) : `${path}: ${strerror(errno)}`;
}

/** Ends this process when its output has nowhere to go: a closed pipe as SIGPIPE does, silently. */
function endWithoutReader(error: NodeJS.ErrnoException): never {
  if (error.code === 'EPIPE') process.exit(128 + os.constants.signals.SIGPIPE);
  console.error(`flux: write error: ${sentenceOf(error)}`);
  process.exit(1);
}

/** Runs `work` with a connection to the broker, and closes it. */
export async function withHandle<T>(work: (handle: Handle) => Promise<T>, uri?: string): Promise<T> {
  process.stdout.once('error', endWithoutReader);
  const handle = await Handle.open(uri);
  try {
    return await work(handle);
  } finally {
    await handle.close();
  }
}

/** Adds what the user calls it to an error's sentence. */
export function about(what: string, error: unknown): FluxError {
  const { errno } = asFluxError(error);
  const sentence = sentenceOf(error);
  // The path of a system call is mostly what the user calls it, too.
  return new FluxError(errno, sentence.startsWith(`${what}: `) ? sentence : `${what}: ${sentence}`);
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
  const number = Number(text);
  if (!/^-?(0x)?[0-9a-f]+$/i.test(text) || !Number.isSafeInteger(number))
    throw new Error(`'${text}' is not an integer.`);
  return number;
});

export const count = reader((text) => {
  const number = Number(text);
  if (!/^\d+$/.test(text)) throw new Error(`'${text}' is not a count.`);
  return number;
});

/** Counts how often an option is given: -v, -vv. */
export function increase(_: string, previous: number): number {
  return previous + 1;
}

/** Collects the values of an option given more than once. */
export function collect(value: string, previous: readonly string[]): string[] {
  return [...previous, value];
}
