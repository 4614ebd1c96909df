/** `flux modprobe`: loads and removes modules with all that they require, as an instance does when it starts and ends. */

import type { Command } from 'commander';
import { builtinModules, initialModules, type ModuleEntry } from '../core/broker/module-table.ts';
import { FluxError } from '../core/errno.ts';
import type { Handle } from '../core/handle/handle.ts';
import { collect, Exit, PYTHON_USAGE_ERROR, refuseOption, withHandle } from './command.ts';
import { noteLife, pushJobCleanup, readScripts, runShell } from './modprobe-scripts.ts';
import { fetchLoaded, openTable, type TableChanges } from './modprobe-table.ts';
import { type RunOptions, runLoad, runRemove, runScripts } from './modprobe-tasks.ts';
import { runNested } from './nested.ts';
import { print } from './print.ts';

/** `flux modprobe COMMAND …` */
export function run(args: readonly string[]): Promise<number> {
  return runNested(
    'modprobe',
    'Load and remove modules with all that they require.',
    commands,
    args,
    PYTHON_USAGE_ERROR,
  );
}

interface ChangeOptions {
  setAlternative: string[];
  disable: string[];
}

const commands = {
  load: {
    summary: 'Load modules, and what they require',
    define: (command) =>
      dryRun(command)
        .argument('<module...>', 'modules or services')
        .action((names: string[], options: RunOptions) => withHandle((handle) => load(handle, names, options))),
  },
  remove: {
    summary: 'Remove modules, and what nobody else requires',
    define: (command) =>
      dryRun(command)
        .argument('<module...>', 'modules, or all')
        .action((names: string[], options: RunOptions) => withHandle((handle) => remove(handle, names, options))),
  },
  list: {
    summary: 'List the modules that are known',
    define: (command) => command.option('--json', 'Print them as JSON.').action(list),
  },
  show: {
    summary: 'Show what is known of a module',
    define: (command) =>
      changes(command)
        .argument('<module>', 'a module or a service')
        .action((name: string, options: ChangeOptions) =>
          withHandle(async (handle) => {
            const { order } = await openTable(handle, tableChanges(options));
            print(JSON.stringify(order.resolve(name)));
          }),
        ),
  },
  'list-dependencies': {
    summary: 'Draw what a module requires',
    define: (command) =>
      changes(command)
        .argument('<module>', 'a module or a service')
        .option('-f, --full', 'Draw what is required more than once each time.')
        .action((name: string, options: ChangeOptions & { full?: boolean }) =>
          withHandle((handle) => drawDependencies(handle, name, options)),
        ),
  },
  rc1: {
    summary: 'Do what an instance does when it starts',
    define: (command) =>
      refuseOption(verbose(dryRun(command)), '--timing', 'times are kept in the KVS, which instances do not have yet')
        .option('--show-deps', 'Show what is loaded after what, as JSON, and do nothing.')
        .action((options: RunOptions & { showDeps?: boolean }) => withHandle((handle) => rc1(handle, options))),
  },
  rc3: {
    summary: 'Do what an instance does when it ends',
    define: (command) =>
      verbose(dryRun(command)).action((options: RunOptions) => withHandle((handle) => rc3(handle, options))),
  },
  run: {
    summary: 'Refused: rc files are Python programs',
    define: (command) =>
      command.argument('<file>', 'an rc file').action((file: string) => {
        throw new FluxError('ENOSYS', `${file}: rc files are Python programs; executables in rc1.d and rc3.d are run`);
      }),
  },
} satisfies Parameters<typeof runNested>[2];

function dryRun(command: Command): Command {
  return command.option('--dry-run', 'Only show what would be done.');
}

function verbose(command: Command): Command {
  return command.option('-v, --verbose', 'Show what is being done.');
}

function changes(command: Command): Command {
  return command
    .option('-S, --set-alternative <SERVICE=MODULE>', 'Take this module for a service.', collect, [])
    .option('-D, --disable <MODULE>', 'Leave this module out.', collect, []);
}

function tableChanges({ setAlternative, disable }: ChangeOptions): TableChanges {
  const alternatives = setAlternative.map((text): [string, string] => {
    const [, service, name] = /^([^=]+)=(.+)$/.exec(text) ?? [];
    if (!service || !name) throw new FluxError('EINVAL', `--set-alternative: '${text}' is not SERVICE=MODULE`);
    return [service, name];
  });
  return { alternatives, disabled: disable };
}

async function load(handle: Handle, names: readonly string[], options: RunOptions): Promise<void> {
  const { order } = await openTable(handle);
  const loaded = await fetchLoaded(handle);
  const missing = order.requirements(names, true).filter((name) => !loaded.includes(name));
  if (missing.length === 0) console.error('flux-modprobe: all of it is loaded already');
  await runLoad(handle, order, missing, options);
}

