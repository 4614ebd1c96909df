/** Listens to the events of one topic, or of all that a pattern matches. */

import type { ServiceContext } from '../../core/broker/service.ts';
import { globMatcher } from '../../core/formats/glob.ts';
import type { Message } from '../../core/message/message.ts';

/** Calls back for each event until the function that this returns is called. */
export function listen(context: ServiceContext, topic: string, callback: () => void): () => void {
  // Subscriptions are to prefixes; the broker sends what begins with the part in front of the first wildcard.
  const prefix = /^[^*?[\\]*/.exec(topic)![0];
  const matches = prefix === topic ? (other: string) => other === topic : globMatcher(topic);
  const take = (event: Message) => {
    if (matches(event.topic ?? '')) callback();
  };
  context.subscribe(prefix, take);
  return () => context.unsubscribe(prefix, take);
}
