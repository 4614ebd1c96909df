/**
 * Output formats with names, and other settings of a command: those it has, and those of the user's configuration files,
 * `flux/NAME.toml` and `flux/NAME.json` in the folders of the XDG Base Directory Specification.
 */

import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { about, FluxError } from '../core/errno.ts';
import { parseToml } from '../core/formats/toml.ts';
import { type JsonObject, type JsonValue, parseJson } from '../core/json.ts';
import { isObject } from '../core/message/unpack.ts';
import { Exit } from './command.ts';
import { print } from './print.ts';

export interface NamedFormat {
  readonly description?: string | undefined;
  readonly format: string;
}

export type NamedFormats = Readonly<Record<string, NamedFormat>>;

/** Says what is wrong with a setting, if anything is. */
export type SettingCheck = (value: JsonValue | undefined) => string | undefined;

/** What a tool's files may hold, by the command it is for. */
export interface ToolCommand {
  readonly formats: NamedFormats;
  readonly settings?: Readonly<Record<string, SettingCheck>>;
}

export type ToolCommands = Readonly<Record<string, ToolCommand>>;

export class ToolConfig {
  readonly formats: NamedFormats;
  readonly settings: JsonObject;
  readonly #tool: string;
  readonly #command: string | undefined;
  readonly #program: string;

  /**
   * @param tool as files call it: `flux-resource`
   * @param command the table that it has there; undefined for a tool without subcommands
   * @param program as the environment calls it, when that is another name
   */
  constructor(
    tool: string,
    command: string | undefined,
    formats: NamedFormats,
    settings: JsonObject = {},
    program = command === undefined ? tool : `${tool}-${command}`,
  ) {
    this.#tool = tool;
    this.#command = command;
    this.#program = program;
    this.formats = formats;
    this.settings = settings;
  }

  /**
   * The format that an option means: a format itself, the name of one, or `default`, which the environment may choose.
   * For `help` and `get-config=NAME` it prints what was asked for and ends the command.
   *
   * @throws FluxError EINVAL: there is no such format
   */
  choose(option: string, environment: NodeJS.ProcessEnv = process.env): string {
    const variable = `${this.#program}-format-default`.toUpperCase().replaceAll('-', '_');
    const name = (option === 'default' ? environment[variable] : undefined) ?? option;
    if (name.includes('{')) return name;
    if (option === 'help') throw this.#listFormats();
    if (option.startsWith('get-config=')) throw this.#showConfig(option.slice('get-config='.length));
    return this.#named(name).format;
  }

  #named(name: string): NamedFormat {
    if (Object.hasOwn(this.formats, name)) return this.formats[name]!;
    const fields = name.replace(/\w+/g, '{$&}');
    throw new FluxError('EINVAL', `--format: there is no format '${name}' (did you mean '${fields}'?)`);
  }

  #listFormats(): Exit {
    print(`\nConfigured ${this.#tool} output formats:\n`);
    for (const [name, { description }] of Object.entries(this.formats))
      print(`  ${name.padEnd(12)}${description === undefined ? '' : ` ${description}`}`);
    return new Exit(0);
  }

  #showConfig(name: string): Exit {
    const { description, format } = this.#named(name);
    print(`[${this.#command === undefined ? '' : `${this.#command}.`}formats.${name}]`);
    if (description !== undefined) print(`description = "${description}"`);
    print(`format = "${format}"`);
    return new Exit(0);
  }
}

/**
 * What a command has of named formats and settings; files of the user go before those of the system.
 *
 * @throws FluxError with the file that cannot be read, or has what no command knows
 */
export function loadToolConfig(
  tool: string,
  commands: ToolCommands,
  command: string,
  environment: NodeJS.ProcessEnv = process.env,
): ToolConfig {
  let formats: NamedFormats = commands[command]?.formats ?? {};
  let settings: JsonObject = {};
  for (const file of configFiles(tool, environment)) {
    const content = readConfig(file);
    const fault = faultIn(content, commands);
    if (fault !== undefined) throw new FluxError('EINVAL', `${file}: ${fault}`);
    const { formats: more, ...others } = { ...(content[command] as JsonObject | undefined) };
    formats = { ...formats, ...(more as unknown as NamedFormats | undefined) };
    settings = { ...settings, ...others };
  }
  return new ToolConfig(tool, command, formats, settings);
}

