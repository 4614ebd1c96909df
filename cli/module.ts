/** `flux module`: the modules of a broker. */

import fs from 'node:fs';
import path from 'node:path';
import { type Command, Option } from 'commander';
import { about, FluxError } from '../core/errno.ts';
import type { Handle } from '../core/handle/handle.ts';
import { integer, withHandle } from './command.ts';
import { statsCommand } from './module-stats.ts';
import { runNested } from './nested.ts';
import { print } from './print.ts';
import { type TraceOptions, trace, traceOptions } from './trace.ts';

/** `flux module COMMAND …` */
export function run(args: readonly string[]): Promise<number> {
  return runNested('module', 'The modules of a broker, which are its services.', commands, args);
}

interface LoadOptions {
  name?: string;
  exec?: boolean;
  loader?: string;
}

interface RemoveOptions {
  force?: boolean;
  cancel?: boolean;
}

const commands = {
  load: {
    summary: 'Load a module',
    define: (command) =>
      loadOptions(command).action((module: string, args: string[], options: LoadOptions) =>
        withHandle((handle) => load(handle, module, args, options)),
      ),
  },
  reload: {
    summary: 'Remove a module and load it again',
    define: (command) =>
      removeOptions(loadOptions(command)).action(
        (module: string, args: string[], options: LoadOptions & RemoveOptions) =>
          withHandle(async (handle) => {
            await remove(handle, options.name ?? module, options);
            await load(handle, module, args, options);
          }),
      ),
  },
  remove: {
    summary: 'Remove a module',
    define: (command) =>
      removeOptions(command)
        .argument('<name>', 'name of the module')
        .action((name: string, options: RemoveOptions) => withHandle((handle) => remove(handle, name, options))),
  },
  list: {
    summary: 'List the modules that are loaded',
    define: (command) =>
      command
        .option('-l, --long', 'Show where each comes from.')
        .option('--json', 'Print them as JSON.')
        .action((options: ListOptions) => withHandle((handle) => list(handle, options))),
  },
  stats: statsCommand,
  debug: {
    summary: 'Show or change the debug flags of a module',
    define: (command) =>
      command
        .argument('<name>', 'name of the module')
        .option('-C, --clear', 'Clear all flags.')
        .option('-S, --set <MASK>', 'Set the flags to a number.', integer)
        .option('-s, --setbit <MASK>', 'Set these flags, too.', integer)
        .option('-c, --clearbit <MASK>', 'Clear these flags.', integer)
        .action((name: string, options: DebugOptions) => withHandle((handle) => debug(handle, name, options))),
  },
  trace: {
    summary: 'Show the messages of modules',
    define: (command) =>
      traceOptions(
        command
          .argument('[name...]', 'names of modules; all of them by default')
          .option('-T, --topic <GLOB>', 'Only these topics.', '*'),
      ).action((names: string[], options: TraceOptions & { topic: string }) =>
        withHandle(async (handle) => {
          for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(0));
          const width = Math.max(0, ...names.map((name) => name.length));
          const request = { topic_glob: options.topic, names };
          await trace(handle, 'module.trace', request, options, ({ name, prefix }) => {
            return `${(name ?? '').padStart(width)} ${prefix}`;
          });
        }),
      ),
  },
} satisfies Parameters<typeof runNested>[2];

// ---- load and remove

function loadOptions(command: Command): Command {
  return command
    .passThroughOptions()
    .argument('<module>', 'name or file of the module')
    .argument('[args...]', 'what it is given')
    .option('-n, --name <NAME>', 'Load it by another name.')
    .option('--exec', 'Run it in a process of its own.')
    .addOption(new Option('--loader <PATH>', 'Have this program load it, in a process of its own.'));
}

function removeOptions(command: Command): Command {
  return command
    .option('-f, --force', 'It is no failure when it is not loaded.')
    .option('--cancel', 'End it without asking it.');
}

