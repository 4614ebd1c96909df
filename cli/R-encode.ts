/** `flux R encode`: makes up a resource set. */

import fs from 'node:fs';
import os from 'node:os';
import type { Command } from 'commander';
import { about, FluxError } from '../core/errno.ts';
import { Hostlist } from '../core/formats/hostlist.ts';
import { IdSet } from '../core/formats/idset.ts';
import { encodeResourceSet } from '../core/formats/resource-json.ts';
import { type Resources, resourcesOf } from '../core/formats/resource-node.ts';
import { ResourceSet } from '../core/formats/resource-set.ts';
import { collect, idset, reader } from './command.ts';
import { print } from './print.ts';
import { assignProperties } from './R-properties.ts';

interface Options {
  ranks?: IdSet;
  cores?: IdSet;
  gpus?: IdSet;
  hosts?: Hostlist;
  property: string[];
  local?: boolean;
  xml?: string;
}

const ONE_CORE = IdSet.range(0, 0);

export const encodeCommand = {
  summary: 'Make up a set',
  define: (command: Command): Command =>
    command
      .option('-r, --ranks <IDSET>', 'Its ranks; by default one for each host.', idset)
      .option('-c, --cores <IDSET>', 'Cores of each rank (default: 0).', idset)
      .option('-g, --gpus <IDSET>', 'GPUs of each rank.', idset)
      .option(
        '-H, --hosts <HOSTLIST>',
        'Hosts of the ranks; by default this one.',
        reader((text) => Hostlist.parse(text)),
      )
      .option('-p, --property <NAME[:IDSET]>', 'Give a property to ranks, by default to all.', collect, [])
      .option('-l, --local', 'Take the cores and GPUs of this machine.')
      .option('-f, --xml <FILE>', 'Take those of a topology that hwloc has exported; - is standard input.')
      .action(async (options: Options) => {
        print(encodeResourceSet(await encode(options)));
      }),
};

async function encode(options: Options): Promise<ResourceSet> {
  const { property } = options;
  const { ranks, hosts } = placesOf(options);
  if (hosts.count !== ranks.count)
    throw new FluxError('EINVAL', `--hosts: '${hosts}' are ${hosts.count} hosts for ${ranks.count} ranks`);
  return assignProperties(ResourceSet.uniform(ranks, hosts, await resources(options)), property);
}

function placesOf({ ranks, hosts }: Options): { ranks: IdSet; hosts: Hostlist } {
  const here = (count: number) => Hostlist.from(Array.from({ length: count }, () => os.hostname()));
  if (ranks) return { ranks, hosts: hosts ?? here(ranks.count) };
  const named = hosts ?? here(1);
  return { ranks: idsBelow(named.count), hosts: named };
}

function idsBelow(count: number): IdSet {
  return count ? IdSet.range(0, count - 1) : IdSet.empty;
}

async function resources({ cores, gpus, local, xml }: Options): Promise<Resources> {
  if (!local && xml === undefined)
    return makeResources(cores ?? (gpus?.count ? IdSet.empty : ONE_CORE), gpus ?? IdSet.empty);
  if (cores?.count || gpus?.count)
    throw new FluxError('EINVAL', '--cores and --gpus go neither with --local nor with --xml');
  const { hwloc, topology } = await import('../native/topology.ts');
  const machine = xml === undefined ? topology() : hwloc({ xml: readXml(xml), bound: false });
  if (!machine) throw new FluxError('ENOSYS', '--xml: the library hwloc is not there to read it');
  return makeResources(idsBelow(machine.cores), idsBelow(machine.gpus));
}

function makeResources(cores: IdSet, gpus: IdSet): Resources {
  return resourcesOf([['core', cores], ...(gpus.count ? ([['gpu', gpus]] as const) : [])]);
}

function readXml(file: string): string {
  try {
    return fs.readFileSync(file === '-' ? 0 : file, 'utf8');
  } catch (error) {
    throw about(file, error);
  }
}
