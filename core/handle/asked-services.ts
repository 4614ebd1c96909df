/** The services that a client has asked, which are to be told when it goes (RFC 6, Disconnection). */

import type { Credentials } from '../message/credentials.ts';
import { Flag, Message } from '../message/message.ts';

interface Asked {
  readonly nodeid: number;
  readonly matchtag: number;
  readonly flags: number;
}

/** The topic by which the one who answers to another topic is told: the word behind its last dot is replaced. */
function disconnectTopic(topic: string): string {
  return `${topic.slice(0, topic.lastIndexOf('.') + 1)}disconnect`;
}

export class AskedServices {
  // By topic, and then by rank and whether upstream of it: asking again is to cost next to nothing.
  readonly #asked = new Map<string, Map<number, Asked>>();
  // What was asked last: mostly the same as before.
  #lastTopic: string | undefined;
  #lastWay = 0;

  /** Notes a request that the client sends. One without a response leaves nothing behind to clean up. */
  note(request: Message): void {
    const { topic, nodeid } = request;
    if (topic === undefined || !request.wantsResponse) return;
    const flags = request.flags & Flag.upstream;
    const way = flags ? -1 - nodeid : nodeid;
    if (topic === this.#lastTopic && way === this.#lastWay) return;
    this.#lastTopic = topic;
    this.#lastWay = way;
    let ways = this.#asked.get(topic);
    if (!ways) {
      ways = new Map();
      this.#asked.set(topic, ways);
    }
    if (!ways.has(way)) ways.set(way, { nodeid, matchtag: request.matchtag, flags });
  }

  /** What there is to tell, as coming from the client: each service once in each way in which it was asked. */
  disconnectRequests(credentials: Credentials): Message[] {
    const requests = new Map<string, Message>();
    for (const [asked, ways] of this.#asked)
      for (const [way, { flags, ...fields }] of ways) {
        const topic = disconnectTopic(asked);
        const key = `${topic}:${way}`;
        if (requests.has(key)) continue;
        requests.set(key, Message.request({ topic, ...fields, flags: flags | Flag.noresponse, credentials }));
      }
    return [...requests.values()];
  }
}
