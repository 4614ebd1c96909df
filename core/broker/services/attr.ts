/** The service `attr`: broker attributes of this rank. */

import { FluxError } from '../../errno.ts';
import { NameTable } from '../../formats/name-table.ts';
import type { Methods } from '../../handle/methods.ts';
import { Role } from '../../message/credentials.ts';
import { redirectOf } from '../attributes.ts';
import type { Broker } from '../broker.ts';

/** Attributes that flux-core sets after others that share their slot in its table. */
const setLate = [
  'broker.critical-ranks',
  'tbon.torpid_min',
  'broker.shutdown-timeout',
  'tbon.child_rcvhwm',
  'log-syslog-level',
  'log-ring-size',
];

/** Names in the order in which flux-core lists them, which clients print. */
function inTableOrder(names: readonly string[]): string[] {
  const table = new NameTable<true>();
  for (const name of names) if (!setLate.includes(name)) table.insert(name, true);
  for (const name of setLate) if (names.includes(name)) table.insert(name, true);
  return [...table].map(([name]) => name);
}

/** `prepare` is called before an attribute is told, and may make true what it says. */
export function attrService(broker: Broker, prepare: (name: string) => Promise<void> | undefined): Methods {
  const { attributes } = broker;
  const get = (name: string) => {
    const value = attributes.get(name);
    if (value === undefined) throw new FluxError('ENOENT');
    return { value, flags: attributes.isImmutable(name) ? 1 : 0 };
  };
  return {
    get: {
      allow: Role.all,
      handler(request) {
        const { name } = request.unpack({ name: 's' });
        return prepare(name)?.then(() => get(name)) ?? get(name);
      },
    },
    list: { allow: Role.all, handler: () => ({ names: inTableOrder(attributes.names()) }) },
    set: {
      async handler(request) {
        const { name, value, force = false } = request.unpack({ name: 's', value: 's', force: 'b?' });
        attributes.checkUpdate(name, force);
        const redirect = force ? undefined : redirectOf(name);
        if (redirect) await broker.rpc(redirect, { name, value });
        attributes.put(name, value);
        return undefined;
      },
    },
    rm: {
      handler(request) {
        attributes.remove(request.unpack({ name: 's' }).name);
        return undefined;
      },
    },
  };
}
