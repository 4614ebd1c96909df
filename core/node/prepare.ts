/** From what a user wants to what is started: the instance, its plan and its folders, or what is wrong with the wishes. */

import { randomUUID } from 'node:crypto';
import os from 'node:os';
import { isatty } from 'node:tty';
import { lifecycleSettings } from '../broker/lifecycle-settings.ts';
import { checkLogAttributes } from '../broker/services/log.ts';
import { FluxError } from '../errno.ts';
import { Hostlist } from '../formats/hostlist.ts';
import { IdSet } from '../formats/idset.ts';
import { type JsonObject, stringifyJson } from '../json.ts';
import { checkPlacement, nodesOfRanks, type Placement, usualTopology } from '../overlay/placement.ts';
import { Topology } from '../overlay/topology.ts';
import { parseBootstrap } from './bootstrap-config.ts';
import { initialProgram, leadsProcessGroup } from './initial-program.ts';
import { checkSize, type Instance, socketPath } from './instance.ts';
import { checkSetAttributes, checkTbon, type Enclosing, sharedAttributes, topologyUri } from './instance-attributes.ts';
import { checkSocketPath } from './listen.ts';
import type { LinkSettings } from './node-links.ts';
import { makePlan, type Plan } from './plan.ts';
import type { RingSettings } from './ring-neighbours.ts';
import { type InstanceFolder, openFolder, removeFolder } from './run-directory.ts';

export interface StartOptions {
  readonly size?: number;
  /** The processes that host the ranks, when it is not this one alone, and what is the same in all of them. */
  readonly shared?: SharedStart;
  /** How this process reaches the others. */
  readonly links?: LinkSettings & RingSettings;
  /** Attributes, as `--setattr` gives them. */
  readonly attributes?: Readonly<Record<string, string>>;
  readonly config?: JsonObject;
  /** File or folder that the configuration came from and is read from again. */
  readonly configPath?: string;
  /**
   * Program of rank 0: the instance ends when it does. An empty list is a shell for the user; absent: none, the instance
   * runs until it is stopped.
   */
  readonly command?: readonly string[];
  /** Host names by rank, as an RFC 29 hostlist; this machine's for all when absent. */
  readonly hosts?: string;
  readonly bootMethod?: string;
  /** The instance that this one is a job of. */
  readonly enclosing?: Enclosing;
  /** Which ranks share a node, as an RFC 34 task map; null: nobody says. All share one when absent. */
  readonly mapping?: string | null;
  /** Start rank 0 alone; the others are never online. */
  readonly leaderOnly?: boolean;
  /** Whose exit code counts, and how many seconds after the exit of a rank the others are killed. */
  readonly exit?: { readonly mode: 'any' | 'leader'; readonly timeout?: number };
  /** Whether the one who starts the instance removes its run directory, and not its broker. */
  readonly rundirIsCallers?: boolean;
  readonly environment?: Readonly<Record<string, string | undefined>>;
  /** Where log lines go; stderr when absent. */
  readonly stderr?: (line: string) => void;
  /** Folder of the bundles that worker threads and module processes run. */
  readonly bundles?: URL;
}

/** What the processes of an instance have agreed on. */
export interface SharedStart {
  readonly instanceId: string;
  /** Seconds since the epoch. */
  readonly startTime: number;
  readonly placement: Placement;
  /** Processes of the instance on this machine, which share its processors; one when absent. */
  readonly processesHere?: number;
}

export interface Prepared {
  readonly instance: Instance;
  readonly plan: Plan;
  /** The run directory and the state directory. */
  readonly folders: readonly InstanceFolder[];
}

/** Removes the folders that were made for an instance that did not start; one that was there may be another's. */
export function discardFolders(folders: readonly InstanceFolder[]): void {
  for (const folder of folders) if (folder.isNew) removeFolder(folder);
}

/**
 * What follows from wishes alone.
 *
 * @throws FluxError what is wrong with the options or the configuration
 */
export function checkOptions(options: StartOptions) {
  const { size = 1, config = {} } = options;
  const set = new Map(Object.entries(options.attributes ?? {}));
  checkSetAttributes(set.keys());
  checkSize(size);
  checkTbon(set, config);
  const get = (name: string) => set.get(name);
  lifecycleSettings(get, size);
  checkLogAttributes(get);
  const environment = cleanEnvironment(options.environment ?? process.env);
  const hostname = set.get('hostname') ?? os.hostname();
  const hostnames = hostnamesOf(options.hosts, hostname, size);
  const placement = options.shared?.placement ?? alone(size);
  const tree = treeOf(set, config, placement, size);
  const ranks = [...IdSet.parse(placement.nodes[placement.own]!.ranks)];
  const cores = Math.max(1, Math.floor(os.availableParallelism() / (options.shared?.processesHere ?? 1)));
  const plan = makePlan(cores, tree.topology, config, ranks);
  const program = plan.firstRank === 0 ? programOf(options.command, set, environment) : undefined;
  return { size, config, set, get, environment, hostname, hostnames, placement, tree, plan, program };
}

