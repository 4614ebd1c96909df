/**
 * What is known of modules before they are loaded: what each requires, and on which ranks it belongs. The table is what
 * comes with the broker, changed by `modprobe.d/*.toml` and by the `modules` table of the configuration.
 */

import { FluxError } from '../errno.ts';
import { IdSet } from '../formats/idset.ts';
import type { JsonObject, JsonValue } from '../json.ts';
import { isObject } from '../message/unpack.ts';

export interface ModuleEntry {
  readonly name: string;
  /** What is loaded, when that is not `name`: another module, or a file. */
  readonly module: string;
  readonly args: readonly string[];
  /** Run it in a process of its own. */
  readonly exec: boolean;
  /** Ranks it belongs on: `all`, an idset, `>RANK` or `<RANK`. */
  readonly ranks: string;
  /** Services it also is; the provider with the highest priority, the last among equals, is taken. */
  readonly provides: readonly string[];
  readonly priority: number;
  readonly disabled: boolean;
  /** Services that are loaded with it, in any order. */
  readonly requires: readonly string[];
  /** Services that come before it, if they are loaded at all. */
  readonly after: readonly string[];
  /** Services without which it is left out. */
  readonly needs: readonly string[];
  /** Keys of the configuration, attributes and variables without which it is left out; `!` before one: with which. */
  readonly needsConfig: readonly string[];
  readonly needsAttrs: readonly string[];
  readonly needsEnv: readonly string[];
}

const DEFAULT_PRIORITY = 100;

const plain: Omit<ModuleEntry, 'name' | 'module'> = {
  args: [],
  exec: false,
  ranks: 'all',
  provides: [],
  priority: DEFAULT_PRIORITY,
  disabled: false,
  requires: [],
  after: [],
  needs: [],
  needsConfig: [],
  needsAttrs: [],
  needsEnv: [],
};

function entry(name: string, more: Partial<ModuleEntry> = {}): ModuleEntry {
  return { name, module: name, ...plain, ...more };
}

/** A scheduler, on rank 0; the one with the highest priority is loaded where `sched` is wanted. */
function scheduler(name: string, priority: number): ModuleEntry {
  const others = ['job-manager', 'resource'];
  return entry(name, { ranks: '0', requires: others, after: others, provides: ['sched', 'feasibility'], priority });
}

/** Modules that come with the broker and can be loaded and removed. */
export const bundledEntries: readonly ModuleEntry[] = [
  entry('heartbeat'),
  entry('barrier'),
  entry('cron', { ranks: '0', requires: ['heartbeat'], args: ['sync=heartbeat.pulse'] }),
  entry('content', { requires: ['heartbeat', 'content-backing'] }),
  entry('content-files', { ranks: '0', after: ['content'], provides: ['content-backing'] }),
  entry('content-sqlite', { ranks: '0', after: ['content'], provides: ['content-backing'] }),
  entry('kvs', { requires: ['content', 'heartbeat'], after: ['content-backing', 'content'] }),
  entry('kvs-watch', { requires: ['kvs'], after: ['kvs'] }),
  entry('resource', { requires: ['kvs-watch'], after: ['kvs-watch'] }),
  entry('job-manager', { ranks: '0', requires: ['resource', 'kvs'], after: ['resource', 'kvs'] }),
  entry('job-list', { ranks: '0', requires: ['job-manager'], after: ['job-manager'] }),
  entry('job-info', { requires: ['kvs-watch', 'kvs'] }),
  entry('job-ingest', { requires: ['kvs', 'job-manager'], after: ['job-manager'] }),
  entry('job-exec', { ranks: '0', requires: ['kvs', 'job-manager'], after: ['job-manager'] }),
  scheduler('sched-simple', 50),
  scheduler('sched-fifo', 40),
  scheduler('sched-backfill', 40),
];

/** What an instance loads when it starts, with all that it requires. */
export const initialModules: readonly string[] = [
  'content',
  'heartbeat',
  'content-backing',
  'kvs',
  'kvs-watch',
  'resource',
  'cron',
  'job-manager',
  'job-list',
  'job-info',
  'job-ingest',
  'job-exec',
  'sched',
  'feasibility',
];

/** Modules that are part of every broker: loaded before all others, and removed with the broker. */
export const builtinModules: readonly string[] = ['config', 'connector-local', 'groups', 'rexec', 'overlay'];

// ---- reading

const listKeys = {
  args: 'args',
  provides: 'provides',
  requires: 'requires',
  after: 'after',
  needs: 'needs',
  'needs-config': 'needsConfig',
  'needs-attrs': 'needsAttrs',
  'needs-env': 'needsEnv',
} as const;

