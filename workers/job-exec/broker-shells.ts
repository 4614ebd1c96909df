/** Shells that are parts of the brokers: requests to the module `shell` of each rank, whose responses tell of them. */

import type { ServiceContext } from '../../core/broker/service.ts';
import { asFluxError, errno } from '../../core/errno.ts';
import type { JsonObject } from '../../core/json.ts';
import { Flag, type Message } from '../../core/message/message.ts';
import { unpack } from '../../core/message/unpack.ts';
import { type JobFacts, submittedJobspec } from './job-facts.ts';
import type { ShellModules } from './shell-modules.ts';
import type { LostShell, ShellListener, Shells } from './shells.ts';

export class BrokerShells implements Shells {
  readonly hearEvents = false;
  readonly #context: ServiceContext;
  readonly #job: JobFacts;
  readonly #namespace: string;
  readonly #owner: number;
  readonly #modules: ShellModules;
  /** The same for all ranks; on one thread they share what is in it. */
  #request: JsonObject = {};

  /** @param owner userid of the instance owner */
  constructor(context: ServiceContext, job: JobFacts, namespace: string, owner: number, modules: ShellModules) {
    this.#context = context;
    this.#job = job;
    this.#namespace = namespace;
    this.#owner = owner;
    this.#modules = modules;
  }

  async prepare(): Promise<void> {
    const { id, userid, R } = this.#job;
    const jobspec = await submittedJobspec(this.#context, id);
    this.#request = { id, userid, owner: this.#owner, namespace: this.#namespace, jobspec, R };
  }

  start(rank: number, listener: ShellListener): void {
    void this.#run(rank, listener);
  }

  async #run(rank: number, listener: ShellListener): Promise<void> {
    const ask = () => this.#context.request('shell.start', this.#request, { nodeid: rank, flags: Flag.streaming });
    let responses = ask();
    try {
      let response = await responses.next();
      if (response.errnum === errno.ENOSYS) {
        await this.#modules.load(rank);
        responses = ask();
        response = await responses.next();
      }
      while (response.errnum === 0) {
        take(rank, response, listener);
        response = await responses.next();
      }
      if (response.errnum !== errno.ENODATA) throw response.error();
    } catch (error) {
      responses.abandon();
      listener.failed(rank, asFluxError(error));
    }
  }

  #tell(rank: number, method: string, payload: JsonObject): void {
    this.#context.notify(`shell.${method}`, { id: this.#job.id, ...payload }, { nodeid: rank });
  }

  signal(rank: number, signum: number): void {
    this.#tell(rank, 'signal', { signum });
  }

  signalTasks(ranks: Iterable<number>, signum: number): void {
    for (const rank of ranks) this.#tell(rank, 'signal-tasks', { signum });
  }

  leaveBarrier(rank: number, complete: boolean): void {
    this.#tell(rank, 'leave-barrier', { complete });
  }

  tellLost(rank: number, { shellRank, severity, message }: LostShell): void {
    this.#tell(rank, 'lost', { shell_rank: shellRank, severity, message });
  }
}

function take(rank: number, response: Message, listener: ShellListener): void {
  const { type } = response.unpack({ type: 's' });
  if (type === 'started') listener.started(rank);
  else if (type === 'barrier') listener.barrier(rank);
  else if (type === 'finished') {
    const { status, log, usage } = response.unpack({ status: 'i', log: 'a', usage: 'o?' });
    const texts = log.map((entry) => unpack(entry, { key: 's', text: 's' }));
    listener.ended(rank, status, texts, usage && unpack(usage, { utime: 'n', stime: 'n', maxrss: 'n' }));
  }
}