/**
 * Makes an instance ready to be started; its folders are there afterwards.
 *
 * @throws FluxError what is wrong with the options, the configuration or the folders
 */
export function prepare(options: StartOptions): Prepared {
  const { size, config, set, get, environment, hostname, hostnames, placement, tree, plan, program } =
    checkOptions(options);
  const { uri: topo, hosts, topology } = tree;
  const { instanceId = randomUUID(), startTime = Date.now() / 1000 } = options.shared ?? {};
  const folders: InstanceFolder[] = [];
  const open = (what: 'rundir' | 'statedir', parent: string): InstanceFolder => {
    const folder = openFolder(what, set.get(what), environment.TMPDIR || parent, set.get(`${what}-cleanup`));
    folders.push(folder);
    return folder;
  };
  try {
    const rundir = open('rundir', '/tmp');
    checkSocketPath(socketPath(rundir.path, size - 1), 'rundir: ');
    const leaderAttributes = plan.firstRank === 0 ? stateAttributes(open('statedir', '/var/tmp'), get) : [];
    const owner = os.userInfo().uid;
    const attributes = sharedAttributes(
      {
        size,
        owner,
        topology,
        topologyUri: topo,
        hostnames,
        bootMethod: options.bootMethod ?? (size === 1 ? 'single' : 'simple'),
        enclosing: options.enclosing,
        mapping: options.mapping,
        rundir: rundir.path,
        rundirCleanup: rundir.cleanup && !options.rundirIsCallers,
        configPath: options.configPath,
        startTime,
        config,
      },
      set,
    );
    const instance: Instance = {
      id: instanceId,
      size,
      topology: topo,
      customHosts: hosts,
      placement,
      owner,
      hostnames,
      hostname,
      attributes,
      leaderAttributes,
      config: stringifyJson(config),
      configPath: options.configPath,
      rundir: rundir.path,
      workingDirectory: process.cwd(),
      environment,
      rc1: set.get('broker.rc1_path') ?? 'flux modprobe rc1',
      rc3: set.get('broker.rc3_path') ?? 'flux modprobe rc3',
      initialProgram: program,
      startsAll: !options.leaderOnly,
    };
    return { instance, plan, folders };
  } catch (error) {
    discardFolders(folders);
    throw error;
  }
}

/**
 * The tree that is wished for.
 *
 * @throws FluxError EINVAL: what is wrong with the wishes, or the processes
 */
export function treeOf(set: ReadonlyMap<string, string>, config: JsonObject, { nodes }: Placement, size: number) {
  const uri = topologyUri(set, config) ?? usualTopology(nodes, size);
  const hosts = uri === 'custom' ? (parseBootstrap(config)?.hosts ?? []) : [];
  const topology = Topology.create(uri, size, { hosts, nodeOfRank: nodesOfRanks(nodes, size) });
  checkPlacement(nodes, topology);
  return { uri, hosts, topology };
}

/** One process has all ranks. */
function alone(size: number): Placement {
  return { own: 0, nodes: [{ ranks: IdSet.range(0, size - 1).encode() }] };
}

/** What rank 0 alone has. */
function stateAttributes(statedir: InstanceFolder, get: (name: string) => string | undefined): [string, string][] {
  return [
    ['statedir', statedir.path],
    ['statedir-cleanup', statedir.cleanup ? '1' : '0'],
    ['content.backing-module', get('content.backing-module') ?? 'content-sqlite'],
  ];
}

function programOf(
  command: StartOptions['command'],
  set: ReadonlyMap<string, string>,
  environment: Readonly<Record<string, string>>,
): Instance['initialProgram'] {
  if (!command || set.has('broker.rc2_none')) return undefined;
  // process.stdin would make a pipe non-blocking, and the program finds it so.
  const isTerminal = isatty(0);
  const keepsGroup = !set.has('broker.rc2_pgrp') && (leadsProcessGroup() || isTerminal);
  return initialProgram(command, environment.SHELL ?? '/bin/bash', isTerminal, keepsGroup);
}

/** Variables that speak of an enclosing instance, and are not this one's. */
const enclosing = ['FLUX_URI', 'FLUX_KVS_NAMESPACE', 'FLUX_PROXY_REMOTE', 'FLUX_JOB_ID_PATH'];

function cleanEnvironment(environment: Readonly<Record<string, string | undefined>>): Record<string, string> {
  const clean: Record<string, string> = {};
  for (const [name, value] of Object.entries(environment))
    if (value !== undefined && !enclosing.includes(name)) clean[name] = value;
  return clean;
}

function hostnamesOf(hosts: string | undefined, hostname: string, size: number): string[] {
  if (hosts === undefined) return new Array<string>(size).fill(hostname);
  const names = Hostlist.parse(hosts).expand();
  if (names.length !== size) throw new FluxError('EINVAL', `${hosts} names ${names.length} hosts for ${size} ranks`);
  return names;
}
