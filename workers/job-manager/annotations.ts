/** Annotations of jobs: what schedulers, plugins and users note on them, and tell those who list jobs. */

import { FluxError } from '../../core/errno.ts';
import type { Methods, Request } from '../../core/handle/methods.ts';
import type { JsonObject } from '../../core/json.ts';
import { Role } from '../../core/message/credentials.ts';
import { isObject } from '../../core/message/unpack.ts';
import type { Events } from './events.ts';
import type { Job } from './job.ts';
import { authorize, type Jobs } from './jobs.ts';
import { annotate } from './state-machine.ts';

export class Annotations {
  readonly #jobs: Jobs;
  readonly #events: Events;

  readonly methods: Methods = {
    memo: { allow: Role.user, handler: (request) => this.#memo(request) },
  };

  constructor(jobs: Jobs, events: Events) {
    this.#jobs = jobs;
    this.#events = events;
  }

  /** Merges into a job's annotations, and tells; null removes a key. */
  update(job: Job, changes: JsonObject): void {
    annotate(job, changes);
    this.#tell(job);
  }

  /** Takes one key away, or all of them. What is left is told with the next change. */
  clear(job: Job, key?: string): void {
    if (!job.annotations) return;
    const { [key ?? '']: _, ...rest } = job.annotations;
    if (key !== undefined && Object.keys(rest).length) {
      job.annotations = rest;
      return;
    }
    job.annotations = undefined;
    this.#tell(job);
  }

  #tell(job: Job): void {
    this.#events.post(job, 'annotations', { annotations: job.annotations ?? null }, { isVolatile: true });
  }

  #memo(request: Request): undefined {
    const { id, memo, volatile = false } = request.unpack({ id: 'I', volatile: 'b?', memo: '*' });
    const job = this.#jobs.activeOr(id, {
      unknown: ['ENOENT', 'unknown job id'],
      inactive: ['ENOENT', 'job is inactive'],
    });
    authorize(request, job.userid, 'guests can only add a memo to their own jobs');
    if (!isObject(memo)) throw new FluxError('EINVAL');
    this.#events.post(job, 'memo', memo, { isVolatile: volatile });
    return undefined;
  }
}