export interface FormatsOptions {
  /** The name of the program in the environment, where a tool shares the files of another one. */
  readonly program?: string;
  /** Files may have formats of their own by the names of those that are built in, too. */
  readonly replaceable?: boolean;
  readonly environment?: NodeJS.ProcessEnv;
}

/** As `loadToolConfig`, for a tool without subcommands, whose files have the table `formats` alone. */
export function loadFormats(tool: string, builtIn: NamedFormats, options: FormatsOptions = {}): ToolConfig {
  const { program = tool, replaceable = false, environment = process.env } = options;
  let formats = builtIn;
  for (const file of configFiles(tool, environment)) {
    const content = readConfig(file);
    const fault = faultInTable(content, { formats: replaceable ? {} : builtIn });
    if (fault !== undefined) throw new FluxError('EINVAL', `${file}: ${fault}`);
    formats = { ...formats, ...(content.formats as unknown as NamedFormats | undefined) };
  }
  return new ToolConfig(tool, undefined, formats, {}, program);
}

/** The files there are, the least important first. */
function configFiles(tool: string, environment: NodeJS.ProcessEnv): string[] {
  const home = environment.XDG_CONFIG_HOME || path.join(os.homedir(), '.config');
  const folders = [home, ...(environment.XDG_CONFIG_DIRS || '/etc/xdg').split(':')].reverse();
  return folders.flatMap((folder) => {
    const names = ['json', 'toml'].map((type) => path.join(folder, 'flux', `${tool}.${type}`));
    return names.filter((file) => fs.existsSync(file));
  });
}

function readConfig(file: string): JsonObject {
  let text: string;
  try {
    text = fs.readFileSync(file, 'utf8');
  } catch (error) {
    throw about(file, error);
  }
  if (file.endsWith('.toml')) return parseToml(text, file);
  let value: JsonValue;
  try {
    value = parseJson(text);
  } catch (error) {
    throw new FluxError('EINVAL', `${file}: ${(error as Error).message}`);
  }
  if (!isObject(value)) throw new FluxError('EINVAL', `${file} is not a JSON object`);
  return value;
}

/** What is wrong with the content of a file, if anything is. */
export function faultIn(content: JsonObject, commands: ToolCommands): string | undefined {
  for (const [name, table] of Object.entries(content)) {
    if (!Object.hasOwn(commands, name)) return `invalid key ${name}`;
    if (!isObject(table)) return `${name} must be a table`;
    const fault = faultInTable(table, commands[name]!, `${name}.`);
    if (fault !== undefined) return fault;
  }
  return undefined;
}

function faultInTable(table: JsonObject, { formats, settings = {} }: ToolCommand, prefix = ''): string | undefined {
  for (const [key, value] of Object.entries(table)) {
    const isSetting = Object.hasOwn(settings, key);
    if (key !== 'formats' && !isSetting) return `invalid key ${prefix}${key}`;
    const fault = key === 'formats' ? faultInFormats(value, formats) : settings[key]!(value);
    if (fault !== undefined) return prefix + fault;
  }
  return undefined;
}

function faultInFormats(value: JsonValue | undefined, builtIn: NamedFormats): string | undefined {
  if (!isObject(value)) return 'formats must be a table';
  for (const [name, entry] of Object.entries(value)) {
    if (Object.hasOwn(builtIn, name)) return `formats.${name} is built in and cannot be replaced`;
    if (!isObject(entry)) return `formats.${name} must be a table`;
    if (typeof entry.format !== 'string') return `formats.${name}.format must be there, and a string`;
    if (!['string', 'undefined'].includes(typeof entry.description))
      return `formats.${name}.description must be a string`;
  }
  return undefined;
}
