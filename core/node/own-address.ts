/** The address by which other machines reach this one: what tbon.interface-hint asks for. */

import fs from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import { FluxError } from '../errno.ts';

type Interfaces = Readonly<NodeJS.Dict<readonly os.NetworkInterfaceInfo[]>>;

/** The interface of the default route, of the IPv4 table that Linux shows; undefined when there is none. */
export function defaultRouteInterface(table: string): string | undefined {
  const rows = table
    .split('\n')
    .slice(1)
    .map((line) => line.trim().split(/\s+/));
  const defaults = rows.filter(([, destination, , , , , , mask]) => destination === '00000000' && mask === '00000000');
  return defaults.sort((a, b) => Number(a[6]) - Number(b[6]))[0]?.[0];
}

function readRoutes(): string {
  try {
    return fs.readFileSync('/proc/net/route', 'utf8');
  } catch {
    return '';
  }
}

/**
 * An address of this machine, IPv4 where there is one.
 *
 * @param hint `default-route`, `hostname`, the name of an interface (`*` stands for anything), or a network `ADDRESS/BITS`
 * @returns what fits the hint, else the first address that is not the loopback's; a host name for `hostname`
 * @throws FluxError EINVAL: no interface fits a hint that names one; ENONET: there is no network
 */
export function ownAddress(
  hint: string,
  interfaces: Interfaces = os.networkInterfaces(),
  routes: () => string = readRoutes,
): string {
  if (hint === 'hostname') return os.hostname();
  const addresses = Object.entries(interfaces)
    .flatMap(([name, infos]) => (infos ?? []).map((info) => ({ ...info, name })))
    // Addresses of IPv4 first; those of a single link are none to others.
    .filter(({ address }) => !address.toLowerCase().startsWith('fe80'))
    .sort((a, b) => Number(a.family === 'IPv6') - Number(b.family === 'IPv6'));
  const fits = fitting(hint, routes);
  const found = addresses.find(fits);
  if (!found && hint !== 'default-route') {
    const names = [...new Set(addresses.map(({ name }) => name))].join(', ');
    throw new FluxError('EINVAL', `tbon.interface-hint: nothing fits '${hint}'; there are ${names}`);
  }
  const address = (found ?? addresses.find(({ internal }) => !internal))?.address;
  if (address === undefined) throw new FluxError('ENONET', 'this machine has no network that others could reach it by');
  return net.isIPv6(address) ? `[${address}]` : address;
}

function fitting(hint: string, routes: () => string): (info: { name: string; address: string }) => boolean {
  if (hint === 'default-route') {
    const name = defaultRouteInterface(routes());
    return (info) => info.name === name;
  }
  const [network = '', bits] = hint.split('/');
  if (bits !== undefined && net.isIP(network)) {
    const list = new net.BlockList();
    const family = net.isIPv6(network) ? 'ipv6' : 'ipv4';
    list.addSubnet(network, Number(bits), family);
    return ({ address }) => list.check(address, net.isIPv6(address) ? 'ipv6' : 'ipv4');
  }
  const pattern = new RegExp(`^${hint.replace(/[.+?^${}()|[\]\\]/g, '\\$&').replaceAll('*', '.*')}$`);
  return ({ name }) => pattern.test(name);
}
