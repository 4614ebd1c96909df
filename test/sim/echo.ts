/** A module for tests: it answers at once, later, in streams, by asking others, or never. */

import type { ModuleDefinition } from '../../core/broker/service.ts';
import { LATER } from '../../core/handle/methods.ts';
import { endingMethods, RequestList } from '../../core/handle/request-list.ts';
import { Role } from '../../core/message/credentials.ts';

export const echo: ModuleDefinition = {
  start(context) {
    const streams = new RequestList();
    return {
      methods: {
        now: { allow: Role.user, handler: (request) => request.payload },
        /** {seconds}: answers after that time. */
        later: {
          allow: Role.user,
          handler(request) {
            const { seconds } = request.unpack({ seconds: 'n' });
            context.clock.after(seconds, () => request.respond(request.payload));
            return LATER;
          },
        },
        never: { allow: Role.user, handler: () => LATER },
        /** {count, seconds}: so many answers, one each time after that time. */
        stream: {
          allow: Role.user,
          streaming: true,
          handler(request) {
            const { count, seconds } = request.unpack({ count: 'i', seconds: 'n' });
            streams.add(request);
            const next = (index: number) => {
              if (![...streams].includes(request)) return;
              if (index < count) {
                request.respond({ index });
                context.clock.after(seconds, () => next(index + 1));
                return;
              }
              streams.remove(request);
              request.endStream();
            };
            next(0);
            return LATER;
          },
        },
        /** {topic, nodeid, payload}: answers what another service answers. */
        relay: {
          allow: Role.user,
          async handler(request) {
            const { topic, nodeid, payload } = request.unpack({ topic: 's', nodeid: 'i', payload: 'o' });
            return context.rpc(topic, payload, { nodeid });
          },
        },
        /** {topic, mark}: publishes an event with the mark, and answers with it. */
        announce: {
          allow: Role.user,
          async handler(request) {
            const { topic, mark } = request.unpack({ topic: 's', mark: 'i' });
            await context.publish(topic, { mark });
            return { mark };
          },
        },
        ...endingMethods(Role.user, streams),
      },
    };
  },
};
