/** Signals to jobs: events that their shells wait for. */

import type { ServiceContext } from '../../core/broker/service.ts';
import { FluxError } from '../../core/errno.ts';
import { JobState } from '../../core/formats/job-state.ts';
import type { Methods, Request } from '../../core/handle/methods.ts';
import type { JsonObject } from '../../core/json.ts';
import { Role, USERID_UNKNOWN } from '../../core/message/credentials.ts';
import { wantedUser } from './exceptions.ts';
import { authorize, type Jobs } from './jobs.ts';

/** Signals are below it. */
const NSIG = 65;

export class Signals {
  readonly #context: ServiceContext;
  readonly #jobs: Jobs;

  readonly methods: Methods = {
    kill: { allow: Role.user, handler: (request) => this.#kill(request) },
    killall: { allow: Role.user, handler: (request) => this.#killAll(request) },
  };

  constructor(context: ServiceContext, jobs: Jobs) {
    this.#context = context;
    this.#jobs = jobs;
  }

  #kill(request: Request): undefined {
    const { id, signum } = request.unpack({ id: 'I', signum: 'i' });
    check(signum);
    const job = this.#jobs.activeOr(id, {
      unknown: ['EINVAL', 'unknown job id'],
      inactive: ['EINVAL', 'job is inactive'],
    });
    authorize(request, job.userid, 'guests may only send signals to their own jobs');
    if (!(job.state & JobState.running)) throw new FluxError('EINVAL', 'job is not running');
    this.#send(id, signum);
    return undefined;
  }

  #killAll(request: Request): JsonObject {
    const { dry_run, userid, signum } = unpackKillAll(request);
    const user = wantedUser(userid);
    authorize(request, user ?? USERID_UNKNOWN, 'guests can only kill their own jobs');
    check(signum);
    let count = 0;
    for (const { id } of this.#jobs.select(user, JobState.running)) {
      count++;
      if (!dry_run) this.#send(id, signum);
    }
    return { count, errors: 0 };
  }

  #send(id: bigint, signum: number): void {
    this.#context.sendEvent(`shell-${id}.kill`, { signum });
  }
}

function unpackKillAll(request: Request) {
  try {
    return request.unpack({ dry_run: 'b', userid: 'i', signum: 'i' });
  } catch (error) {
    throw new FluxError('EPROTO', 'error decoding request', { cause: error });
  }
}

function check(signum: number): void {
  if (signum <= 0 || signum >= NSIG) throw new FluxError('EINVAL', 'Invalid signal number');
}
