/** Waits until no job is active (`job-manager.drain`), or none runs (`job-manager.idle`). */

import { FluxError } from '../../core/errno.ts';
import { LATER, type Methods, type Reply, type Request } from '../../core/handle/methods.ts';
import { RequestList } from '../../core/handle/request-list.ts';
import type { JsonObject } from '../../core/json.ts';
import type { EventWriter } from './event-writer.ts';
import type { Jobs } from './jobs.ts';

export class Idle {
  readonly #jobs: Jobs;
  readonly #writer: EventWriter;
  /** How many jobs the scheduler has been asked for. */
  readonly #pendingCount: () => number;
  readonly #drains = new RequestList();
  readonly #idles = new RequestList();

  readonly methods: Methods = {
    drain: { handler: (request) => this.#add(this.#drains, request) },
    idle: { handler: (request) => this.#add(this.#idles, request) },
  };

  constructor(jobs: Jobs, writer: EventWriter, pendingCount: () => number) {
    this.#jobs = jobs;
    this.#writer = writer;
    this.#pendingCount = pendingCount;
  }

  #add(list: RequestList, request: Request): Reply {
    list.add(request);
    this.check();
    return LATER;
  }

  /** Answers those whose condition is met, once what led to it is in the KVS: they may look there next. */
  check(): void {
    const { active, runningCount } = this.#jobs;
    if (this.#drains.count && active.size === 0) this.#answer(this.#drains, undefined);
    if (this.#idles.count && runningCount === 0 && this.#pendingCount() === 0)
      this.#answer(this.#idles, { pending: active.size });
  }

  #answer(list: RequestList, payload: JsonObject | undefined): void {
    const requests = list.takeAll();
    this.#writer.onceCommitted(() => {
      for (const request of requests) request.reply(payload);
    });
  }

  disconnect(request: Request): void {
    this.#drains.disconnect(request);
    this.#idles.disconnect(request);
  }

  stop(): void {
    for (const request of [...this.#drains.takeAll(), ...this.#idles.takeAll()])
      request.fail(new FluxError('ENOSYS', 'job-manager is unloading'));
  }
}