/** The broker may be in another folder: what looks like a file is named by its whole path. */
function fullPath(module: string): string {
  if (!module.includes('/') && !/\.(m?js|so|py)$/.test(module)) return module;
  try {
    return fs.realpathSync(module);
  } catch {
    throw new FluxError('ENOENT', `${module}: there is no such file`);
  }
}

async function load(handle: Handle, module: string, args: string[], options: LoadOptions): Promise<void> {
  const { name, exec = false, loader } = options;
  const request = {
    path: fullPath(module),
    args,
    exec: exec || loader !== undefined,
    ...(name !== undefined && { name }),
    ...(loader !== undefined && { loader: path.resolve(loader) }),
  };
  await handle.rpc('module.load', request).catch((error: unknown) => {
    throw about(module, error);
  });
}

async function remove(handle: Handle, module: string, { force, cancel = false }: RemoveOptions): Promise<void> {
  await handle.rpc('module.remove', { name: moduleName(module), cancel }).catch((error: FluxError) => {
    if (!force || error.code !== 'ENOENT') throw about(module, error);
  });
}

/** A module loaded from a file has the file's name, without what is behind the dot. */
function moduleName(module: string): string {
  return module.includes('/') ? path.basename(module).replace(/\.(m?js|so|py)$/, '') : module;
}

// ---- list

interface ListOptions {
  long?: boolean;
  json?: boolean;
}

interface ListedModule {
  readonly name: string;
  readonly path: string;
  readonly idle: number;
  readonly status: number;
  readonly services: readonly string[];
  readonly sendqueue?: number;
  readonly recvqueue?: number;
}

const IDLE_MAX = 99;
const NAME_WIDTH = 25;
const SERVICES_WIDTH = 8;
/** Letters of the states of RFC 5, Module Status. */
const stateLetters = 'IRFX';

async function list(handle: Handle, { long = false, json = false }: ListOptions): Promise<void> {
  const { mods } = await handle.rpc<{ mods: ListedModule[] }>('module.list');
  if (json) {
    print(JSON.stringify(mods));
    return;
  }
  const heading = ['Module', 'Idle', 'S', 'Sendq', 'Recvq', 'Service'] as const;
  print(listLine(...heading, long ? 'Path' : undefined));
  for (const { name, idle, status, sendqueue = 0, recvqueue = 0, services, path } of mods) {
    const others = services.filter((service) => service !== name).join(',');
    const age = idle <= IDLE_MAX ? String(idle) : 'idle';
    const state = stateLetters[status] ?? '?';
    print(listLine(name, age, state, String(sendqueue), String(recvqueue), others, long ? path : undefined));
  }
}

function listLine(
  name: string,
  idle: string,
  state: string,
  sendQueue: string,
  receiveQueue: string,
  services: string,
  path: string | undefined,
): string {
  const columns = [
    name.slice(0, NAME_WIDTH).padEnd(NAME_WIDTH),
    idle.padStart(4),
    ` ${state}`,
    sendQueue.padStart(5),
    receiveQueue.padStart(5),
  ];
  if (path === undefined) return [...columns, services].join(' ');
  const short = services.length > SERVICES_WIDTH ? `${services.slice(0, SERVICES_WIDTH - 1)}+` : services;
  return [...columns, short.padEnd(SERVICES_WIDTH), path].join(' ');
}

// ---- debug

interface DebugOptions {
  clear?: boolean;
  set?: number;
  setbit?: number;
  clearbit?: number;
}

async function debug(handle: Handle, name: string, { clear, set, setbit, clearbit }: DebugOptions): Promise<void> {
  const request = clear
    ? { op: 'clr', flags: 0 }
    : set !== undefined
      ? { op: 'set', flags: set }
      : clearbit !== undefined
        ? { op: 'clrbit', flags: clearbit }
        : { op: 'setbit', flags: setbit ?? 0 };
  const { flags } = await handle.rpc<{ flags: number }>(`${name}.debug`, request);
  print(`0x${(flags >>> 0).toString(16)}`);
}
