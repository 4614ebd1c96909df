/** `flux start`: an instance in this process, and a program in it. */

import fs from 'node:fs';
import os from 'node:os';
import { type Command, Option } from 'commander';
import { about, FluxError } from '../core/errno.ts';
import { TaskMap } from '../core/formats/taskmap.ts';
import type { JsonObject } from '../core/json.ts';
import { readConfigPath, updateConfig } from '../core/node/config-files.ts';
import type { StartOptions } from '../core/node/prepare.ts';
import {
  collect,
  count,
  countFromOne,
  duration,
  increase,
  refuseOption,
  runCommand,
  runsAnother,
  subcommand,
} from './command.ts';
import { print } from './print.ts';
import { type LaunchOptions, runLaunched, runNode } from './run-node.ts';
import { runProcesses } from './start-processes.ts';

/** Where the instance of the system has its state and its configuration. */
const SYSTEM_STATEDIR = '/var/lib/flux';
const SYSTEM_CONFIG = '/etc/flux/system/conf.d';

export interface BrokerOptions {
  setattr: string[];
  configPath?: string;
  conf: string[];
  verbose: number;
}

interface Options extends BrokerOptions, LaunchOptions {
  brokerOpts: string[];
  size?: number;
  testSize?: number;
  procs?: number;
  partition?: boolean;
  testHosts?: string;
  rundir?: string;
  testRundir?: string;
  testRundirCleanup?: boolean;
  testPmiClique: string;
  testStartMode: 'all' | 'leader';
  testExitMode: 'any' | 'leader';
  testExitTimeout?: number;
  recovery?: true | string;
  sysconfig?: boolean;
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

/** Options of the processes that a launcher starts. */
export function launchOptions(command: Command): Command {
  return command
    .option('--ranks <N>', 'Ranks that each launched process stands for.', countFromOne)
    .option('--alone', 'Let each launched process host its ranks itself, not one for all of a machine.');
}

const startMode = new Option('--test-start-mode <MODE>', 'Start all ranks, or the leader alone.')
  .choices(['all', 'leader'])
  .default('all');
const exitMode = new Option('--test-exit-mode <MODE>', "Whose exit code counts: any rank's, or the leader's.")
  .choices(['any', 'leader'])
  .default('any');

/** `flux start [OPTIONS] [COMMAND…]` */
export async function run(args: readonly string[]): Promise<number> {
  let exitCode = 0;
  const command = runsAnother(
    withoutWrapper(launchOptions(brokerOptions(subcommand('start', 'Start a Flux instance, and run a program in it.'))))
      .argument('[command...]', 'the initial program; a shell when there is none')
      .option('-s, --size <N>', 'Ranks of the instance.', count)
      .option('--test-size <N>', 'The same.', count)
      .option('--procs <N>', 'Processes that host the ranks; one when absent.', countFromOne)
      .option('--partition', 'Give each rank a share of the cores, instead of all of them.')
      .option('--rundir <DIR>', 'Make or use this folder for the sockets.')
      .option('-r, --recovery [TARGET]', 'Start rank 0 alone on the state of an instance that ended, to mend it.')
      .option('--sysconfig', `Read the configuration of the system's instance.`)
      .option('-o, --broker-opts <OPTIONS>', 'Options of the broker, with commas between.', collect, [])
      .option('-X, --noexec', 'Only show what would be started.')
      .option('--test-hosts <HOSTLIST>', 'Names of the hosts that the ranks play.')
      .option('--test-rundir <DIR>', 'Use this folder, which must be there, for the sockets.')
      .option('--test-rundir-cleanup', 'Remove it at the end.')
      .option(
        '--test-pmi-clique <MODE>',
        'Which ranks share a node: single, per-broker, none, or a task map.',
        'single',
      )
      .addOption(startMode)
      .addOption(exitMode)
      .option('--test-exit-timeout <FSD>', 'Kill the instance when so long after one rank others still run.', duration),
  ).action(async (words: string[], options: Options) => {
    checkTestOptions(command, options);
    exitCode = await start(words, options);
  });
  return (await runCommand(command, args)) || exitCode;
}

function withoutWrapper(command: Command): Command {
  return refuseOption(command, '--wrap <ARGS>', 'ranks are no processes of their own: run `WRAPPER flux start ...`');
}

function checkTestOptions(command: Command, { size, testSize }: Options): void {
  if (size !== undefined || testSize !== undefined) return;
  const isGiven = (option: Option) => command.getOptionValueSource(option.attributeName()) === 'cli';
  const given = command.options.find((option) => option.long?.startsWith('--test-') && isGiven(option));
  if (given) throw new FluxError('EINVAL', `${given.long} goes only with --size`);
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

/** What the options of a broker say, for FluxNode.start. */
export function brokerSettings(words: readonly string[], options: BrokerOptions): StartOptions {
  const attributes = parseSetattr(options.setattr);
  if (options.verbose) {
    attributes['log-stderr-mode'] ??= 'local';
    attributes['log-stderr-level'] ??= options.verbose > 1 ? '7' : '6';
  }
  const configPath = options.configPath ?? process.env.FLUX_CONF_DIR;
  let config: JsonObject = configPath === undefined ? {} : readConfigPath(configPath);
  for (const value of options.conf) config = updateConfig(config, value);
  return { attributes, config, command: words, ...(configPath !== undefined && { configPath }) };
}

function startSettings(words: readonly string[], options: Options): StartOptions {
  const size = options.size ?? options.testSize;
  const rundir = chooseRundir(options);
  const recovery = options.recovery === undefined ? [] : recoverySettings(options.recovery);
  const isSystem = options.recovery === true || options.sysconfig;
  const broker = withBrokerOpts(options);
  const partition = options.partition ? ['resource.partition=true'] : [];
  const settings = brokerSettings(words, {
    ...broker,
    ...(isSystem && broker.configPath === undefined && { configPath: SYSTEM_CONFIG }),
    setattr: [...broker.setattr, ...recovery, ...rundir],
    conf: [...broker.conf, ...partition],
  });
  return {
    ...settings,
    ...(options.testHosts !== undefined && { hosts: options.testHosts }),
    ...(size !== undefined && {
      size,
      bootMethod: 'simple',
      rundirIsCallers: true,
      mapping: cliqueMapping(options.testPmiClique, size),
    }),
    leaderOnly: options.testStartMode === 'leader',
    exit: {
      mode: options.testExitMode,
      ...(options.testExitTimeout !== undefined && { timeout: options.testExitTimeout }),
    },
  };
}

/** Options of a broker, those given by --broker-opts among them. */
function withBrokerOpts({ brokerOpts, setattr, configPath, conf, verbose }: Options): BrokerOptions {
  const words = brokerOpts.flatMap((text) => text.split(','));
  const more = brokerOptions(subcommand('broker', '')).parse(words, { from: 'user' }).opts<BrokerOptions>();
  const path = more.configPath ?? configPath;
  return {
    setattr: [...setattr, ...more.setattr],
    conf: [...conf, ...more.conf],
    verbose: verbose + more.verbose,
    ...(path !== undefined && { configPath: path }),
  };
}

function chooseRundir({ rundir, testRundir, testRundirCleanup }: Options): string[] {
  if (testRundir !== undefined && !fs.existsSync(testRundir))
    throw new FluxError('ENOENT', `--test-rundir: ${testRundir} is not there`);
  const folder = rundir ?? testRundir;
  if (folder !== undefined) return [`rundir=${folder}`, ...(testRundirCleanup ? ['rundir-cleanup=1'] : [])];
  if (testRundirCleanup) throw new FluxError('EINVAL', '--test-rundir-cleanup goes with --test-rundir');
  return [];
}

function cliqueMapping(mode: string, size: number): string | null {
  if (mode === 'none') return null;
  if (mode === 'single') return `[[0,1,${size},1]]`;
  if (mode === 'per-broker') return `[[0,${size},1,1]]`;
  try {
    return TaskMap.parse(mode).encode();
  } catch (error) {
    throw about('--test-pmi-clique', error);
  }
}

/** A broker that mends what it can: without peers, and on the state that is there. */
function recoverySettings(target: true | string): string[] {
  const state = target === true ? SYSTEM_STATEDIR : target;
  const settings = ['broker.recovery-mode=1', 'broker.quorum=1', 'broker.module-nopanic=1', 'log-stderr-level=5'];
  try {
    const stat = fs.statSync(state);
    if (!stat.isDirectory()) return [...settings, `content.restore=${state}`];
    if (stat.uid !== os.userInfo().uid) throw new FluxError('EPERM', `${state} is not owned by you`);
    fs.accessSync(`${state}/content.sqlite`, fs.constants.R_OK | fs.constants.W_OK);
    return [...settings, `statedir=${state}`];
  } catch (error) {
    throw about('--recovery', error);
  }
}

/** @throws FluxError EINVAL: options that do not go together */
function checkProcs(procs: number, { size }: StartOptions, options: Options): void {
  if (size === undefined) {
    if (options.procs !== undefined) throw new FluxError('EINVAL', '--procs goes only with --size');
    return;
  }
  for (const name of ['ranks', 'alone'] as const)
    if (options[name] !== undefined) throw new FluxError('EINVAL', `--${name} does not go with --size`);
  if (procs > 1 && procs > size) throw new FluxError('EINVAL', `${procs} processes cannot host ${size} ranks`);
  if (procs > 1 && options.testStartMode === 'leader')
    throw new FluxError('EINVAL', '--test-start-mode=leader does not go with --procs');
}

/** The options that the other processes have, too. */
function brokerWords(options: Options): string[] {
  const { setattr, configPath, conf, verbose } = withBrokerOpts(options);
  return [
    ...setattr.flatMap((setting) => ['-S', setting]),
    ...(configPath === undefined ? [] : ['-c', configPath]),
    ...conf.flatMap((value) => ['--conf', value]),
    ...new Array<string>(verbose).fill('-v'),
  ];
}

async function start(words: readonly string[], options: Options): Promise<number> {
  const settings = startSettings(words, options);
  const { procs = 1 } = options;
  checkProcs(procs, settings, options);
  if (options.noexec) {
    const program = words.length ? `, running: ${words.join(' ')}` : '';
    const size = settings.size ?? 1;
    const processes = procs === 1 ? 'one process' : `${procs} processes`;
    print(`flux start: ${size} ${size === 1 ? 'rank' : 'ranks'} in ${processes}${program}`);
    return 0;
  }
  if (settings.size === undefined) return runLaunched('flux-start', settings, options);
  const exitCode = await (procs === 1 ? runNode(settings) : runProcesses(settings, procs, brokerWords(options)));
  if (exitCode) console.error(`flux-start: 0 (pid ${process.pid}) exited with rc=${exitCode}`);
  return exitCode;
}
