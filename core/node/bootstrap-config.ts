/**
 * [bootstrap] of the configuration: which host has which rank, where each rank listens for its children, and by what address
 * they reach it. Keys, limits and the merging of hosts are those of flux-core's flux-config-bootstrap(5).
 */

import { FluxError } from '../errno.ts';
import { Hostlist } from '../formats/hostlist.ts';
import type { JsonObject, JsonValue } from '../json.ts';
import { type Unpacked, unpackTable } from '../message/unpack.ts';
import type { CustomHost } from '../overlay/topology.ts';

/** Bytes of an endpoint. */
const URI_MAX = 2048;
/** Bytes of an ipc:// endpoint's path: what fits an address of a UNIX socket. */
const IPC_PATH_MAX = 108;
const PORT_MAX = 65535;
/** Characters of a host's name (RFC 1035). */
const NAME_MAX = 253;
/** A part of a host's name between dots (RFC 1035). */
const namePart = /^[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?$/;

const tableKeys = {
  enable_ipv6: 'b?',
  curve_cert: 's?',
  default_port: 'i?',
  default_bind: 's?',
  default_connect: 's?',
  hosts: 'a?',
} as const;
const hostKeys = { host: 's', bind: 's?', connect: 's?', parent: 's?' } as const;

type Table = Unpacked<typeof tableKeys>;
type Entry = Unpacked<typeof hostKeys>;

/** A rank's host. Its endpoints are complete ZeroMQ endpoints: `tcp://ADDRESS:PORT` or `ipc://PATH`. */
export interface BootstrapHost extends CustomHost {
  readonly bind?: string;
  readonly connect?: string;
}

export interface BootstrapConfig {
  /** Number of ranks. */
  readonly size: number;
  /** In order of rank, each name once. Empty: there is one rank, on whatever host that is. */
  readonly hosts: readonly BootstrapHost[];
  readonly enableIpv6: boolean;
  /** File of the certificate that all ranks share. */
  readonly curveCert: string | undefined;
}

/**
 * Reads [bootstrap] of a configuration. A host that is listed again adds what was not said of it before.
 *
 * @returns undefined when the configuration has no such table
 * @throws FluxError EINVAL: an unknown key, a value of the wrong kind or out of bounds, a host list that is none, a parent
 * that is no host; the sentence says which key, and of which host
 */
export function parseBootstrap(config: JsonObject): BootstrapConfig | undefined {
  if (config.bootstrap === undefined) return undefined;
  const table = unpackTable(config, 'bootstrap', tableKeys);
  const { default_port: port, hosts: listed = [] } = table;
  if (port !== undefined && (port < 0 || port > PORT_MAX)) refuse(`'default_port' is ${port}, not 0-${PORT_MAX}`);
  const entries = mergeEntries(listed);
  if (listed.length && !entries.size) refuse("'hosts' names no host");
  const hosts = Array.from(entries.values(), (entry) => makeHost(entry, table, entries));
  return {
    size: Math.max(1, hosts.length),
    hosts,
    enableIpv6: table.enable_ipv6 ?? false,
    curveCert: table.curve_cert,
  };
}

/**
 * The rank that a host has.
 *
 * @throws FluxError EINVAL: the configuration does not name the host
 */
export function rankOfHost({ hosts }: BootstrapConfig, hostname: string): number {
  if (!hosts.length) return 0;
  const rank = hosts.findIndex(({ host }) => host === hostname);
  if (rank < 0) throw new FluxError('EINVAL', `[bootstrap] hosts of the configuration do not name '${hostname}'`);
  return rank;
}

/**
 * The endpoint at which a rank listens for its children; a rank without children needs none.
 *
 * @throws FluxError EINVAL: the configuration has none, or one that cannot be used
 */
export function bindUri(bootstrap: BootstrapConfig, rank: number): string {
  return endpoint(bootstrap, rank, 'bind');
}

/**
 * The endpoint by which a rank's children reach it.
 *
 * @throws FluxError EINVAL: the configuration has none, or one that cannot be used
 */
export function connectUri(bootstrap: BootstrapConfig, rank: number): string {
  return endpoint(bootstrap, rank, 'connect');
}

/**
 * The file of the certificate by which ranks trust each other. It may be absent where there is but one.
 *
 * @throws FluxError EINVAL: there are several ranks, and the configuration names no file
 */
export function certificatePath({ size, curveCert }: BootstrapConfig): string | undefined {
  if (size > 1 && curveCert === undefined)
    throw new FluxError('EINVAL', `[bootstrap] of the configuration lacks 'curve_cert', which ${size} ranks need`);
  return curveCert;
}

function endpoint({ hosts, enableIpv6 }: BootstrapConfig, rank: number, key: 'bind' | 'connect'): string {
  const host = hosts[rank];
  const uri = host?.[key];
  const who = host ? `rank ${rank} (${host.host})` : `rank ${rank}`;
  const fail = (fault: string): never => {
    throw new FluxError('EINVAL', `[bootstrap] of the configuration ${fault}`);
  };
  if (uri === undefined) return fail(`has neither '${key}' nor 'default_${key}' for ${who}`);
  if (uri.startsWith('tcp://')) {
    const port = Number(/:(\d+)$/.exec(uri)?.[1] ?? 0);
    if (port < 1 || port > PORT_MAX) fail(`has no port from 1 to ${PORT_MAX} for ${who}: '${key}' is '${uri}'`);
    if (uri.includes('[') && !enableIpv6) fail(`has an address of IPv6 for ${who}, but no 'enable_ipv6': '${uri}'`);
  }
  return uri;
}

function refuse(fault: string): never {
  throw new FluxError('EINVAL', `error parsing [bootstrap] configuration: ${fault}`);
}

/** The entries of single hosts, by name and in order of rank. */
function mergeEntries(listed: readonly JsonValue[]): Map<string, Entry> {
  const entries = new Map<string, Entry>();
  for (const [index, value] of listed.entries()) {
    const shown = `bootstrap.hosts[${index}]`;
    const entry = unpackTable({ entry: value }, 'entry', hostKeys, shown);
    for (const host of expandHosts(entry.host, shown)) entries.set(host, { ...entry, ...entries.get(host), host });
  }
  return entries;
}

function expandHosts(text: string, shown: string): Hostlist {
  try {
    return Hostlist.parse(text);
  } catch (error) {
    throw new FluxError('EINVAL', `error parsing [${shown}] configuration: 'host': ${(error as FluxError).message}`);
  }
}

function makeHost(entry: Entry, table: Table, entries: ReadonlyMap<string, Entry>): BootstrapHost {
  const { host, parent } = entry;
  if (!isHostName(host)) refuse(`'host' ${host} is no name of a host`);
  if (parent === host) refuse(`host ${host}: 'parent' is the host itself`);
  if (parent !== undefined && !entries.has(parent)) refuse(`host ${host}: 'parent' ${parent} is none of the hosts`);
  const bind = makeUri('bind', entry, table);
  const connect = makeUri('connect', entry, table);
  return {
    host,
    ...(bind !== undefined && { bind }),
    ...(connect !== undefined && { connect }),
    ...(parent !== undefined && { parent }),
  };
}

function isHostName(name: string): boolean {
  // Dots may be at the end, or be many.
  return name.length <= NAME_MAX && name.split('.').every((part) => part === '' || namePart.test(part));
}

/** The endpoint that a host's own key gives it, or the default one; undefined when there is neither. */
function makeUri(key: 'bind' | 'connect', entry: Entry, table: Table): string | undefined {
  const own = entry[key];
  const template = own ?? table[`default_${key}`];
  if (template === undefined) return undefined;
  const fail = (fault: string): never =>
    refuse(`host ${entry.host}: '${own === undefined ? `default_${key}` : key}' ${fault}`);
  const uri = template.replace(/%([\s\S]?)/g, (token, letter: string) => {
    if (letter === 'h') return entry.host;
    if (letter === 'p') return String(table.default_port ?? fail("has %p, but there is no 'default_port'"));
    return letter === '%' || letter === '' ? letter : token;
  });
  if (Buffer.byteLength(uri) > URI_MAX) fail(`has more than ${URI_MAX} bytes`);
  const [, scheme, place] = /^(tcp|ipc):\/\/([\s\S]*)$/.exec(uri) ?? [];
  if (place === undefined) fail(`is neither a tcp:// nor an ipc:// URI: '${uri}'`);
  if (place === '') fail(`has no address: '${uri}'`);
  if (uri.includes(':*')) fail(`leaves the port open: '${uri}'`);
  if (scheme === 'ipc' && Buffer.byteLength(place!) > IPC_PATH_MAX)
    fail(`has a path of more than ${IPC_PATH_MAX} bytes: '${uri}'`);
  return uri;
}
