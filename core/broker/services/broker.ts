/** The service `broker`: the broker itself. */

import { FluxError } from '../../errno.ts';
import type { Methods } from '../../handle/methods.ts';
import { Role } from '../../message/credentials.ts';
import { isObject } from '../../message/unpack.ts';
import type { Broker } from '../broker.ts';
import { builtInConfiguration } from '../built-in-configuration.ts';
import { commonMethods } from '../common-methods.ts';
import type { Environment } from '../environment.ts';

function isVariableName(name: string): boolean {
  return name !== '' && !name.includes('=');
}

export function brokerService(environment: Environment): (broker: Broker) => Methods {
  return (broker) => ({
    ...commonMethods({
      uuid: broker.uuid,
      rank: broker.rank,
      rusage: broker.world.rusage,
      stats: () => broker.counters.toJSON(),
      clearStats: () => broker.counters.clear(),
      configure: () => {},
    }),
    disconnect: { handler: () => undefined },
    getenv: {
      handler(request) {
        // Without names: all there are.
        const { names } = request.unpack({ names: 'a?' });
        if (!names) return { env: environment.all() };
        const known = names.flatMap((name) => {
          const value = typeof name === 'string' ? environment.get(name) : undefined;
          return value === undefined ? [] : [[name, value]];
        });
        return { env: Object.fromEntries(known) };
      },
    },
    setenv: {
      handler(request) {
        const { env } = request.unpack({ env: '*' });
        if (!isObject(env)) throw new FluxError('EPROTO', "'env' in the payload is not an object");
        for (const [name, value] of Object.entries(env)) {
          if (!isVariableName(name)) throw new FluxError('EPROTO', `'${name}' is no name of an environment variable`);
          if (typeof value !== 'string' && value !== null)
            throw new FluxError('EPROTO', `the value of ${name} is neither a string nor null`);
        }
        for (const [name, value] of Object.entries(env)) environment.set(name, value as string | null);
        return undefined;
      },
    },
    'conf-builtin': {
      allow: Role.all,
      handler(request) {
        const { keys } = request.unpack({ keys: 'a' });
        const values: Record<string, string> = {};
        for (const key of keys) {
          if (typeof key !== 'string') continue;
          const value = Object.hasOwn(builtInConfiguration, key) ? builtInConfiguration[key] : undefined;
          if (value === undefined) throw new FluxError('EINVAL', `${key}: invalid key`);
          values[key] = value;
        }
        return { values };
      },
    },
  });
}