async function remove(handle: Handle, names: readonly string[], options: RunOptions): Promise<void> {
  const { order } = await openTable(handle);
  const loaded = await fetchLoaded(handle);
  for (const name of names) {
    if (name !== 'all' && builtinModules.includes(name))
      throw new FluxError('EINVAL', `${name} is part of the broker and stays`);
    if (name !== 'all' && !loaded.includes(name)) throw new FluxError('ENOENT', `${name} is not loaded`);
  }
  const known = loaded.filter((name) => order.entry(name));
  // Those that no table knows depend on anything, so they go first.
  const strangers = loaded.filter((name) => !builtinModules.includes(name) && !known.includes(name));
  const all = names.includes('all');
  const unknown = all ? strangers.reverse() : names.filter((name) => !known.includes(name));
  await runRemove(
    handle,
    order,
    unknown,
    order.removable(all ? known : names.filter((name) => known.includes(name)), known),
    options,
  );
}

async function rc1(handle: Handle, options: RunOptions & { showDeps?: boolean }): Promise<void> {
  const { order } = await openTable(handle);
  const wanted = order.requirements(initialModules);
  if (options.showDeps) {
    print(JSON.stringify(Object.fromEntries(order.loadOrder(wanted))));
    throw new Exit(0);
  }
  const loaded = await fetchLoaded(handle);
  const missing = order.sequence(wanted).filter((name) => !loaded.includes(name));
  const { restore, crontabs } = await readScripts(handle);
  const first = restore === undefined ? [] : missing.slice(0, missing.indexOf('kvs'));
  await runLoad(handle, order, first, options, ['truncate']);
  runShell(restore, options);
  await runLoad(handle, order, missing.slice(first.length), options);
  await noteLife(handle, 'start', wanted, options);
  if (wanted.includes('cron')) runShell(crontabs, options);
  if (wanted.includes('job-manager')) await pushJobCleanup(handle, options);
  await runScripts('rc1', options);
}

async function rc3(handle: Handle, options: RunOptions): Promise<void> {
  await runScripts('rc3', options);
  const { order } = await openTable(handle);
  const loaded = await fetchLoaded(handle);
  const { dump } = await readScripts(handle);
  await noteLife(handle, 'finish', loaded, options);
  if (dump !== undefined) {
    const isStore = (name: string) => name.startsWith('content') || name === 'heartbeat';
    const names = loaded.filter((name) => order.entry(name) && !isStore(name));
    await runRemove(handle, order, [], names, options);
    runShell(dump, options);
  }
  await remove(handle, ['all'], options);
}

// ---- what is known

function list({ json }: { json?: boolean }): Promise<void> {
  return withHandle(async (handle) => {
    const { table, order } = await openTable(handle);
    const loaded = await fetchLoaded(handle);
    if (json) {
      print(JSON.stringify(table.map((entry) => ({ ...entry, loaded: loaded.includes(entry.name) }))));
      return;
    }
    const width = Math.max(...table.map(({ name }) => name.length), 'MODULE'.length);
    const line = (name: string, state: string, ranks: string, requires: string): string =>
      `${name.padEnd(width)}  ${state.padEnd(8)}  ${ranks.padEnd(5)}  ${requires}`.trimEnd();
    print(line('MODULE', 'STATE', 'RANKS', 'REQUIRES'));
    for (const entry of table) {
      const state = loaded.includes(entry.name) ? 'loaded' : order.isEnabled(entry) ? '-' : 'disabled';
      print(line(entry.name, state, entry.ranks, entry.requires.join(' ')));
    }
  });
}

async function drawDependencies(
  handle: Handle,
  name: string,
  options: ChangeOptions & { full?: boolean },
): Promise<void> {
  const { order } = await openTable(handle, tableChanges(options));
  const drawn = new Set<string>();
  const label = (service: string, entry: ModuleEntry) =>
    entry.name === service ? service : `${service} (${entry.name})`;
  const draw = (service: string, entry: ModuleEntry, indent: string, path: readonly string[]): void => {
    const children = entry.requires.filter((each) => options.full || !drawn.has(each));
    for (const each of children) drawn.add(each);
    for (const [index, each] of children.entries()) {
      const isLast = index === children.length - 1;
      const child = order.resolve(each);
      print(`${indent}${isLast ? '└── ' : '├── '}${label(each, child)}`);
      if (!path.includes(each)) draw(each, child, `${indent}${isLast ? '    ' : '│   '}`, [...path, service]);
    }
  };
  const entry = order.resolve(name);
  print(label(name, entry));
  draw(name, entry, '', []);
}
