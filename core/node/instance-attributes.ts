/** The attributes that an instance starts with: what it is, and defaults for what nobody set. */

import { checkCommandLine } from '../broker/attributes.ts';
import { builtInConfiguration } from '../broker/built-in-configuration.ts';
import { timeoutAttributes } from '../broker/lifecycle-settings.ts';
import { logAttributes } from '../broker/services/log.ts';
import { about, FluxError } from '../errno.ts';
import { parseDuration } from '../formats/duration.ts';
import { Hostlist } from '../formats/hostlist.ts';
import { IdSet } from '../formats/idset.ts';
import { TaskMap } from '../formats/taskmap.ts';
import type { JsonObject } from '../json.ts';
import { completePolicy } from '../overlay/policy.ts';
import { checkTbonConfig, tbonDurations } from '../overlay/tbon-config.ts';
import type { Topology } from '../overlay/topology.ts';
import { FLUX_CORE_VERSION } from './instance.ts';

/** Attributes of the tree that [tbon] of the configuration can set, and their defaults. */
const tbonDefaults: Readonly<Record<string, string>> = {
  zmqdebug: '0',
  zmq_io_threads: '1',
  child_rcvhwm: '0',
  prefertcp: '0',
  'interface-hint': 'default-route',
  torpid_min: '5s',
  torpid_max: '30s',
  tcp_user_timeout: '20s',
  connect_timeout: '30s',
};

/**
 * Whether attributes may be given on the command line.
 *
 * @throws FluxError ENOENT or EINVAL, with the attribute's name
 */
export function checkSetAttributes(names: Iterable<string>): void {
  for (const name of names) {
    try {
      checkCommandLine(name);
    } catch (error) {
      throw about(name, error);
    }
  }
}

/** The value of tbon.topo: of the command line, else of the configuration; undefined when nobody cares. */
export function topologyUri(set: ReadonlyMap<string, string>, config: JsonObject): string | undefined {
  return set.get('tbon.topo') ?? tbonFromConfig(config).topo;
}

/** The value of an attribute `tbon.NAME`: of the command line, else of the configuration, else the default. */
export function tbonAttribute(name: string, set: ReadonlyMap<string, string>, config: JsonObject): string {
  return set.get(`tbon.${name}`) ?? tbonFromConfig(config)[name] ?? tbonDefaults[name]!;
}

/**
 * Seconds of an attribute `tbon.NAME`.
 *
 * @throws FluxError EINVAL: it is no duration
 */
export function tbonSeconds(
  name: (typeof tbonDurations)[number],
  set: ReadonlyMap<string, string>,
  config: JsonObject,
): number {
  try {
    return parseDuration(tbonAttribute(name, set, config));
  } catch (error) {
    throw about(`tbon.${name}`, error);
  }
}

/** @throws FluxError EINVAL: what is wrong with the attributes of the tree, or with [tbon] */
export function checkTbon(set: ReadonlyMap<string, string>, config: JsonObject): void {
  checkTbonConfig(config);
  for (const name of tbonDurations) tbonSeconds(name, set, config);
}

function tbonFromConfig(config: JsonObject): Readonly<Record<string, string>> {
  const table = config.tbon as JsonObject | undefined;
  return Object.fromEntries(Object.entries(table ?? {}).map(([key, value]) => [key, String(value)]));
}

/** The instance that this one is a job of. */
export interface Enclosing {
  /** Id of the job there, in base 58. */
  readonly jobid: string;
  /** How many instances enclose this one. */
  readonly level: string;
  readonly uri: string | undefined;
  /** Namespace of the job there. */
  readonly namespace: string | undefined;
  /** Ids of jobs from the outermost instance to this one. */
  readonly jobidPath: string;
}

export interface AttributeFacts {
  readonly size: number;
  readonly owner: number;
  readonly topology: Topology;
  /** Its name: tbon.topo. */
  readonly topologyUri: string;
  readonly hostnames: readonly string[];
  readonly bootMethod: string;
  /** Of an instance that is a job. */
  readonly enclosing?: Enclosing | undefined;
  /** See StartOptions. */
  readonly mapping: string | null | undefined;
  readonly rundir: string;
  readonly rundirCleanup: boolean;
  readonly configPath: string | undefined;
  /** Seconds since the epoch. */
  readonly startTime: number;
  readonly config: JsonObject;
}

/** The attributes that all ranks share. */
export function sharedAttributes(facts: AttributeFacts, set: ReadonlyMap<string, string>): [string, string | null][] {
  const { size, topology, hostnames } = facts;
  const attributes = new Map<string, string | null>([
    ['size', String(size)],
    ['version', FLUX_CORE_VERSION],
    ['security.owner', String(facts.owner)],
    ...enclosingAttributes(facts.enclosing),
    ['rundir', facts.rundir],
    ['rundir-cleanup', facts.rundirCleanup ? '1' : '0'],
    ['hostlist', Hostlist.from(hostnames).encode()],
    ['broker.boot-method', facts.bootMethod],
    ['broker.critical-ranks', IdSet.from(topology.routers()).encode()],
    ['broker.mapping', mappingOf(facts)],
    ['broker.pid', String(process.pid)],
    ['broker.quorum', String(size)],
    ['broker.starttime', facts.startTime.toFixed(2)],
    ['broker.rc1_path', builtInConfiguration.rc1_path!],
    ['broker.rc3_path', builtInConfiguration.rc3_path!],
    ['conf.shell_initrc', builtInConfiguration.shell_initrc!],
    ['conf.shell_pluginpath', builtInConfiguration.shell_pluginpath!],
    ['content.hash', 'sha1'],
    ['tbon.maxlevel', String(topology.maxLevel)],
    ...Object.entries(timeoutAttributes),
    ...Object.entries(logAttributes),
  ]);
  const tbon = { ...tbonDefaults, ...tbonFromConfig(facts.config), topo: facts.topologyUri };
  for (const [key, value] of Object.entries(tbon)) attributes.set(`tbon.${key}`, value);
  if (facts.configPath !== undefined) attributes.set('config.path', facts.configPath);
  // What was wished for these has become a fact.
  for (const [name, value] of set) if (name !== 'rundir' && name !== 'broker.boot-method') attributes.set(name, value);
  completePolicy(attributes);
  // These are rank 0's, or were wishes for what is among the facts.
  for (const name of ['statedir', 'statedir-cleanup', 'hostname', 'local-uri', 'content.backing-module'])
    attributes.delete(name);
  return [...attributes];
}

function enclosingAttributes(enclosing: Enclosing | undefined): [string, string | null][] {
  if (!enclosing)
    return [
      ['instance-level', '0'],
      ['jobid-path', '/'],
      ['parent-uri', null],
    ];
  return [
    ['instance-level', enclosing.level],
    ['jobid', enclosing.jobid],
    ['jobid-path', enclosing.jobidPath],
    ['parent-uri', enclosing.uri ?? null],
    ['parent-kvs-namespace', enclosing.namespace ?? null],
  ];
}

function mappingOf({ size, mapping }: AttributeFacts): string | null {
  if (mapping === null) return null;
  const map = TaskMap.parse(mapping ?? `[[0,1,${size},1]]`);
  if (map.taskCount !== size)
    throw new FluxError('EINVAL', `the map ${mapping} places ${map.taskCount} ranks, not ${size}`);
  return map.encode('blocks');
}
