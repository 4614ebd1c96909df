/** `flux exec`: runs a program on many ranks at once (RFC 42). */

import fs from 'node:fs';
import { Option } from 'commander';
import { FluxError } from '../core/errno.ts';
import type { IdSet } from '../core/formats/idset.ts';
import type { Handle } from '../core/handle/handle.ts';
import { type CommandObject, ExecFlag, encodeExec, RemoteProcess } from '../core/handle/remote-process.ts';
import type { JsonObject } from '../core/json.ts';
import { isObject } from '../core/message/unpack.ts';
import { attach } from './attach.ts';
import { collect, idset, increase, runCommand, runsAnother, subcommand, withHandle } from './command.ts';
import { ExecGroup, type GroupOptions } from './exec-group.ts';
import { InputForwarder } from './exec-input.ts';
import { filterTargets, instanceTargets, type Targets } from './exec-targets.ts';
import { print } from './print.ts';
import { startInBackground } from './remote-process.ts';

interface Options {
  rank?: IdSet | 'all';
  exclude?: IdSet;
  jobid?: string;
  dir?: string;
  labelIo?: boolean;
  noinput?: boolean;
  bg?: boolean;
  waitable?: boolean;
  attach?: boolean;
  label?: string;
  quiet?: boolean;
  verbose: number;
  withImp?: boolean;
  service?: string;
  setopt: string[];
  stdinFlow?: 'on' | 'off';
}

/** `flux exec [OPTIONS] COMMAND…`, `flux exec [OPTIONS] --attach PID|LABEL` */
export async function run(args: readonly string[]): Promise<number> {
  let exitCode = 0;
  const command = runsAnother(
    subcommand('exec', 'Run a program on many ranks at once.')
      .usage('[OPTIONS] COMMAND...\n       flux exec [OPTIONS] --attach PID|LABEL')
      .argument('<command...>', 'program and arguments; with --attach a process id or a label')
      .option('-r, --rank <IDSET>', 'Run it on these ranks, or on all.', (text) =>
        text === 'all' ? text : idset(text),
      )
      .option('-x, --exclude <IDSET>', 'Leave these ranks out.', idset)
      .option('-j, --jobid <JOBID>', 'Run it where this job runs; ranks then count from 0 in the job.')
      .option('-d, --dir <PATH>', 'Run it in this folder and not in the current one.')
      .option('-l, --label-io', 'Print the rank before each line of output.')
      .option('-n, --noinput', 'Give it no input.')
      .option('--bg', 'Start it in the background, print rank and process id, and end.')
      .option('--waitable', 'Keep its exit status until somebody asks for it (with --bg).')
      .option('--label <LABEL>', 'Give the process a name that is unique on its rank.')
      .option('--attach', 'Follow a process in the background instead of starting one.')
      .option('-q, --quiet', 'Say nothing about exit codes.')
      .option('-v, --verbose', 'Say what is being done.', increase, 0)
      .option('--with-imp', "Run it by `flux-imp run', at the path that exec.imp of the configuration names.")
      .addOption(new Option('--service <NAME>', 'Ask another service than rexec.').hideHelp())
      .addOption(new Option('--setopt <NAME=VALUE>').argParser(collect).default([]).hideHelp())
      .addOption(new Option('--stdin-flow <WHETHER>').choices(['on', 'off']).hideHelp()),
  ).action(async (words: string[], options: Options) => {
    check(words, options);
    exitCode = await withHandle((handle) => exec(handle, words, options));
  });
  return (await runCommand(command, args)) || exitCode;
}

function check(words: readonly string[], { attach, bg, waitable }: Options): void {
  if (attach && words.length > 1) throw new FluxError('EINVAL', '--attach takes a single process id or label');
  if (attach && (bg || waitable)) throw new FluxError('EINVAL', '--attach goes neither with --bg nor with --waitable');
  if (waitable && !bg) throw new FluxError('EINVAL', '--waitable goes only with --bg');
}

