/**
 * The module `barrier`: processes wait for each other by name. Each broker counts those that entered in its subtree and
 * tells its parent; rank 0 sees when all are there and lets them go with one event. What a broker tells its parent is
 * answered in the end, so that those below hear of it when the link between the two is lost.
 *
 * It has to be loaded on every rank from which processes enter, and on the ranks between them and rank 0. A rank that has
 * nobody below it and its parent in the same process counts nothing: whoever enters there enters at the parent.
 */

import type { ModuleDefinition, ServiceContext } from '../../core/broker/service.ts';
import { FluxError } from '../../core/errno.ts';
import { LATER, type Methods, type Request } from '../../core/handle/methods.ts';
import { untilEnd } from '../../core/handle/rpc.ts';
import { Role } from '../../core/message/credentials.ts';
import { Flag, NODEID_UPSTREAM } from '../../core/message/message.ts';

interface Barrier {
  readonly name: string;
  readonly nprocs: number;
  /** Entered and not yet told to the parent; on rank 0 all that entered. */
  count: number;
  /** Who entered here and waits, by the sender. */
  readonly waiting: Map<string, Request>;
  /** What children told. */
  readonly told: Request[];
}

const EXIT_EVENT = 'barrier.exit';

export const barrier: ModuleDefinition = { start: (context) => new Barriers(context) };

class Barriers {
  readonly #context: ServiceContext;
  readonly #barriers = new Map<string, Barrier>();

  constructor(context: ServiceContext) {
    this.#context = context;
    context.subscribe(EXIT_EVENT, (event) => {
      const { name, errnum } = event.unpack({ name: 's', errnum: 'i' });
      this.#finish(name, errnum);
    });
  }

  #finish(name: string, errnum: number): void {
    const done = this.#barriers.get(name);
    this.#barriers.delete(name);
    for (const request of done?.waiting.values() ?? []) {
      if (errnum) request.fail(new FluxError(errnum, `barrier ${name} was broken: one of its processes is gone`));
      else request.respond();
    }
    for (const request of done?.told ?? []) request.endStream();
  }

  #enter(request: Request): void {
    const {
      name,
      count,
      nprocs,
      internal = false,
    } = request.unpack({ name: 's', count: 'i', nprocs: 'i', internal: 'b?' });
    if (count < 1 || nprocs < 1) throw new FluxError('EINVAL', `barrier ${name}: count and nprocs must be positive`);
    let entered = this.#barriers.get(name);
    if (entered && entered.nprocs !== nprocs)
      throw new FluxError('EINVAL', `barrier ${name} is for ${entered.nprocs} processes, not ${nprocs}`);
    if (!internal && entered?.waiting.has(request.sender))
      throw new FluxError('EEXIST', `barrier ${name} is entered already`);
    const isFirst = !entered;
    if (!entered) {
      entered = { name, nprocs, count: 0, waiting: new Map(), told: [] };
      this.#barriers.set(name, entered);
    }
    entered.count += count;
    if (internal) entered.told.push(request);
    else entered.waiting.set(request.sender, request);
    if (this.#context.rank > 0) {
      // What comes in the same turn goes upstream together.
      if (isFirst || entered.count === count) this.#context.clock.after(0, () => this.#tellParent(name));
    } else if (entered.count >= nprocs) this.#release(name, 0);
  }

  #tellParent(name: string): void {
    const entered = this.#barriers.get(name);
    if (!entered?.count) return;
    const { count, nprocs } = entered;
    entered.count = 0;
    const payload = { name, count, nprocs, internal: true };
    const options = { nodeid: NODEID_UPSTREAM, flags: Flag.streaming };
    void untilEnd(this.#context.request('barrier.enter', payload, options), () => {}).then((end) => {
      if (end.code !== 'ENODATA') this.#lose(entered, end);
    });
  }

  /** The parent does not know of it any more. */
  #lose(entered: Barrier, error: FluxError): void {
    if (this.#barriers.get(entered.name) !== entered) return;
    this.#barriers.delete(entered.name);
    for (const request of [...entered.waiting.values(), ...entered.told]) request.fail(error);
  }

  #release(name: string, errnum: number): void {
    this.#context
      .publish(EXIT_EVENT, { name, errnum })
      .catch((error: Error) => this.#context.log('err', `${EXIT_EVENT}: ${error.message}`));
  }

  readonly methods: Methods = {
    enter: {
      allow: Role.user,
      handler: (request: Request) => {
        this.#enter(request);
        return LATER;
      },
    },
    disconnect: {
      allow: Role.user,
      handler: (request: Request) => {
        for (const { name, waiting, told } of this.#barriers.values())
          if (waiting.has(request.sender) || told.some(({ sender }) => sender === request.sender))
            this.#release(name, 103);
        return undefined;
      },
    },
  };
}
