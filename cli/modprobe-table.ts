/** The table of modules for the broker that a command talks to. */

import fs from 'node:fs';
import path from 'node:path';
import { builtInConfiguration } from '../core/broker/built-in-configuration.ts';
import { valueAt } from '../core/broker/config-path.ts';
import { ModuleOrder } from '../core/broker/module-order.ts';
import {
  bundledEntries,
  chooseBacking,
  chooseProvider,
  disabledServices,
  disableService,
  extendTable,
  type ModuleEntry,
} from '../core/broker/module-table.ts';
import { about } from '../core/errno.ts';
import { parseToml } from '../core/formats/toml.ts';
import type { Handle } from '../core/handle/handle.ts';
import type { JsonObject } from '../core/json.ts';
import { isObject } from '../core/message/unpack.ts';

import { optionalAttribute } from './optional-attribute.ts';

export interface TableChanges {
  /** Services, and the modules to take for them. */
  readonly alternatives: readonly (readonly [service: string, name: string])[];
  /** Modules or services to leave out. */
  readonly disabled: readonly string[];
}

export interface OpenTable {
  readonly table: readonly ModuleEntry[];
  readonly order: ModuleOrder;
}

/** The names of the modules that are loaded, in the order in which they were. */
export async function fetchLoaded(handle: Handle): Promise<string[]> {
  return (await handle.rpc<{ mods: { name: string }[] }>('module.list')).mods.map(({ name }) => name);
}

/**
 * The table with what files, the configuration, FLUX_MODPROBE_DISABLE and the command line change in it.
 *
 * @throws FluxError EINVAL: what is wrong in one of them
 */
export async function openTable(handle: Handle, changes?: TableChanges): Promise<OpenTable> {
  const [rank, config] = await Promise.all([handle.attribute('rank'), handle.rpc<JsonObject>('config.get')]);
  let table = readFiles().reduce(extendTable, [...bundledEntries]);
  if (isObject(config.modules)) table = extendTable(table, config.modules);
  table = chooseBacking(table, await optionalAttribute(handle, 'content.backing-module'));
  for (const [service, name] of changes?.alternatives ?? []) table = chooseProvider(table, service, name);
  const disabled = [...disabledServices(process.env.FLUX_MODPROBE_DISABLE), ...(changes?.disabled ?? [])];
  table = disabled.reduce(disableService, table);
  const attributes = await fetchAttributes(handle, table);
  const order = new ModuleOrder(table, {
    rank: Number(rank),
    hasConfig: (key) => valueAt(config, key) !== undefined,
    hasAttribute: (name) => attributes.has(name),
    hasVariable: (name) => process.env[name] !== undefined,
  });
  return { table, order };
}

/** Those attributes that modules depend on and that are set. */
async function fetchAttributes(handle: Handle, table: readonly ModuleEntry[]): Promise<Set<string>> {
  const names = new Set(table.flatMap(({ needsAttrs }) => needsAttrs.map((name) => name.replace(/^!/, ''))));
  const known = await Promise.all(
    Array.from(names, (name) =>
      handle.attribute(name).then(
        () => [name],
        () => [],
      ),
    ),
  );
  return new Set(known.flat());
}

/** Folders with a `modprobe.d`. */
function searchPath(): string[] {
  const { FLUX_MODPROBE_PATH, FLUX_MODPROBE_PATH_APPEND = '' } = process.env;
  const folders = FLUX_MODPROBE_PATH?.split(':') ?? [path.join(builtInConfiguration.confdir!, 'modprobe')];
  return [...new Set([...folders, ...FLUX_MODPROBE_PATH_APPEND.split(':')].filter((folder) => folder.trim() !== ''))];
}

function readFiles(): JsonObject[] {
  return searchPath().flatMap((folder) => {
    const place = path.join(folder, 'modprobe.d');
    const names = fs.existsSync(place) ? fs.readdirSync(place).filter((name) => name.endsWith('.toml')) : [];
    return names.sort().map((name) => readFile(path.join(place, name)));
  });
}

function readFile(file: string): JsonObject {
  try {
    return parseToml(fs.readFileSync(file, 'utf8'), file);
  } catch (error) {
    throw about('modprobe', error);
  }
}
