/** `flux R`: resource sets (RFC 20), made up, read, put together and looked at. */

import fs from 'node:fs';
import { text } from 'node:stream/consumers';
import type { Command } from 'commander';
import { about, FluxError } from '../core/errno.ts';
import { compileConstraint } from '../core/formats/constraint.ts';
import { Hostlist } from '../core/formats/hostlist.ts';
import type { IdSet } from '../core/formats/idset.ts';
import { parseJson, parseJsonSequence } from '../core/formats/jansson.ts';
import { resourceSetFromConfig } from '../core/formats/resource-config.ts';
import { encodeResourceSet, parseResourceSet, resourceSetFromJson } from '../core/formats/resource-json.ts';
import { ResourceSet } from '../core/formats/resource-set.ts';
import { verifyResources } from '../core/formats/resource-verify.ts';
import type { JsonObject } from '../core/json.ts';
import { isObject } from '../core/message/unpack.ts';
import { readConfigPath } from '../core/node/config-files.ts';
import { Exit, idset, reader } from './command.ts';
import { runNested } from './nested.ts';
import { print } from './print.ts';
import { encodeCommand } from './R-encode.ts';
import { assignProperties } from './R-properties.ts';

/** `flux R COMMAND …` */
export function run(args: readonly string[]): Promise<number> {
  return runNested('R', 'Resource sets as the resource service and schedulers exchange them.', commands, args);
}

const hostlist = reader((text) => Hostlist.parse(text));

const commands = {
  encode: encodeCommand,
  append: {
    summary: 'Put sets from standard input together, which share no resource',
    define: (command) =>
      command.action(async () => printSet((await readAll(1)).reduce(appendDisjoint, ResourceSet.empty))),
  },
  diff: {
    summary: 'Show what the first set from standard input has and the others do not',
    define: (command) => command.action(async () => printSet((await readAll(2)).reduce((a, b) => a.diff(b)))),
  },
  intersect: {
    summary: 'Show what all sets from standard input have',
    define: (command) => command.action(async () => printSet((await readAll(2)).reduce((a, b) => a.intersect(b)))),
  },
  remap: {
    summary: 'Number the ranks of the sets from standard input from 0 on',
    define: (command) => command.action(async () => printSet((await readUnion()).remap())),
  },
  rerank: {
    summary: 'Number the ranks of the sets from standard input by the places of their hosts in a list',
    define: (command) =>
      command
        .argument('<hostlist>', 'the hosts in the order of their ranks', hostlist)
        .action(async (hosts: Hostlist) => printSet((await readUnion()).rerank(hosts))),
  },
  decode: {
    summary: 'Show what the sets from standard input have together',
    define: decodeOptions,
  },
  verify: {
    summary: 'Check that the second set from standard input has what the first has for its rank',
    define: (command) => command.action(verify),
  },
  'set-property': {
    summary: 'Give properties to ranks of the set from standard input',
    define: (command) =>
      command
        .argument('<name[:idset]...>', 'a property, and the ranks that get it; all of them by default')
        .action(async (properties: string[]) => printSet(assignProperties(await readUnion(), properties))),
  },
  'parse-config': {
    summary: 'Show the set that a configuration defines',
    define: (command) =>
      command
        .argument('<path>', 'file or folder of the configuration')
        .action((path: string) => printSet(resourcesOfConfig(path))),
  },
} satisfies Parameters<typeof runNested>[2];

function printSet(set: ResourceSet): void {
  print(encodeResourceSet(set));
}

// ---- what comes in

async function readAll(atLeast: number): Promise<ResourceSet[]> {
  let values: unknown[];
  try {
    values = parseJsonSequence(await text(process.stdin));
  } catch (error) {
    throw about('standard input', error);
  }
  if (values.length < atLeast) throw new FluxError('EINVAL', `standard input has fewer than ${atLeast} resource sets`);
  return values.map((value) => {
    try {
      return resourceSetFromJson(value);
    } catch (error) {
      throw about('a resource set of standard input', error);
    }
  });
}

async function readUnion(): Promise<ResourceSet> {
  return (await readAll(1)).reduce((a, b) => a.union(b));
}

function resourcesOfConfig(path: string): ResourceSet {
  const { resource } = readConfigPath(path);
  const { config, path: file, scheduling } = isObject(resource) ? resource : ({} as Record<string, undefined>);
  let set: ResourceSet;
  if (config !== undefined) set = resourceSetFromConfig(JSON.parse(JSON.stringify(config)));
  else if (typeof file === 'string') set = parseResourceSet(readText(file));
  else throw new FluxError('EINVAL', `${path} has neither resource.config nor resource.path`);
  if (typeof scheduling !== 'string') return set;
  return new ResourceSet(set.nodes, { ...set, scheduling: parseJson(readText(scheduling)) as JsonObject });
}

function readText(file: string): string {
  try {
    return fs.readFileSync(file, 'utf8');
  } catch (error) {
    throw about(file, error);
  }
}

// ---- operations

function appendDisjoint(a: ResourceSet, b: ResourceSet): ResourceSet {
  if (a.intersect(b).nodes.length) throw new FluxError('EEXIST', `'${a.describe()}' and '${b.describe()}' overlap`);
  return a.append(b);
}

async function verify(): Promise<void> {
  const sets = await readAll(2);
  if (sets.length > 2) throw new FluxError('EINVAL', 'standard input has more than 2 resource sets');
  const { verdict, text } = verifyResources(sets[0]!, sets[1]!);
  if (text) console.error(`flux-R: ${text}`);
  if (verdict === 'mismatch') throw new Exit(1);
}

// ---- decode

interface DecodeOptions {
  short?: boolean;
  nodelist?: boolean;
  ranks?: boolean;
  count?: string;
  include?: IdSet;
  exclude?: IdSet;
  properties?: string;
}

function decodeOptions(command: Command): Command {
  return command
    .option('-s, --short', 'Show it as people read it.')
    .option('-n, --nodelist', 'Show its hosts.')
    .option('-r, --ranks', 'Show its ranks.')
    .option('-c, --count <TYPE>', 'Show how many there are of a type: node, core, gpu …')
    .option('-i, --include <IDSET>', 'Only these ranks.', idset)
    .option('-x, --exclude <IDSET>', 'All but these ranks.', idset)
    .option('-p, --properties <NAME,...>', 'Only ranks that have all these properties; ^NAME: that do not.')
    .action(decode);
}

async function decode(options: DecodeOptions): Promise<void> {
  let set = await readUnion();
  if (options.properties !== undefined)
    set = set.filter(compileConstraint({ properties: options.properties.split(',').filter(Boolean) }));
  if (options.include) set = set.select(options.include);
  if (options.exclude) set = set.exclude(options.exclude);
  const lines: string[] = [];
  if (options.short) lines.push(set.describe());
  if (options.nodelist) lines.push(nodelistOf(set).encode());
  if (options.ranks) lines.push(set.ranks.encode());
  if (options.count) lines.push(String(options.count === 'node' ? set.nodes.length : set.count(options.count)));
  print(lines.length ? lines.join('\n') : encodeResourceSet(set));
}

function nodelistOf(set: ResourceSet): Hostlist {
  const { nodelist } = set;
  if (!nodelist) throw new FluxError('ENOENT', 'the set has no hosts');
  return nodelist;
}
