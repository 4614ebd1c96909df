/**
 * The machine's processors: by hwloc where its library is installed, otherwise from Linux's /sys, which gives the same
 * counts but no GPUs and no XML.
 */

import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { FluxError } from '../core/errno.ts';
import { getAddon } from './addon.ts';

export interface CpuTopology {
  readonly packages: number;
  readonly cores: number;
  /** Processing units: hardware threads. */
  readonly pus: number;
  readonly numaNodes: number;
}

export interface HwlocTopology extends CpuTopology {
  /** Compute GPUs, each counted once however many interfaces see it. */
  readonly gpus: number;
  /** hwloc's export of the topology. */
  readonly xml: string;
  /** hwloc's API version, `0x20800` for 2.8. */
  readonly apiVersion: number;
}

export interface Topology extends CpuTopology {
  readonly gpus: number;
  /** Undefined without hwloc. */
  readonly xml: string | undefined;
  /** One sentence for the log when hwloc is missing. */
  readonly notice: string | undefined;
}

export interface HwlocOptions {
  /** A topology that hwloc exported, to read instead of this machine's. */
  readonly xml?: string;
  /** Whether to leave out what this process may not run on (default true); false for the XML of another machine. */
  readonly bound?: boolean;
}

/** This machine, restricted to what the process may run on: by hwloc or, with a notice, from /sys. */
export function topology(): Topology {
  const known = hwloc();
  if (known) return { ...known, notice: undefined };
  const missing = getAddon() ? 'libhwloc.so.15 is not installed' : 'libhwloc needs the native addon';
  return {
    ...cpuTopology(),
    gpus: 0,
    xml: undefined,
    notice: `${missing}: processors are counted from /sys, GPUs are not seen.`,
  };
}

/**
 * The topology by hwloc; undefined without its library or without the addon. Blocks the thread while hwloc looks at the
 * devices: some 10 ms, more with GPU plugins.
 *
 * Throws FluxError EINVAL when hwloc cannot load the topology, as from bad XML.
 */
export function hwloc(options: HwlocOptions = {}): HwlocTopology | undefined {
  const raw = getAddon()?.hwloc(options.xml, options.bound ?? true);
  if (raw === null) throw new FluxError('EINVAL', `hwloc cannot load ${options.xml ? 'this XML' : 'the topology'}`);
  return raw && { ...raw, gpus: countGpus(raw.xml) };
}

/** Backends of hwloc whose devices compute; the others see displays and disks. */
const computeBackends = new Set(['CUDA', 'NVML', 'OpenCL', 'RSMI']);

/**
 * How many compute GPUs a topology in hwloc's XML has. A GPU that several backends see is one PCI device; several
 * devices of one backend on one PCI device are partitions, each a GPU of its own.
 */
export function countGpus(xml: string): number {
  const backendOf = new Map<number, string>();
  let gpus = 0;
  for (const { backend, pciDevice } of osDevices(xml)) {
    if (!computeBackends.has(backend)) continue;
    if (pciDevice !== undefined) {
      const first = backendOf.get(pciDevice) ?? backend;
      if (first !== backend) continue;
      backendOf.set(pciDevice, first);
    }
    gpus++;
  }
  return gpus;
}

/** Whether a driver of compute GPUs is loaded. */
function mayHaveGpus(): boolean {
  return ['/dev/nvidiactl', '/dev/kfd', '/dev/dxg'].some((device) => fs.existsSync(device));
}

/** The cores that this process may run on, and the GPUs. To ask hwloc takes 20 ms, so it is asked where there may be GPUs. */
export function countCoresAndGpus(): { readonly cores: number; readonly gpus: number } {
  return { cores: cpuTopology().cores, gpus: mayHaveGpus() ? topology().gpus : 0 };
}

interface XmlObject {
  readonly type: string;
  /** Position in the text, which tells PCI devices apart. */
  readonly position: number;
}

/** The operating system's devices that have a backend, with the PCI device each lies in. */
function* osDevices(xml: string): Generator<{ backend: string; pciDevice: number | undefined }> {
  const open: XmlObject[] = [];
  const tags = /<(object|info)\s([^>]*?)(\/?)>|<\/object>/g;
  for (const tag of xml.matchAll(tags)) {
    const [text, name, attributes = '', selfClosing] = tag;
    if (text === '</object>') open.pop();
    else if (name === 'object') {
      if (!selfClosing) open.push({ type: attribute(attributes, 'type'), position: tag.index });
    } else if (open.at(-1)?.type === 'OSDev' && attribute(attributes, 'name') === 'Backend') {
      const pciDevice = open.findLast((object) => object.type === 'PCIDev')?.position;
      yield { backend: attribute(attributes, 'value'), pciDevice };
    }
  }
}

function attribute(attributes: string, name: string): string {
  return attributes.match(new RegExp(`(?:^|\\s)${name}="([^"]*)"`))?.[1] ?? '';
}

