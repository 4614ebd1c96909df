/** `flux config`: the configuration of the instance. */

import path from 'node:path';
import { text } from 'node:stream/consumers';
import { type Command, Option } from 'commander';
import { builtInConfiguration } from '../core/broker/built-in-configuration.ts';
import { valueAt, withValueAt } from '../core/broker/config-path.ts';
import { FluxError } from '../core/errno.ts';
import type { Handle } from '../core/handle/handle.ts';
import { type JsonObject, type JsonValue, parseJson } from '../core/json.ts';
import { isObject } from '../core/message/unpack.ts';
import { Exit, withHandle } from './command.ts';
import { formatValue, type GetType, getTypes, parseValue, type SetType, setTypes, typeOf } from './config-types.ts';
import { runNested } from './nested.ts';
import { print } from './print.ts';

interface GetOptions {
  default?: string;
  quiet?: boolean;
  type: GetType;
  configPath?: string;
}

/** `flux config COMMAND …` */
export function run(args: readonly string[]): Promise<number> {
  return runNested('config', 'The configuration of the instance.', commands, args);
}

const commands = {
  get: {
    summary: 'Show the configuration, or one value of it',
    define: (command) =>
      command
        .argument('[name]', 'keys with dots between them')
        .option('-d, --default <VALUE>', 'Show this when it is not set.')
        .option('-q, --quiet', 'Say nothing when it is not set.')
        .addOption(new Option('-t, --type <TYPE>', 'The type it must have.').choices(getTypes).default('any'))
        .option(
          '-c, --config-path <PATH>',
          "Read a file or folder, or system's, security's or imp's, not the broker's.",
        )
        .action((name: string | undefined, options: GetOptions) => get(name, options)),
  },
  set: {
    summary: 'Set a value',
    define: (command) =>
      command
        .argument('<name>', 'keys with dots between them')
        .argument('<value>', 'its new value')
        .addOption(new Option('-t, --type <TYPE>', 'Its type; by default that of the value it has.').choices(setTypes))
        .action((name: string, value: string, options: { type?: SetType }) =>
          change((config) => withValueAt(config, name, parseValue(value, options.type ?? typeAt(config, name)))),
        ),
  },
  unset: {
    summary: 'Remove a value',
    define: (command) =>
      command
        .argument('<name>', 'keys with dots between them')
        .action((name: string) => change((config) => withValueAt(config, name, undefined))),
  },
  load: {
    summary: 'Replace the configuration by a JSON object or TOML from standard input, or by files',
    define: (command) =>
      command.argument('[path]', 'a file or a folder of .toml files').action(async (where: string | undefined) => {
        const config = where === undefined ? await parseInput(await text(process.stdin)) : await readFiles(where);
        await withHandle((handle) => handle.rpc('config.load', config));
      }),
  },
  reload: {
    summary: 'Read the files of the configuration again',
    define: (command) =>
      command
        .option('--follower-noop', 'Do nothing on other ranks than 0.')
        .action((options: { followerNoop?: boolean }) =>
          withHandle(async (handle) => {
            if (options.followerNoop && (await handle.attribute('rank')) !== '0') return;
            await handle.rpc('config.reload');
          }),
        ),
  },
  builtin: {
    summary: 'Show a value that is built in',
    define: (command: Command) =>
      command
        .argument('<name>', `one of ${Object.keys(builtInConfiguration).sort().join(', ')}`)
        .option('--installed', 'As installed; there is nothing else.')
        .option('--intree', 'The same.')
        .action((name: string) => {
          if (!Object.hasOwn(builtInConfiguration, name))
            throw new FluxError('EINVAL', `nothing built in is '${name}'`);
          print(builtInConfiguration[name]!);
        }),
  },
} satisfies Parameters<typeof runNested>[2];

async function get(name: string | undefined, options: GetOptions): Promise<void> {
  const config = options.configPath === undefined ? await withHandle(fetchConfig) : await readFiles(options.configPath);
  const value = name === undefined ? config : valueAt(config, name);
  if (value === undefined) {
    if (options.default === undefined) {
      if (options.quiet) throw new Exit(1);
      throw new FluxError('ENOENT', `${name} is not set`);
    }
    print(options.default);
    return;
  }
  const text = formatValue(value, options.type);
  if (text === undefined)
    throw new FluxError('EINVAL', `${name ?? 'the configuration'} is not of type ${options.type}`);
  print(text);
}

function fetchConfig(handle: Handle): Promise<JsonObject> {
  return handle.rpc<JsonObject>('config.get');
}

/** Gives the broker the configuration that `edit` makes of the one it has. */
function change(edit: (config: JsonObject) => JsonObject): Promise<void> {
  return withHandle(async (handle) => {
    await handle.rpc('config.load', edit(await fetchConfig(handle)));
  });
}

function typeAt(config: JsonObject, name: string): SetType {
  const value = valueAt(config, name);
  const type = value === undefined ? 'any' : typeOf(value);
  if (type === 'any') throw new FluxError('EINVAL', `${name} has no type yet: tell with --type`);
  return type;
}

async function parseInput(input: string): Promise<JsonObject> {
  let config: JsonValue;
  try {
    config = parseJson(input);
  } catch {
    const { parseToml } = await import('../core/formats/toml.ts');
    return parseToml(input, 'standard input');
  }
  if (!isObject(config)) throw new FluxError('EINVAL', 'standard input is JSON, but no object');
  return config;
}

/** Folders that have a name of their own. */
const namedFolders = ['system', 'security', 'imp'];

async function readFiles(where: string): Promise<JsonObject> {
  const { readConfigPath } = await import('../core/node/config-files.ts');
  const isNamed = namedFolders.includes(where);
  return readConfigPath(isNamed ? path.join(builtInConfiguration.confdir!, where, 'conf.d') : where);
}
