/** `flux start` and `flux broker`: an instance in this process. */

import os from 'node:os';
import type { Command } from 'commander';
import type { JsonObject } from '../core/message/json.ts';
import { readConfigPath, updateConfig } from '../core/node/config-files.ts';
import { FluxNode, type StartOptions } from '../core/node/node.ts';
import { collect, count, increase, runCommand, runsAnother, subcommand } from './command.ts';

export interface Options {
  size?: number;
  testSize?: number;
  testHosts?: string;
  setattr: string[];
  configPath?: string;
  conf: string[];
  verbose: number;
  recovery?: true | string;
  noexec?: boolean;
}

/** Options that `flux start` and `flux broker` share. */
export function brokerOptions(command: Command): Command {
  return command
    .option('-S, --setattr <ATTR=VAL>', 'Set a broker attribute.', collect, [])
    .option('-c, --config-path <PATH>', 'Read the configuration from a TOML file, or from the .toml files of a folder.')
    .option('--conf <VALUE>', 'Add to the configuration: TOML, JSON, KEY=VALUE or a file.', collect, [])
    .option('-v, --verbose', 'Log to stderr what the broker does; twice: all of it.', increase, 0);
}

export function run(args: readonly string[]): Promise<number> {
  let exitCode = 0;
  const command = runsAnother(
    brokerOptions(subcommand('start', 'Start a Flux instance, and run a program in it.'))
      .argument('[command...]', 'the initial program; a shell when there is none')
      .option('-s, --size <N>', 'Ranks of the instance, all in this process.', count)
      .option('--test-size <N>', 'The same.', count)
      .option('--test-hosts <HOSTLIST>', 'Names of the hosts that the ranks play.')
      .option('-X, --noexec', 'Only show what would be started.'),
  ).action(async (words: string[], options: Options) => {
    exitCode = await start(words, options);
  });
  return runCommand(command, args).then((code) => code || exitCode);
}

function parseSetattr(settings: readonly string[]): Record<string, string> {
  const attributes: Record<string, string> = {};
  for (const setting of settings) {
    const equals = setting.indexOf('=');
    if (equals < 0) attributes[setting] = '';
    else attributes[setting.slice(0, equals)] = setting.slice(equals + 1);
  }
  return attributes;
}

/** What the options say, for FluxNode.start. */
export function startOptions(words: readonly string[], options: Options): StartOptions {
  const attributes = parseSetattr(options.setattr);
  if (options.verbose) {
    attributes['log-stderr-mode'] ??= 'local';
    attributes['log-stderr-level'] ??= options.verbose > 1 ? '7' : '6';
  }
  const configPath = options.configPath ?? process.env.FLUX_CONF_DIR;
  let config: JsonObject = configPath === undefined ? {} : readConfigPath(configPath);
  for (const value of options.conf) config = updateConfig(config, value);
  const size = options.size ?? options.testSize;
  return {
    attributes,
    config,
    command: words,
    ...(configPath !== undefined && { configPath }),
    ...(size !== undefined && { size, bootMethod: 'simple', rundirIsCallers: true }),
    ...(options.testHosts !== undefined && { hosts: options.testHosts }),
  };
}

async function start(words: readonly string[], options: Options): Promise<number> {
  const settings = startOptions(words, options);
  if (options.noexec) {
    console.log(
      `flux start: ${settings.size ?? 1} ranks in one process${words.length ? `, running: ${words.join(' ')}` : ''}`,
    );
    return 0;
  }
  return runNode(settings);
}

/** Signals that end a broker. */
const deadly = ['SIGHUP', 'SIGINT', 'SIGQUIT', 'SIGTERM', 'SIGALRM'] as const;

/** Runs an instance to its end, and resolves to its exit code. */
export async function runNode(settings: StartOptions): Promise<number> {
  const node = await FluxNode.start(settings);
  for (const signal of deadly) process.on(signal, () => node.signal(os.constants.signals[signal]));
  return node.exited;
}
