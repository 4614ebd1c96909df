/** The service `service`: names that modules answer for beside their own; those of clients come through their connector. */

import { FluxError } from '../../errno.ts';
import type { Methods, Request } from '../../handle/methods.ts';
import { Role } from '../../message/credentials.ts';
import type { Broker, Port } from '../broker.ts';

/**
 * Whether a user may add or remove a service name: the owner any, a guest those that start with his userid.
 *
 * @throws FluxError EPERM
 */
export function checkServiceName(request: Request, name: string): void {
  if (!request.isOwner && !name.startsWith(`${request.userid}-`)) throw new FluxError('EPERM');
}

export function serviceService(broker: Broker): Methods {
  const portOf = (request: Request): Port => {
    const port = broker.port(request.sender);
    if (!port) throw new FluxError('EPROTO', 'only a module of this rank can add or remove services here');
    return port;
  };
  return {
    add: {
      allow: Role.user,
      handler(request) {
        const { service } = request.unpack({ service: 's' });
        checkServiceName(request, service);
        broker.addService(service, portOf(request));
        return undefined;
      },
    },
    remove: {
      allow: Role.user,
      handler(request) {
        const { service } = request.unpack({ service: 's' });
        checkServiceName(request, service);
        if (!broker.removeService(service, portOf(request))) throw new FluxError('ENOENT');
        return undefined;
      },
    },
  };
}
