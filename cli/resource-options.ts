/** Options that several commands of `flux resource` have. */

import fs from 'node:fs';
import { text } from 'node:stream/consumers';
import { type Command, Option } from 'commander';
import { about, FluxError } from '../core/errno.ts';
import { type JsonObject, type JsonValue, parseJson } from '../core/json.ts';
import { isObject } from '../core/message/unpack.ts';

/** Which resources a command shows, and where it knows them from. */
export interface SelectOptions {
  states?: string;
  state?: string;
  include?: string;
  queue?: string[];
  fromStdin?: boolean;
  configFile?: string;
}

/** Adds `-s`, `-i` and `-q`, and, hidden, `--from-stdin` and `--config-file`. */
export function selectOptions(command: Command, what: string): Command {
  return targetOptions(command.option('-s, --states <STATE,...>', what))
    .addOption(new Option('--state <STATE,...>').hideHelp())
    .addOption(new Option('--from-stdin', 'Read what the services would answer from standard input.').hideHelp())
    .addOption(new Option('--config-file <FILE>', 'Read the configuration from a JSON file.').hideHelp());
}

/** Adds `-i` and `-q`. */
export function targetOptions(command: Command): Command {
  return command
    .option('-i, --include <TARGETS>', 'Only these ranks, an idset, or these hosts, a hostlist.')
    .option('-q, --queue <QUEUE,...>', 'Only the resources of these queues.', addNames);
}

/** Takes the names of a list with commas; each counts once. */
export function addNames(value: string, previous: readonly string[] = []): string[] {
  return [...new Set([...previous, ...value.split(',')])];
}

export interface TableOptions {
  format: string;
  header: boolean;
}

/** Adds `-o` and `-n`. */
export function tableOptions(command: Command): Command {
  return command
    .option('-o, --format <FORMAT>', "A format of the table, or the name of one; 'help' lists those.", 'default')
    .option('-n, --no-header', 'Leave the headings out.');
}

/**
 * The states that a list names.
 *
 * @throws FluxError EINVAL: there is no such state
 */
export function parseStates<S extends string>(text: string, states: readonly S[]): S[] {
  return text.split(',').map((name) => {
    const known = states.find((each) => each === name);
    if (known !== undefined) return known;
    throw new FluxError('EINVAL', `'${name}' is not a state of resources; states are ${states.join(', ')}`);
  });
}

/** The JSON of standard input; undefined when that is empty. */
export async function readStdin(): Promise<JsonValue | undefined> {
  const input = await text(process.stdin);
  return input === '' ? undefined : parse(input, 'standard input');
}

/** The configuration of a JSON file. */
export function readConfigFile(file: string): JsonObject {
  let content: string;
  try {
    content = fs.readFileSync(file, 'utf8');
  } catch (error) {
    throw about(file, error);
  }
  const config = parse(content, file);
  if (!isObject(config)) throw new FluxError('EINVAL', `${file} is not a JSON object`);
  return config;
}

function parse(json: string, source: string): JsonValue {
  try {
    return parseJson(json);
  } catch (error) {
    throw new FluxError('EINVAL', `${source}: ${(error as Error).message}`);
  }
}