/**
 * Adds what a file or the configuration says to a table: the array `modules` of whole entries, `alternatives` that choose
 * providers, and tables of changes by module name.
 *
 * @throws FluxError EINVAL: what is wrong in it
 */
export function extendTable(table: readonly ModuleEntry[], settings: JsonObject): ModuleEntry[] {
  const { modules = [], alternatives = {}, ...changes } = settings;
  if (!Array.isArray(modules)) throw new FluxError('EINVAL', 'modules is not an array of tables');
  if (!isObject(alternatives)) throw new FluxError('EINVAL', 'alternatives is not a table');
  let extended = [...table];
  for (const settings of modules) {
    const added = readEntry(settings);
    extended = [...extended.filter(({ name }) => name !== added.name), added];
  }
  for (const [name, change] of Object.entries(changes)) {
    const index = extended.findIndex((each) => each.name === name);
    if (index < 0) throw new FluxError('EINVAL', `there is no module '${name}' to change`);
    extended[index] = changeEntry(extended[index]!, change);
  }
  for (const [service, name] of Object.entries(alternatives))
    extended = chooseProvider(extended, service, String(name));
  return extended;
}

function readEntry(settings: JsonValue): ModuleEntry {
  const name = isObject(settings) ? settings.name : undefined;
  if (typeof name !== 'string') throw new FluxError('EINVAL', 'an entry of modules has no name');
  const { name: _, ...rest } = settings as JsonObject;
  return changeEntry(entry(name), rest);
}

function changeEntry(old: ModuleEntry, settings: JsonValue | undefined): ModuleEntry {
  if (!isObject(settings)) throw new FluxError('EINVAL', `${old.name} is not a table`);
  const changes: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(settings)) {
    const fits = (ok: boolean) => {
      if (!ok) throw new FluxError('EINVAL', `${old.name}.${key} is of the wrong type`);
      return value;
    };
    if (Object.hasOwn(listKeys, key)) {
      changes[listKeys[key as keyof typeof listKeys]] = fits(
        Array.isArray(value) && value.every((each) => typeof each === 'string'),
      );
    } else if (key === 'module' || key === 'ranks') changes[key] = fits(typeof value === 'string');
    else if (key === 'exec' || key === 'disabled') changes[key] = fits(typeof value === 'boolean');
    else if (key === 'priority') changes[key] = fits(Number.isInteger(value));
    else throw new FluxError('EINVAL', `${old.name} has no setting '${key}'`);
  }
  const changed: ModuleEntry = { ...old, ...changes };
  runsOn(changed.ranks, 0);
  return changed;
}

/** @throws FluxError EINVAL: that module does not provide the service */
export function chooseProvider(table: readonly ModuleEntry[], service: string, name: string): ModuleEntry[] {
  const providers = table.filter((each) => provides(each, service));
  if (!providers.some((each) => each.name === name))
    throw new FluxError('EINVAL', `no module '${name}' provides ${service}`);
  const priority = Math.max(...providers.map((each) => each.priority)) + 1;
  return table.map((each) => (each.name === name && providers.length > 1 ? { ...each, priority } : each));
}

/** Whether a module is, or provides, a service. */
export function provides({ name, provides }: ModuleEntry, service: string): boolean {
  return name === service || provides.includes(service);
}

/**
 * Leaves out all modules that are a service or provide it.
 *
 * @throws FluxError ENOENT: there is none
 */
export function disableService(table: readonly ModuleEntry[], service: string): ModuleEntry[] {
  if (!table.some((each) => provides(each, service))) throw new FluxError('ENOENT', `there is no module ${service}`);
  return table.map((each) => (provides(each, service) ? { ...each, disabled: true } : each));
}

/** The names in FLUX_MODPROBE_DISABLE: modules or services to leave out. */
export function disabledServices(variable: string | undefined): string[] {
  return (variable ?? '').split(',').filter(Boolean);
}

/**
 * The table with the backing store of content that the attribute content.backing-module names; `none` is none.
 *
 * @throws FluxError EINVAL: no module of that name is one
 */
export function chooseBacking(table: readonly ModuleEntry[], backing: string | undefined): ModuleEntry[] {
  if (backing === undefined) return [...table];
  if (backing === 'none') return disableService(table, 'content-backing');
  return chooseProvider(table, 'content-backing', backing);
}

/**
 * Whether a set of ranks, as tables write it, holds a rank.
 *
 * @throws FluxError EINVAL: it is none
 */
export function runsOn(ranks: string, rank: number): boolean {
  if (ranks === 'all') return true;
  const [, sign, bound] = /^([<>])(\d+)$/.exec(ranks) ?? [];
  if (sign) return sign === '<' ? rank < Number(bound) : rank > Number(bound);
  return IdSet.parse(ranks).has(rank);
}
