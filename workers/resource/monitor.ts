/** Which ranks are up, by the broker's groups: those that are online, and those that are slow to answer. */

import type { ServiceContext } from '../../core/broker/service.ts';
import { FluxError } from '../../core/errno.ts';
import { IdSet } from '../../core/formats/idset.ts';
import type { Request } from '../../core/handle/methods.ts';
import { RequestList } from '../../core/handle/request-list.ts';
import { Flag } from '../../core/message/message.ts';
import type { Journal } from './journal.ts';

export class Monitor {
  /** Who waits for a number of ranks to be up. */
  readonly waits = new RequestList();
  readonly #context: ServiceContext;
  readonly #journal: Journal;
  readonly #size: number;
  #up: IdSet = IdSet.empty;
  #torpid: IdSet = IdSet.empty;
  #lost: IdSet = IdSet.empty;
  #isStopped = false;

  /** @param size how many ranks there may be */
  constructor(context: ServiceContext, journal: Journal, size: number) {
    this.#context = context;
    this.#journal = journal;
    this.#size = size;
  }

  get up(): IdSet {
    return this.#up;
  }
  get down(): IdSet {
    return this.#all.difference(this.#up);
  }
  get torpid(): IdSet {
    return this.#torpid;
  }
  /** Ranks that were up and are not any more. */
  get lost(): IdSet {
    return this.#lost;
  }
  get #all(): IdSet {
    return IdSet.range(0, this.#size - 1);
  }

  /** Begins to watch, and posts that it does; with `forcesUp` all ranks are up and stay so. */
  async start(forcesUp: boolean): Promise<void> {
    if (forcesUp) this.#up = this.#all;
    else {
      await this.#follow('broker.online', (members) => this.#setUp(members));
      await this.#follow('broker.torpid', (members) => this.#setTorpid(members));
    }
    const nodelist = this.#context.attribute('hostlist') ?? '';
    const context = { ranks: this.#all.encode(), online: this.#up.encode(), nodelist };
    void this.#journal.post('restart', context, { isKept: false });
  }

  /** Takes the members of a group now and after each change; resolves when they are known. */
  async #follow(group: string, take: (members: IdSet) => void): Promise<void> {
    const responses = this.#context.request('groups.get', { name: group }, { flags: Flag.streaming });
    const next = async () => {
      const response = await responses.next();
      if (response.errnum) throw response.error();
      take(IdSet.parse(response.unpack({ members: 's' }).members));
    };
    await next();
    const goOn = async () => {
      while (!this.#isStopped) await next();
    };
    goOn().catch((error: Error) => {
      if (!this.#isStopped) this.#context.log('crit', `monitor: ${group}: ${error.message}`);
    });
  }

  #setUp(up: IdSet): void {
    const joined = up.difference(this.#up);
    const left = this.#up.difference(up);
    this.#post('online', joined);
    this.#post('offline', left);
    this.#lost = this.#lost.union(left).difference(joined);
    this.#up = up;
    for (const request of this.waits)
      if (request.unpack({ up: 'i' }).up === up.count) {
        this.waits.remove(request);
        request.respond();
      }
  }

  #setTorpid(torpid: IdSet): void {
    this.#post('torpid', torpid.difference(this.#torpid));
    this.#post('lively', this.#torpid.difference(torpid));
    this.#torpid = torpid;
  }

  #post(name: string, ranks: IdSet): void {
    if (ranks.count) void this.#journal.post(name, { idset: ranks.encode() }, { isKept: false });
  }

  /**
   * Answers when so many ranks are up.
   *
   * @throws FluxError EPROTO: so many there are not
   */
  waitUp(request: Request): void {
    const { up } = request.unpack({ up: 'i' });
    if (up > this.#size || up < 0) throw new FluxError('EPROTO', 'up value is out of range');
    if (up === this.#up.count) request.respond();
    else this.waits.add(request);
  }

  /**
   * Takes ranks for down that are up: for tests.
   *
   * @throws FluxError EINVAL: `ranks` is no idset
   */
  forceDown(ranks: string): void {
    this.#setUp(this.#up.difference(IdSet.parse(ranks)));
  }

  stop(): void {
    this.#isStopped = true;
  }
}
