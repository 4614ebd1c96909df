/** What others may ask of a rank about the debug ring, and by it. */

import type { Methods } from '../../core/handle/methods.ts';
import { Role } from '../../core/message/credentials.ts';
import type { Ring } from '../router/ring-requests.ts';

export function ringMethods(rank: number, ring: Ring): Methods {
  return {
    ring: {
      handler: (request) => {
        const { rank: to, topic, payload } = request.unpack({ rank: 'i', topic: 's', payload: '*?' });
        const { userid, rolemask } = request;
        return ring.ask(rank, { to, topic, payload, credentials: { userid, rolemask } });
      },
    },
    'ring-list': { allow: Role.user, handler: () => ring.list() },
  };
}
