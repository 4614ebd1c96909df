/** The service `module`: loads, removes, lists, traces and debugs modules. */

import { FluxError } from '../../errno.ts';
import { LATER, type Methods } from '../../handle/methods.ts';
import { endingMethods } from '../../handle/request-list.ts';
import { Role } from '../../message/credentials.ts';
import type { Modules } from '../modules.ts';

export function moduleService(modules: Modules): Methods {
  return {
    load: {
      async handler(request) {
        const { path, args, name, exec } = request.unpack({ path: 's', args: '*', name: 's?', exec: 'b?' });
        const strings = Array.isArray(args) ? args.filter((arg) => typeof arg === 'string') : [];
        // What is wrong with the name is told before what is wrong with the arguments.
        modules.checkLoad({ path, name, exec });
        if (!Array.isArray(args) || strings.length < args.length)
          throw new FluxError('EPROTO', 'module arguments are not an array of strings');
        await modules.load({ path, args: strings, name, exec });
        return undefined;
      },
    },
    remove: {
      async handler(request) {
        const { name, cancel = false } = request.unpack({ name: 's', cancel: 'b?' });
        await modules.remove(name, cancel);
        return undefined;
      },
    },
    list: { allow: Role.user, handler: () => modules.list() },
    status: {
      handler(request) {
        if (!request.message.hasPayload) throw new FluxError('EPROTO', 'error decoding module.status request');
        const { status, errnum = 0 } = request.unpack({ status: 'i', errnum: 'i?' });
        modules.statusChanged(request.sender, status, errnum);
        return undefined;
      },
    },
    debug: {
      handler(request) {
        const { name, defer } = request.unpack({ name: 's', defer: 'b?' });
        const module = modules.get(name);
        if (!module) throw new FluxError('ENOENT', `module ${name} is not loaded`);
        if (defer !== undefined) module.defer(defer);
        return undefined;
      },
    },
    trace: {
      handler(request) {
        request.unpack({ names: 'a' });
        modules.tracer.add(request);
        return LATER;
      },
    },
    disconnect: endingMethods(Role.none, modules.tracer.requests).disconnect,
  };
}