async function exec(handle: Handle, words: readonly string[], options: Options): Promise<number> {
  const { rank = 'all', exclude, jobid } = options;
  const [size, owner] = await Promise.all([handle.attribute('size'), handle.attribute('security.owner')]);
  const targets = jobid === undefined ? instanceTargets(Number(size)) : await targetsOfJob(handle, jobid);
  const include = rank === 'all' ? undefined : rank;
  const ranks = filterTargets(targets.ranks, include, exclude, jobid !== undefined);
  const service = options.service ?? targets.service;
  if (options.attach) return attach(handle, service, ranks, words[0]!, groupOptions(options));
  const imp = options.withImp ? [await impPath(handle), 'run'] : [];
  const command = commandObject([...imp, ...words], owner, options);
  return options.bg
    ? background(handle, service, ranks, command, options)
    : foreground(handle, service, ranks, command, options);
}

async function targetsOfJob(handle: Handle, jobid: string): Promise<Targets> {
  const { jobTargets } = await import('./exec-job.ts');
  return jobTargets(handle, jobid);
}

async function impPath(handle: Handle): Promise<string> {
  const config = await handle.rpc<JsonObject>('config.get');
  const imp = isObject(config.exec) ? config.exec.imp : undefined;
  if (typeof imp !== 'string') throw new FluxError('ENOENT', '--with-imp: the configuration has no exec.imp');
  return imp;
}

/** The current folder as the shell calls it, which may be through symbolic links. */
function currentFolder(): string {
  const { PWD } = process.env;
  const here = process.cwd();
  try {
    if (PWD?.startsWith('/') && fs.realpathSync.native(PWD) === here) return PWD;
  } catch {
    // PWD is only a name; the folder it once named may be gone.
  }
  return here;
}

function commandObject(cmdline: readonly string[], owner: string, { dir, label, setopt }: Options): CommandObject {
  // Programs of an instance that systemd runs reach the owner's services there.
  const env: Record<string, string> = { DBUS_SESSION_BUS_ADDRESS: `unix:path=/run/user/${owner}/bus` };
  for (const [name, value] of Object.entries(process.env)) if (value !== undefined) env[name] = value;
  delete env.FLUX_PROXY_REMOTE;
  const opts: Record<string, string> = {};
  for (const setting of setopt) {
    const equals = setting.indexOf('=');
    if (equals < 1) throw new FluxError('EINVAL', `--setopt: '${setting}' is not NAME=VALUE`);
    opts[setting.slice(0, equals)] = setting.slice(equals + 1);
  }
  const cwd = dir ?? currentFolder();
  return { cmdline, env, opts, ...(cwd !== 'none' && { cwd }), ...(label !== undefined && { label }) };
}

async function background(
  handle: Handle,
  service: string,
  ranks: IdSet,
  command: CommandObject,
  options: Options,
): Promise<number> {
  const payload = encodeExec(command, options.waitable ? ExecFlag.waitable : 0);
  let exitCode = 0;
  await Promise.all(
    Array.from(ranks, async (rank) => {
      try {
        print(`${rank}: ${await startInBackground(handle, service, rank, payload)}`);
      } catch (error) {
        console.error(`flux-exec: Error: rank ${rank}: ${command.cmdline[0]}: ${(error as FluxError).message}`);
        exitCode = 1;
      }
    }),
  );
  return exitCode;
}

async function foreground(
  handle: Handle,
  service: string,
  ranks: IdSet,
  command: CommandObject,
  options: Options,
): Promise<number> {
  const hasInput = !options.noinput && !isNullDevice(0);
  const flowControl = options.stdinFlow ? options.stdinFlow === 'on' : service !== 'sdexec';
  const credit = hasInput && flowControl ? ExecFlag.writeCredit : 0;
  const payload = encodeExec(command, ExecFlag.stdout | ExecFlag.stderr | credit);
  const group = new ExecGroup(command.cmdline[0]!, groupOptions(options));
  await group.run(
    ranks,
    (rank) => {
      const process = RemoteProcess.start(handle, service, rank, payload, group);
      if (!hasInput) process.endInput();
      return process;
    },
    !hasInput ? undefined : (processes) => new InputForwarder(process.stdin, processes, flowControl),
  );
  return group.exitCode;
}

/** Whether a descriptor is /dev/null. To find that out by reading starts Node's thread pool, which takes 13 ms. */
function isNullDevice(fd: number): boolean {
  try {
    const stats = fs.fstatSync(fd);
    return stats.isCharacterDevice() && stats.rdev === fs.statSync('/dev/null').rdev;
  } catch {
    return false;
  }
}

function groupOptions({ labelIo = false, quiet = false, verbose }: Options): GroupOptions {
  return { labelIo, quiet, verbose: verbose > 0 };
}
