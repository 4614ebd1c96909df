/** One watcher of an event log of a job: of the job itself, or of what is below its directory in the KVS. */

import type { ServiceContext } from '../../core/broker/service.ts';
import { asFluxError, endOfStream, FluxError } from '../../core/errno.ts';
import { jobKey } from '../../core/formats/job-keys.ts';
import { LookupFlag } from '../../core/formats/kvs-flags.ts';
import { PRIMARY_NAMESPACE } from '../../core/handle/kvs.ts';
import type { Request } from '../../core/handle/methods.ts';
import { entryNamed } from './event-names.ts';
import { type LogListener, LogStream } from './log-stream.ts';
import type { Lookups } from './lookup.ts';
import type { Owners } from './owners.ts';
import type { Watch } from './watch-list.ts';

/** Bits of the flags of `job-info.eventlog-watch`. */
export const WatchFlag = {
  /** To wait until there is such a log. */
  waitcreate: 1,
  /** An answer without an event behind those that were there at first. */
  initialSentinel: 2,
} as const;

export interface WatchSpec {
  readonly request: Request;
  readonly id: bigint;
  readonly path: string;
  /** `WatchFlag` bits. */
  readonly flags: number;
}

export interface WatchHost {
  readonly context: ServiceContext;
  readonly owners: Owners;
  readonly lookups: Lookups;
  /** Ends a watch with an answer. */
  end(watch: Watch, error: FluxError): void;
}

/** What the KVS is asked for by the flags of a watch. */
export function kvsFlags(flags: number): number {
  const { watch, watchAppend, waitcreate, initialSentinel } = LookupFlag;
  return (
    watch |
    watchAppend |
    (flags & WatchFlag.waitcreate ? waitcreate : 0) |
    (flags & WatchFlag.initialSentinel ? initialSentinel : 0)
  );
}

/** The log that ends when the job does. */
const MAIN_LOG = 'eventlog';

export class EventlogWatch implements Watch, LogListener {
  readonly request: Request;
  readonly #spec: WatchSpec;
  readonly #host: WatchHost;
  #isAllowed = false;
  #isStopped = false;
  #log: LogStream | undefined;
  #hasSentinel = false;

  constructor(host: WatchHost, spec: WatchSpec) {
    this.#host = host;
    this.#spec = spec;
    this.request = spec.request;
  }

  /** Begins to answer; another's job ends it, EPERM. */
  start(): void {
    const { request, id, path } = this.#spec;
    const mayRead = request.isOwner || this.#host.owners.mayRead(request, id);
    if (mayRead === undefined && path !== MAIN_LOG) {
      void this.#authorize();
      return;
    }
    // The log of the job itself says whose it is, once it is there.
    if (mayRead !== undefined) this.#allow(mayRead);
    if (!this.#isStopped) this.#open();
  }

  async #authorize(): Promise<void> {
    try {
      this.#allow(await this.#host.lookups.mayRead(this.request, this.#spec.id));
      if (!this.#isStopped) this.#open();
    } catch (error) {
      this.ended(asFluxError(error));
    }
  }

  #allow(mayRead: boolean): void {
    if (mayRead) this.#isAllowed = true;
    else this.ended(new FluxError('EPERM'));
  }

  #open(): void {
    const { id, path, flags } = this.#spec;
    const place = { namespace: PRIMARY_NAMESPACE, key: jobKey(id, path), flags: kvsFlags(flags) };
    this.#log = new LogStream(this.#host.context, place, this, this.request);
  }

  entries(lines: readonly string[]): void {
    if (!this.#isAllowed) this.#learn(lines[0]!);
    for (const line of lines) {
      if (this.#isStopped) return;
      this.request.respond({ event: line });
      if (this.#spec.path === MAIN_LOG && entryNamed(line, 'clean')) {
        if (this.#spec.flags & WatchFlag.initialSentinel) this.sentinel();
        this.ended(endOfStream);
      }
    }
  }

  #learn(firstLine: string): void {
    try {
      this.#allow(this.#host.owners.learn(this.request, this.#spec.id, firstLine));
    } catch (error) {
      this.ended(asFluxError(error));
    }
  }

  sentinel(): void {
    if (this.#hasSentinel) return;
    this.#hasSentinel = true;
    this.request.respond();
  }

  ended(error: FluxError): void {
    if (!this.#isStopped) this.#host.end(this, error);
  }

  stop(): void {
    this.#isStopped = true;
    this.#log?.stop();
  }
}
