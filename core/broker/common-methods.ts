/**
 * The methods that every module has, and the broker itself (RFC 5, Default Message Handlers).
 */

import { FluxError } from '../errno.ts';
import { encodeJson } from '../formats/jansson.ts';
import type { Methods } from '../handle/methods.ts';
import { type JsonObject, real } from '../json.ts';
import { Role } from '../message/credentials.ts';
import { type Message, MessageType } from '../message/message.ts';
import { isObject } from '../message/unpack.ts';

type Counts = { request: number; response: number; event: number; control: number };

const names = {
  [MessageType.request]: 'request',
  [MessageType.response]: 'response',
  [MessageType.event]: 'event',
  [MessageType.control]: 'control',
} as const;

const noCounts = (): Counts => ({ request: 0, response: 0, event: 0, control: 0 });

/** How many messages of each type were sent and received. */
export class MessageCounters {
  #tx = noCounts();
  #rx = noCounts();

  sent(message: Message): void {
    this.#tx[names[message.type]]++;
  }

  received(message: Message): void {
    this.#rx[names[message.type]]++;
  }

  clear(): void {
    this.#tx = noCounts();
    this.#rx = noCounts();
  }

  toJSON(): JsonObject {
    return { tx: { ...this.#tx }, rx: { ...this.#rx } };
  }
}

/** What getrusage(2) says, as flux names it; times in seconds. */
export interface ResourceUsage {
  readonly utime: number;
  readonly stime: number;
  readonly maxrss: number;
  readonly ixrss: number;
  readonly idrss: number;
  readonly isrss: number;
  readonly minflt: number;
  readonly majflt: number;
  readonly nswap: number;
  readonly inblock: number;
  readonly oublock: number;
  readonly msgsnd: number;
  readonly msgrcv: number;
  readonly nsignals: number;
  readonly nvcsw: number;
  readonly nivcsw: number;
}

export type UsageOf = 'self' | 'children' | 'thread';
const usages: readonly string[] = ['self', 'children', 'thread'] satisfies UsageOf[];

export interface CommonMethodsOptions {
  readonly uuid: string;
  readonly rank: number;
  readonly rusage: (who: UsageOf) => ResourceUsage;
  readonly stats: () => JsonObject;
  readonly clearStats: () => void;
  /** Takes a new configuration, or throws why not. */
  readonly configure: (config: JsonObject) => void;
}

/** The common methods of one module. */
export function commonMethods(options: CommonMethodsOptions): Methods {
  let debugFlags = 0;
  const configReload = {
    handler(request: { payload: unknown }): undefined {
      if (!isObject(request.payload)) throw new FluxError('EPROTO', 'the payload is no configuration object');
      options.configure(request.payload);
    },
  };
  return {
    ping: {
      allow: Role.user,
      handler(request) {
        const { payload, message } = request;
        // The answer is the payload with more in it, and an array has no room for names.
        if (Array.isArray(payload)) throw new FluxError('ENOMEM', 'an array cannot take the fields of an answer');
        if (!isObject(payload)) throw new FluxError('EPROTO', 'ping wants a JSON object');
        const { userid, rolemask } = message;
        // The route has every hop but this one; as a C int, a rolemask of all bits is -1.
        const route = `${message.routes}!${options.uuid.slice(0, 8)}`;
        // Spreading what JSON.parse made takes seven times as long.
        const answer = Object.assign({}, payload, { route, userid, rolemask: rolemask | 0, rank: options.rank });
        // Traces show sizes: it is as long as that of Flux's C programs.
        return Buffer.from(`${encodeJson(answer)}\0`);
      },
    },
    'stats-get': { allow: Role.all, handler: () => options.stats() },
    'stats-clear': {
      handler() {
        options.clearStats();
        return undefined;
      },
    },
    rusage: {
      allow: Role.user,
      handler(request) {
        const { who = 'self' } = request.message.hasPayload ? request.unpack({ who: 's?' }) : {};
        if (!usages.includes(who)) throw new FluxError('EINVAL', `${who} is unsupported`);
        const usage = options.rusage(who as UsageOf);
        return { ...usage, utime: real(usage.utime), stime: real(usage.stime) };
      },
    },
    debug: {
      handler(request) {
        const { op, flags } = request.unpack({ op: 's', flags: 'i' });
        if (op === 'setbit') debugFlags |= flags;
        else if (op === 'clrbit') debugFlags &= ~flags;
        else if (op === 'set') debugFlags = flags;
        else if (op === 'clr') debugFlags = 0;
        else throw new FluxError('EPROTO', `unknown debug operation '${op}'`);
        return { flags: debugFlags };
      },
    },
    'config-reload': configReload,
    'config-update': configReload,
  };
}
