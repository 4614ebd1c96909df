/** The queues of the job manager: which jobs may be submitted, which may have resources, and who says so. */

import { FluxError } from '../../core/errno.ts';
import type { Methods, Request } from '../../core/handle/methods.ts';
import type { JsonObject, JsonValue } from '../../core/json.ts';
import { Role } from '../../core/message/credentials.ts';
import { isObject } from '../../core/message/unpack.ts';
import { type ActiveJob, systemAttribute } from './job.ts';
import type { Core, QueueGate } from './parts.ts';
import type { JobtapPlugin } from './plugin.ts';
import { updateQueue } from './plugins/update-queue.ts';
import { type Queue, QueueTable } from './queue-table.ts';

export class Queues implements QueueGate {
  readonly plugins: readonly JobtapPlugin[];
  readonly methods: Methods;
  readonly #core: Core;
  readonly #table = new QueueTable();
  #stopsOnRestart = false;

  constructor(core: Core) {
    this.#core = core;
    this.plugins = [updateQueue(this.#table)];
    this.methods = {
      'queue-list': { allow: Role.user, handler: () => ({ queues: this.#table.names }) },
      'queue-status': {
        allow: Role.user,
        handler: (request) => {
          const { name } = request.unpack({ name: 's?' });
          return this.#table.get(name).status(core.isSchedulerReady);
        },
      },
      'queue-enable': { handler: (request) => this.#enable(request) },
      'queue-start': { handler: (request) => this.#start(request) },
    };
  }

  configure(config: JsonObject): void {
    const manager = config['job-manager'];
    const stops = isObject(manager) ? manager['stop-queues-on-restart'] : undefined;
    if (stops !== undefined && typeof stops !== 'boolean')
      throw new FluxError('EINVAL', 'job-manager.stop-queues-on-restart: it is neither true nor false');
    this.#table.configure(config.queues ?? {});
    this.#stopsOnRestart = stops ?? false;
  }

  #enable(request: Request): undefined {
    const { enable, name, reason, all } = request.unpack({ enable: 'b', name: 's?', reason: 's?', all: 'b' });
    if (!enable && reason === undefined) throw new FluxError('EINVAL', 'reason is required for disable');
    for (const queue of this.#selected(name, all)) {
      if (enable) queue.enable();
      else queue.disable(reason);
    }
  }

  #start(request: Request): undefined {
    const { start, name, reason, all, nocheckpoint } = request.unpack({
      start: 'b',
      name: 's?',
      reason: 's?',
      all: 'b',
      nocheckpoint: 'b?',
    });
    const queues = this.#selected(name, all);
    for (const queue of queues) {
      if (start) queue.start(!nocheckpoint);
      else queue.stop(reason, !nocheckpoint);
    }
    if (start) this.#admit(queues);
    else this.#withdraw(queues);
  }

  /** The queues that an administrator means; all of several only when he says so. */
  #selected(name: string | undefined, all: boolean): Queue[] {
    if (name === undefined && this.#table.hasNames && !all)
      throw new FluxError('EINVAL', 'Use --all to apply this command to all queues');
    return this.#table.select(name);
  }

  /** Jobs of these queues, and of virtual ones below them. A queue that is gone has its jobs still. */
  *#jobsOf(queues: readonly Queue[]): Generator<ActiveJob> {
    const selected = new Set(queues);
    for (const job of this.#core.activeJobs()) {
      const queue = this.#table.find(job.queue);
      if (queue && (selected.has(queue) || selected.has(queue.root))) yield job;
    }
  }

  #admit(queues: readonly Queue[]): void {
    this.#core.enqueue([...this.#jobsOf(queues)].filter((job) => this.isStarted(job)));
  }

  #withdraw(queues: readonly Queue[]): void {
    this.#core.dequeue([...this.#jobsOf(queues)]);
  }

  // ---- what the manager asks

  checkSubmit(jobspec: JsonObject): void {
    const name = systemAttribute(jobspec, 'queue');
    const queue = this.#table.get(typeof name === 'string' ? name : undefined);
    if (queue.isEnabled) return;
    const where = queue.name === undefined ? '' : ` to ${queue.name}`;
    throw new FluxError(
      'EINVAL',
      `job submission${where} is disabled: ${queue.disableReason ?? 'no reason was given'}`,
    );
  }

  isStarted(job: ActiveJob): boolean {
    return this.#table.find(job.queue)?.isRunning ?? false;
  }

  save(): JsonValue {
    return this.#table.save();
  }

  restore(version: number, saved: JsonValue): void {
    this.#table.restore(version, saved);
    if (version === 0) return;
    if (this.#stopsOnRestart)
      for (const queue of this.#table.all)
        if (queue.isStarted) queue.stop('Automatically stopped due to restart', true);
    this.#withdraw(this.#table.all.filter((queue) => !queue.isStarted));
  }
}
