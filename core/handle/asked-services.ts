/** The services that a client has asked, which are to be told when it goes (RFC 6, Disconnection). */

import type { Credentials } from '../message/credentials.ts';
import { Flag, Message } from '../message/message.ts';

interface Asked {
  readonly topic: string;
  readonly nodeid: number;
  readonly matchtag: number;
  readonly flags: number;
}

/** The topic by which the one who answers to another topic is told: the word behind its last dot is replaced. */
function disconnectTopic(topic: string): string {
  return `${topic.slice(0, topic.lastIndexOf('.') + 1)}disconnect`;
}

export class AskedServices {
  // By topic, rank and whether upstream of it: a service is told once, in the way in which it was asked.
  readonly #asked = new Map<string, Asked>();

  /** Notes a request that the client sends. One without a response leaves nothing behind to clean up. */
  note(request: Message): void {
    if (request.topic === undefined || !request.wantsResponse) return;
    const topic = disconnectTopic(request.topic);
    const { nodeid, matchtag } = request;
    const flags = request.flags & Flag.upstream;
    const key = `${topic}:${nodeid}:${flags}`;
    if (!this.#asked.has(key)) this.#asked.set(key, { topic, nodeid, matchtag, flags });
  }

  /** What there is to tell, as coming from the client. */
  disconnectRequests(credentials: Credentials): Message[] {
    return [...this.#asked.values()].map(({ flags, ...fields }) =>
      Message.request({ ...fields, flags: flags | Flag.noresponse, credentials }),
    );
  }
}
