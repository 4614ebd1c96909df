/**
 * One watcher of an event log that a job's shell writes. While the job runs the log is in a namespace of the job's own;
 * before, there is none; afterwards it is in the primary namespace, below `guest`. The job's main log says when.
 *
 *     looking ──── release, final ────► reading what was moved ──► end
 *        ├──────── start ──► watching the job's namespace ──┘ when that is removed
 *        └──► waiting ─── start ──┘
 */

import { asFluxError, errno, FluxError } from '../../core/errno.ts';
import { GUEST_PREFIX, jobKey, jobNamespace } from '../../core/formats/job-keys.ts';
import { LookupFlag } from '../../core/formats/kvs-flags.ts';
import { Kvs, PRIMARY_NAMESPACE } from '../../core/handle/kvs.ts';
import type { Request } from '../../core/handle/methods.ts';
import { entryNamed } from './event-names.ts';
import { kvsFlags, WatchFlag, type WatchHost, type WatchSpec } from './eventlog-watch.ts';
import { type LogListener, type LogPlace, LogStream } from './log-stream.ts';
import type { Watch } from './watch-list.ts';

const EXEC_LOG = 'exec.eventlog';

export class GuestWatch implements Watch {
  readonly request: Request;
  readonly #spec: WatchSpec;
  readonly #host: WatchHost;
  #log: LogStream | undefined;
  #isStopped = false;
  #hasSentinel = false;
  /** Characters that were told while the job had its namespace; they come first in what was moved. */
  #told = 0;

  /** `spec.path` is that in the job's namespace. */
  constructor(host: WatchHost, spec: WatchSpec) {
    this.#host = host;
    this.#spec = spec;
    this.request = spec.request;
  }

  start(): void {
    void this.#look().catch((error: unknown) => this.#end(asFluxError(error)));
  }

  async #look(): Promise<void> {
    const { id } = this.#spec;
    const { eventlog } = await this.#host.lookups.lookup(this.request, id, ['eventlog'], 0);
    if (this.#isStopped) return;
    const lines = String(eventlog).split('\n');
    const has = (name: string) => lines.some((line) => entryNamed(`${line}\n`, name));
    if (lines.some((line) => entryNamed(`${line}\n`, 'release')?.context?.final === true)) this.#readMoved();
    else if (has('start')) this.#watchGuest();
    else this.#awaitStart();
  }

  /** The job has no namespace yet: its main log tells when, or that it never will. */
  #awaitStart(): void {
    const place = { namespace: PRIMARY_NAMESPACE, key: jobKey(this.#spec.id, 'eventlog'), flags: kvsFlags(0) };
    this.#open(place, {
      entries: (lines) => {
        for (const line of lines) {
          if (entryNamed(line, 'start')) {
            this.#log?.stop();
            this.#watchGuest();
            return;
          }
          if (entryNamed(line, 'clean')) {
            this.#end(new FluxError('ENODATA'));
            return;
          }
        }
      },
      sentinel: () => {},
      ended: (error) => this.#end(error),
    });
  }

  #watchGuest(): void {
    const { id, path } = this.#spec;
    // Each job that has started has this log, though it may come a moment later.
    const flags = this.#spec.flags | (path === EXEC_LOG ? WatchFlag.waitcreate : 0);
    const place = { namespace: jobNamespace(id), key: path, flags: kvsFlags(flags) };
    this.#open(place, {
      entries: (lines) => {
        for (const line of lines) {
          this.#told += line.length;
          this.request.respond({ event: line });
        }
      },
      sentinel: () => this.#sendSentinel(),
      ended: (error) => {
        // The namespace is removed, or was before it was watched; what is not told yet is in the primary one.
        if (error.errno === errno.EOPNOTSUPP) this.#readMoved();
        else this.#end(error);
      },
    });
    if (flags & WatchFlag.waitcreate) void this.#findRemoved(place.namespace, this.#log!);
  }

  /** Who waits for a log would wait for a namespace, too, that was removed before; asked behind the watch, it tells. */
  async #findRemoved(namespace: string, log: LogStream): Promise<void> {
    try {
      await new Kvs(this.#host.context, namespace).getroot();
    } catch (error) {
      if (this.#isStopped || this.#log !== log || asFluxError(error).errno !== errno.EOPNOTSUPP) return;
      log.stop();
      this.#readMoved();
    }
  }

  #readMoved(): void {
    const { id, path, flags } = this.#spec;
    const place = {
      namespace: PRIMARY_NAMESPACE,
      key: jobKey(id, `${GUEST_PREFIX}${path}`),
      flags: LookupFlag.stream,
    };
    let passed = 0;
    this.#open(place, {
      entries: (lines) => {
        for (const line of lines) {
          passed += line.length;
          if (passed > this.#told) this.request.respond({ event: line });
        }
      },
      sentinel: () => {},
      ended: (error) => {
        if (error.errno === errno.ENODATA && flags & WatchFlag.initialSentinel) this.#sendSentinel();
        this.#end(error);
      },
    });
  }

  #open(place: LogPlace, listener: LogListener): void {
    this.#log = new LogStream(this.#host.context, place, listener, this.request);
  }

  #sendSentinel(): void {
    if (this.#hasSentinel) return;
    this.#hasSentinel = true;
    this.request.respond();
  }

  #end(error: FluxError): void {
    if (!this.#isStopped) this.#host.end(this, error);
  }

  stop(): void {
    this.#isStopped = true;
    this.#log?.stop();
  }
}
