/**
 * Tells those who asked about messages that pass: between a broker and its modules, or over links of the tree.
 */

import { FluxError } from '../errno.ts';
import { globMatcher } from '../formats/glob.ts';
import { type JsonValue, real } from '../json.ts';
import { type Message, MessageType } from '../message/message.ts';
import type { Request } from './methods.ts';
import { RequestList } from './request-list.ts';

interface Filter {
  readonly typemask: number;
  readonly matches: (topic: string) => boolean;
  readonly nodeid: number;
  readonly names: readonly JsonValue[] | undefined;
  readonly full: boolean;
}

/** What a trace shows as the topic of a control message between neighbours. */
const controlTypes = ['heartbeat', 'status', 'disconnect'];

const NO_RANK = 0xffffffff;

export class Tracer {
  readonly requests = new RequestList();
  readonly #filters = new WeakMap<Request, Filter>();
  readonly #now: () => number;
  #isActive = false;

  /** `now` is the time in seconds since the epoch. */
  constructor(now: () => number) {
    this.#now = now;
  }

  /** Whether nobody asks; it is looked at for each message, so it looks no further than it must. */
  get isIdle(): boolean {
    if (this.#isActive) this.#isActive = this.requests.count > 0;
    return !this.#isActive;
  }

  /**
   * Takes a trace request {typemask, topic_glob, nodeid?, names?, full?}.
   *
   * @throws FluxError EPROTO: malformed, or not streaming
   */
  add(request: Request): void {
    const {
      typemask,
      topic_glob,
      nodeid = -1,
      names,
      full = false,
    } = request.unpack({ typemask: 'i', topic_glob: 's', nodeid: 'i?', names: 'a?', full: 'b?' });
    if (!request.isStreaming) throw new FluxError('EPROTO', `${request.topic} requires the streaming flag`);
    this.#filters.set(request, { typemask, matches: globMatcher(topic_glob), nodeid, names, full });
    this.requests.add(request);
    this.#isActive = true;
  }

  /** Tells of a message that went over the link to or from a rank. */
  link(prefix: 'tx' | 'rx', rank: number, message: Message): void {
    this.#tell(prefix, rank, null, message);
  }

  /** Tells of a message that a module sent or received. */
  module(prefix: 'tx' | 'rx', name: string, message: Message): void {
    this.#tell(prefix, NO_RANK, name, message);
  }

  #tell(prefix: string, rank: number, name: string | null, message: Message): void {
    const topic =
      message.type === MessageType.control
        ? `${controlTypes[message.word1] ?? 'unknown'} ${message.word2}`
        : (message.topic ?? '');
    // A trace that traced itself would never end.
    if (topic.endsWith('.trace') && (message.type === MessageType.response || message.isStreaming)) return;
    const errnum = message.type === MessageType.response ? message.errnum : 0;
    for (const request of this.requests) {
      const filter = this.#filters.get(request)!;
      if ((filter.typemask & message.type) === 0 || !filter.matches(topic)) continue;
      if (filter.nodeid !== -1 && rank !== NO_RANK && filter.nodeid !== rank) continue;
      if (filter.names?.length && !filter.names.includes(name)) continue;
      request.respond({
        timestamp: real(this.#now()),
        prefix,
        rank: rank === NO_RANK ? -1 : rank,
        name,
        type: message.type,
        topic,
        payload_size: errnum ? 0 : message.payloadLength,
        payload: filter.full && errnum === 0 ? jsonOf(message) : null,
        errnum,
        errstr: (filter.full && errnum && message.errorText()) || '',
      });
    }
  }
}

function jsonOf(message: Message): JsonValue {
  try {
    return message.json ?? null;
  } catch {
    return null;
  }
}
