/** An event log in the KVS, entry by entry, as it grows. */

import type { ServiceContext } from '../../core/broker/service.ts';
import { FluxError } from '../../core/errno.ts';
import { type Treeobj, valBytes } from '../../core/formats/treeobj.ts';
import type { Request } from '../../core/handle/methods.ts';
import { type Responses, untilEnd } from '../../core/handle/rpc.ts';
import { Flag, type Message } from '../../core/message/message.ts';

export interface LogPlace {
  readonly namespace: string;
  readonly key: string;
  /** `LookupFlag` bits of the KVS. */
  readonly flags: number;
}

export interface LogListener {
  /** The next entries, at least one, each with its newline. */
  entries(lines: readonly string[]): void;
  /** What was there at first has been told; with the flag `initialSentinel`. */
  sentinel(): void;
  /** Nothing more is told: ENODATA, or why. */
  ended(error: FluxError): void;
}

export class LogStream {
  readonly #context: ServiceContext;
  readonly #listener: LogListener;
  readonly #responses: Responses;
  /** What came behind the last newline. */
  #rest = '';
  #isStopped = false;

  /** @param reader whose request is answered with what is told: when that one takes nothing, nothing is read */
  constructor(context: ServiceContext, place: LogPlace, listener: LogListener, reader?: Request) {
    this.#context = context;
    this.#listener = listener;
    const way = reader?.message.routes.ids();
    this.#responses = context.request('kvs-watch.lookup', { ...place, way }, { flags: Flag.streaming });
    void untilEnd(this.#responses, (response) => this.#take(response)).then((error) => this.#end(error));
  }

  /** Tells nothing any more. */
  stop(): void {
    if (this.#isStopped) return;
    this.#isStopped = true;
    this.#context.notify('kvs-watch.cancel', { matchtag: this.#responses.matchtag });
    this.#responses.abandon();
  }

  #take(response: Message): void {
    if (this.#isStopped) return;
    if (!response.hasPayload) {
      this.#listener.sentinel();
      return;
    }
    const { val } = response.unpack({ val: 'o' });
    const bytes = valBytes(val as unknown as Treeobj);
    if (bytes.length === 0) {
      // Somebody has overwritten the log: what is appended to one is never empty.
      this.stop();
      this.#listener.ended(new FluxError('EINVAL', 'illegal append of zero bytes'));
      return;
    }
    const text = this.#rest + bytes.toString();
    const end = text.lastIndexOf('\n') + 1;
    this.#rest = text.slice(end);
    if (end) this.#listener.entries(splitLines(text, end));
  }

  #end(error: FluxError): void {
    if (this.#isStopped) return;
    this.#isStopped = true;
    this.#listener.ended(error);
  }
}

/** The lines of a text up to the newline before `end`. */
function splitLines(text: string, end: number): string[] {
  const lines: string[] = [];
  for (let start = 0; start < end; ) {
    const next = text.indexOf('\n', start) + 1;
    lines.push(text.slice(start, next));
    start = next;
  }
  return lines;
}
