/**
 * Exchanges keys and values among the shells of a job: each hands what it and the shells below it have to the one above, and
 * gets back what all have.
 */

import { FluxError } from '../../../core/errno.ts';
import { LATER, type Request } from '../../../core/handle/methods.ts';
import { isObject } from '../../../core/message/unpack.ts';
import type { Shell } from '../plugin.ts';

const METHOD = 'pmi-exchange';

type Table = Readonly<Record<string, string>>;

export class PmiExchange {
  readonly #shell: Shell;
  readonly #parent: number;
  readonly #childCount: number;
  #gathered: Record<string, string> = {};
  #requests: Request[] = [];
  #own: { resolve: (all: Table) => void; reject: (error: unknown) => void } | undefined;

  /** @param fanout shells that each shell has below it at most */
  constructor(shell: Shell, fanout: number) {
    this.#shell = shell;
    this.#parent = Math.floor((shell.rank - 1) / fanout);
    this.#childCount = Math.max(0, Math.min(shell.size - 1, shell.rank * fanout + fanout) - shell.rank * fanout);
    shell.register(METHOD, {
      handler: (request) => {
        this.#take(request);
        return LATER;
      },
    });
  }

  /** Resolves to what the shells have, once all of them have come here. */
  run(pending: Table): Promise<Table> {
    Object.assign(this.#gathered, pending);
    return new Promise((resolve, reject) => {
      this.#own = { resolve, reject };
      void this.#proceed();
    });
  }

  #take(request: Request): void {
    if (!isObject(request.payload)) throw new FluxError('EPROTO');
    if (this.#requests.length === this.#childCount)
      throw new FluxError('EINPROGRESS', 'pmi-exchange received too many child requests');
    Object.assign(this.#gathered, request.payload);
    this.#requests.push(request);
    void this.#proceed();
  }

  async #proceed(): Promise<void> {
    const own = this.#own;
    if (!own || this.#requests.length < this.#childCount) return;
    const requests = this.#requests;
    const gathered = this.#gathered;
    this.#own = undefined;
    this.#requests = [];
    this.#gathered = {};
    try {
      const all =
        this.#shell.rank === 0 ? gathered : ((await this.#shell.rpc(this.#parent, METHOD, gathered)) as Table);
      for (const request of requests) request.respond(all);
      own.resolve(all);
    } catch (error) {
      for (const request of requests) request.fail('EIO');
      own.reject(error);
    }
  }
}
