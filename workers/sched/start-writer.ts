/** Stores what jobs were given, and then tells the job manager (RFC 27, Alloc Success). */

import type { ServiceContext, Timer } from '../../core/broker/service.ts';
import { asFluxError } from '../../core/errno.ts';
import { jobKey } from '../../core/formats/job-keys.ts';
import { encodePythonJson } from '../../core/formats/python-json.ts';
import { Kvs, PRIMARY_NAMESPACE } from '../../core/handle/kvs.ts';
import { KvsTransaction } from '../../core/handle/kvs-transaction.ts';
import type { JsonObject } from '../../core/json.ts';
import type { AllocRequest } from './alloc-request.ts';

/** Seconds until the store is asked again when it refused. */
const RETRY = 1;

/** A job that was given resources. */
export interface Start {
  readonly id: bigint;
  readonly request: AllocRequest;
  readonly R: JsonObject;
  /** What is told of it. */
  readonly sched: JsonObject;
}

export class StartWriter {
  readonly #context: ServiceContext;
  readonly #kvs: Kvs;
  #starts: Start[] = [];
  readonly #timers = new Set<Timer>();

  constructor(context: ServiceContext) {
    this.#context = context;
    this.#kvs = new Kvs(context, PRIMARY_NAMESPACE);
  }

  add(start: Start): void {
    this.#starts.push(start);
  }

  /** Stores what was added, all of it by one commit. */
  flush(): void {
    const starts = this.#starts;
    if (starts.length === 0) return;
    this.#starts = [];
    const transaction = new KvsTransaction();
    // As flux-core's schedulers write it, byte for byte.
    for (const { id, R } of starts) transaction.put(jobKey(id, 'R'), encodePythonJson(R));
    this.#commit(transaction, starts);
  }

  #commit(transaction: KvsTransaction, starts: readonly Start[]): void {
    this.#kvs.commit(transaction).then(
      () => {
        for (const { request, R, sched } of starts) request.succeed(R, sched);
      },
      (error: unknown) => {
        const { code, message } = asFluxError(error);
        // This module is at its end.
        if (code === 'ECONNABORTED') return;
        this.#context.log('err', `alloc: R of ${starts.length} job(s) could not be stored: ${message}`);
        const timer = this.#context.clock.after(RETRY, () => {
          this.#timers.delete(timer);
          this.#commit(transaction, starts);
        });
        this.#timers.add(timer);
      },
    );
  }

  stop(): void {
    for (const timer of this.#timers) timer.cancel();
  }
}