/**
 * The processors that this process may run on, from /sys (below `root`); without /sys each processor counts as a core
 * of one package. `allowed` is a list such as `0-3,8`; by default that of this process.
 */
export function cpuTopology(root = '/sys', allowed = allowedCpus()): CpuTopology {
  const cpus = usableCpus(root, allowed);
  if (!cpus) {
    const count = os.availableParallelism();
    return { packages: 1, cores: count, pus: count, numaNodes: 1 };
  }
  const folder = path.join(root, cpuFolder);
  const nodes = readText(path.join(root, 'devices/system/node/online'));
  return {
    packages: new Set(cpus.map((cpu) => packageOf(folder, cpu))).size,
    cores: new Set(cpus.map((cpu) => siblings(folder, cpu))).size,
    pus: cpus.length,
    numaNodes: nodes === undefined ? 1 : parseList(nodes).length,
  };
}

/**
 * The system's numbers of the processors of each core that this process may run on, by the core's logical index: that
 * of hwloc and so of R, which counts what lies in one package, one memory and one cache together. From /sys (below
 * `root`), and without it a core for each processor.
 */
export function coreCpus(root = '/sys', allowed = allowedCpus()): readonly (readonly number[])[] {
  const cpus = usableCpus(root, allowed);
  if (!cpus) return Array.from({ length: os.availableParallelism() }, (_, cpu) => [cpu]);
  const folder = path.join(root, cpuFolder);
  const nodeOf = numaNodes(root);
  const cores = groupBy(cpus, (cpu) => siblings(folder, cpu));
  const places = Array.from(cores.values(), (cpus): Place => {
    const [first] = cpus as [number, ...number[]];
    const cache = readText(path.join(folder, `cpu${first}/cache/index3/shared_cpu_list`)) ?? '';
    return { cpus, within: [packageOf(folder, first), String(nodeOf.get(first)), cache] };
  });
  return inOrder(places, 0).map(({ cpus }) => cpus);
}

/** A core and what it lies in, from the outside inwards. */
interface Place {
  readonly cpus: readonly number[];
  readonly within: readonly string[];
}

/** Cores as hwloc orders them: those of one package (at level 0) together, and so on, each group by its first processor. */
function inOrder(places: readonly Place[], level: number): readonly Place[] {
  if (level === places[0]?.within.length) return places;
  const groups = groupBy(places, ({ within }) => within[level]!);
  return [...groups.values()].flatMap((group) => inOrder(group, level + 1));
}

/** Values by their keys, in the order in which the keys first come. */
function groupBy<T>(values: readonly T[], key: (value: T) => string): ReadonlyMap<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const value of values) {
    const group = groups.get(key(value));
    if (group) group.push(value);
    else groups.set(key(value), [value]);
  }
  return groups;
}

const cpuFolder = 'devices/system/cpu';

/** Those online that may be used, ascending; undefined without /sys. */
function usableCpus(root: string, allowed: string | undefined): number[] | undefined {
  const online = readText(path.join(root, cpuFolder, 'online'));
  if (online === undefined) return undefined;
  const permitted = allowed === undefined ? undefined : new Set(parseList(allowed));
  return parseList(online).filter((cpu) => permitted?.has(cpu) ?? true);
}

function packageOf(folder: string, cpu: number): string {
  return readText(path.join(folder, `cpu${cpu}/topology/physical_package_id`)) ?? '0';
}

function numaNodes(root: string): ReadonlyMap<number, number> {
  const folder = path.join(root, 'devices/system/node');
  const nodes = parseList(readText(path.join(folder, 'online')) ?? '');
  return new Map(
    nodes.flatMap((node) =>
      parseList(readText(path.join(folder, `node${node}/cpulist`)) ?? '').map((cpu): [number, number] => [cpu, node]),
    ),
  );
}

/** The hardware threads of a processor's core, which identify the core; the file's name before Linux 5.2 comes second. */
function siblings(folder: string, cpu: number): string {
  const topology = path.join(folder, `cpu${cpu}/topology`);
  return (
    readText(path.join(topology, 'core_cpus_list')) ?? readText(path.join(topology, 'thread_siblings_list')) ?? `${cpu}`
  );
}

function allowedCpus(): string | undefined {
  return readText('/proc/self/status')?.match(/^Cpus_allowed_list:\s*(\S+)/m)?.[1];
}

function readText(file: string): string | undefined {
  try {
    return fs.readFileSync(file, 'utf8').trim();
  } catch {
    return undefined;
  }
}

/** Numbers of a kernel list: `0-2,5` is 0, 1, 2, 5. */
function parseList(text: string): number[] {
  return text.split(',').flatMap((range) => {
    const [first, last = first] = range.split('-').map(Number);
    return first === undefined || range === ''
      ? []
      : Array.from({ length: last! - first + 1 }, (_, index) => first + index);
  });
}
