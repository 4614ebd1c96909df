/** The service `event`: publishing, and subscriptions of modules; those of clients are kept by their connector. */

import { FluxError } from '../../errno.ts';
import type { Methods, Request } from '../../handle/methods.ts';
import { Role } from '../../message/credentials.ts';
import { Flag, Message } from '../../message/message.ts';
import type { Broker } from '../broker.ts';
import type { Subscriber } from '../event-bus.ts';

const base64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;

export function eventService(broker: Broker): Methods {
  /** The module that asks: its id is the only one on the route. */
  const subscriberOf = (request: Request): Subscriber => {
    const port = broker.port(request.sender);
    if (!port || !('deliver' in port)) throw new FluxError('EPROTO', 'only a module of this rank can subscribe here');
    return port as unknown as Subscriber;
  };
  return {
    publish: {
      allow: Role.user,
      handler(request) {
        const { topic, flags, payload } = request.unpack({ topic: 's', flags: 'i', payload: 's?' });
        if (broker.rank > 0) throw new FluxError('EPROTO', 'this service is only available on rank 0');
        if (flags & ~Flag.private)
          throw new FluxError('EPROTO', `event flags ${flags} have more than the private flag`);
        if (payload !== undefined && !base64.test(payload))
          throw new FluxError('EPROTO', 'the event payload is no base64');
        const bytes = payload === undefined ? undefined : Buffer.from(payload, 'base64');
        return { seq: broker.bus.publish(Message.event(topic, bytes, flags, request.message)) };
      },
    },
    subscribe: {
      handler(request) {
        broker.bus.subscribe(request.unpack({ topic: 's' }).topic, subscriberOf(request));
        return undefined;
      },
    },
    unsubscribe: {
      handler(request) {
        if (!broker.bus.unsubscribe(request.unpack({ topic: 's' }).topic, subscriberOf(request)))
          throw new FluxError('ENOENT');
        return undefined;
      },
    },
  };
}
