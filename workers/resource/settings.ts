/** The configuration of the module `resource`: the table `resource`, and its arguments (flux-config-resource(5)). */

import fs from 'node:fs';
import { FluxError } from '../../core/errno.ts';
import { parseDuration } from '../../core/formats/duration.ts';
import { resourceSetFromConfig } from '../../core/formats/resource-config.ts';
import { parseResourceSet } from '../../core/formats/resource-json.ts';
import { ResourceSet } from '../../core/formats/resource-set.ts';
import { parseVerifyModes, type VerifyModes } from '../../core/formats/resource-verify.ts';
import { type JsonObject, parseJson } from '../../core/json.ts';
import { isObject, unpackTable } from '../../core/message/unpack.ts';

export interface ResourceSettings {
  /** What is configured; undefined when the ranks' hardware is what there is. */
  readonly resources: ResourceSet | undefined;
  /** Whether each rank gets a share of the machine that they are on, instead of all of it. */
  readonly partitions: boolean;
  /** Whether an instance that is a job takes what the ranks have instead of what the job has. */
  readonly rediscovers: boolean;
  /** Whether an instance that is a job learns of changes to when it is to end. */
  readonly followsJob: boolean;
  /** Ranks or hosts that are not to be used: an idset or a hostlist. */
  readonly exclude: string | undefined;
  /** How ranks are compared with what is configured; undefined: not at all. */
  readonly verify: VerifyModes | undefined;
  /** Events that the journal keeps in memory. */
  readonly journalMax: number;
  /** Seconds for which events stay in the KVS; Infinity: for ever. */
  readonly history: number;
}

export interface ResourceArguments {
  /** All ranks are up, whatever their brokers say: for tests. */
  readonly forcesUp: boolean;
  readonly verifies: boolean;
  readonly truncates: boolean;
}

const JOURNAL_MAX = 100_000;
const HISTORY = '90d';
const usualVerify: VerifyModes = { hostname: 'strict', core: 'allow-extra', gpu: 'ignore' };

/** @throws FluxError EINVAL: what is wrong in it, or in a file that it names */
export function resourceSettings(config: JsonObject): ResourceSettings {
  const table = unpackTable(config, 'resource', {
    path: 's?',
    scheduling: 's?',
    config: '*?',
    verify: '*?',
    exclude: 's?',
    norestrict: 'b?',
    noverify: 'b?',
    'no-update-watch': 'b?',
    rediscover: 'b?',
    partition: 'b?',
    'journal-max': 'i?',
    history: 's?',
  });
  const resources = configured(table.config, table.path);
  const verify = table.verify === undefined ? usualVerify : inTable('verify', () => parseVerifyModes(table.verify));
  return {
    resources: withScheduling(resources, table.scheduling),
    partitions: table.partition ?? false,
    rediscovers: table.rediscover ?? false,
    followsJob: !table['no-update-watch'],
    exclude: table.exclude,
    verify: table.noverify ? undefined : verify,
    journalMax: table['journal-max'] ?? JOURNAL_MAX,
    history: inTable('history', () => parseDuration(table.history ?? HISTORY)),
  };
}

function configured(config: unknown, path: string | undefined): ResourceSet | undefined {
  if (config !== undefined) return inTable('config', () => resourceSetFromConfig(config));
  if (path !== undefined) return inTable('path', () => parseResourceSet(readFile(path)));
  return undefined;
}

function withScheduling(resources: ResourceSet | undefined, path: string | undefined): ResourceSet | undefined {
  if (path === undefined) return resources;
  return inTable('scheduling', () => {
    if (!resources) throw new FluxError('EINVAL', 'it needs resource.path or resource.config');
    const scheduling = parseJson(readFile(path));
    if (!isObject(scheduling)) throw new FluxError('EINVAL', `${path} is not a JSON object`);
    return new ResourceSet(resources.nodes, { ...resources, scheduling });
  });
}

function readFile(path: string): string {
  try {
    return fs.readFileSync(path, 'utf8');
  } catch (error) {
    throw new FluxError('EINVAL', (error as Error).message);
  }
}

function inTable<T>(key: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    const { message } = error as Error;
    throw new FluxError('EINVAL', `error parsing [resource] configuration: ${key}: ${message}`, { cause: error });
  }
}

/** @throws FluxError EINVAL: an argument that it does not know */
export function resourceArguments(args: readonly string[]): ResourceArguments {
  const known = ['monitor-force-up', 'noverify', 'notruncate'];
  const unknown = args.find((arg) => !known.includes(arg));
  if (unknown !== undefined) throw new FluxError('EINVAL', `unknown option: ${unknown}`);
  return {
    forcesUp: args.includes('monitor-force-up'),
    verifies: !args.includes('noverify'),
    truncates: !args.includes('notruncate'),
  };
}
