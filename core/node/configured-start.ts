/**
 * The start of a process whose place the configuration tells: [bootstrap] names the hosts, each of which has one rank, where
 * they listen, and the certificate that they share.
 */

import { createHash } from 'node:crypto';
import { FluxError } from '../errno.ts';
import { Hostlist } from '../formats/hostlist.ts';
import type { JsonObject } from '../json.ts';
import { beside } from '../overlay/ring-way.ts';
import {
  type BootstrapConfig,
  bindUri,
  certificatePath,
  connectUri,
  parseBootstrap,
  rankOfHost,
} from './bootstrap-config.ts';
import type { LinkWishes } from './bootstrap-links.ts';
import { readCertificate } from './certificate-file.ts';
import { topologyUri } from './instance-attributes.ts';
import { type StartOptions, treeOf } from './prepare.ts';
import { ZmqWires } from './zmq-wires.ts';

/** The name of this way to start, as the attribute broker.boot-method tells it. */
export const CONFIG_METHOD = 'config';

/**
 * What [bootstrap] says of the instance.
 *
 * @param method the attribute broker.boot-method
 * @returns undefined when the instance is started in another way
 * @throws FluxError EINVAL: what is wrong with the table, or that there is none where it is asked for
 */
export function configuredHosts(config: JsonObject, method: string | undefined): BootstrapConfig | undefined {
  if (method !== undefined && method !== CONFIG_METHOD) return undefined;
  const bootstrap = parseBootstrap(config);
  if (!bootstrap && method === CONFIG_METHOD)
    throw new FluxError('EINVAL', `broker.boot-method is '${CONFIG_METHOD}', and the configuration has no [bootstrap]`);
  return bootstrap;
}

export interface ConfiguredStart extends Pick<LinkWishes, 'machine' | 'timeout' | 'connectTimeout' | 'log'> {
  readonly bootstrap: BootstrapConfig;
  readonly config: JsonObject;
  /** Attributes that are set. */
  readonly attributes: Readonly<Record<string, string>>;
}

/**
 * What this process starts with; it listens afterwards if other ranks are to connect to it, or the previous one of the debug
 * ring may.
 *
 * @throws FluxError EINVAL: this host is none of the instance's, or an endpoint is missing; what reading the certificate or
 * binding fails with
 */
export async function configuredStart(start: ConfiguredStart): Promise<StartOptions> {
  const { bootstrap, config, machine, timeout, connectTimeout, log } = start;
  const { size, hosts, enableIpv6 } = bootstrap;
  const rank = rankOfHost(bootstrap, machine.hostname);
  const set = new Map(Object.entries(start.attributes));
  const attributes = { ...start.attributes, 'tbon.topo': topologyUri(set, config) ?? 'custom' };
  if (size === 1) return { size, bootMethod: CONFIG_METHOD, attributes };
  const certificate = readCertificate(certificatePath(bootstrap)!);
  const placement = { own: rank, nodes: Array.from({ length: size }, (_, each) => ({ ranks: String(each) })) };
  const { topology } = treeOf(new Map(Object.entries(attributes)), config, placement, size);
  const parent = topology.parent(rank);
  const uris = new Map(parent === undefined ? [] : [[parent, connectUri(bootstrap, parent)]]);
  const names = hosts.map(({ host }) => host);
  const wires = new ZmqWires({ certificate, timeout, connectTimeout, ipv6: enableIpv6, log });
  const listen = async () => wires.bind(bindUri(bootstrap, rank));
  let ringFault: string | undefined;
  if (topology.children(rank).length) await listen();
  else ringFault = await failureOf(listen());
  const otherUris = new Map(hosts.flatMap(({ connect }, each) => (connect === undefined ? [] : [[each, connect]])));
  return {
    size,
    bootMethod: CONFIG_METHOD,
    attributes,
    hosts: Hostlist.from(names).encode(),
    mapping: `[[0,${size},1,1]]`,
    shared: { instanceId: idOf(names, certificate.publicKey), startTime: Date.now() / 1000, placement },
    links: {
      wires,
      uris,
      otherUris,
      ownUri: ringFault === undefined ? otherUris.get(rank) : undefined,
      ringUri: otherUris.get(beside(rank, 'next', size)),
      ringFault,
      machine,
    },
  };
}

/** Where nobody but the ring needs it: why it failed. */
async function failureOf(work: Promise<unknown>): Promise<string | undefined> {
  try {
    await work;
    return undefined;
  } catch (error) {
    if (error instanceof FluxError) return error.message;
    throw error;
  }
}

/** The same for all processes with the same hosts and certificate, so that those of another instance are told apart. */
function idOf(hosts: readonly string[], publicKey: Uint8Array): string {
  return createHash('sha1').update(hosts.join()).update(publicKey).digest('hex');
}
