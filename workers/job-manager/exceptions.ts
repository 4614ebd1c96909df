/** Exceptions of jobs (RFC 21): raised on one job or on many, by users, plugins and services. */

import type { ServiceContext } from '../../core/broker/service.ts';
import { asFluxError, FluxError } from '../../core/errno.ts';
import { encodeFluid } from '../../core/formats/fluid.ts';
import type { Methods, Request } from '../../core/handle/methods.ts';
import type { JsonObject } from '../../core/json.ts';
import { Role, USERID_UNKNOWN } from '../../core/message/credentials.ts';
import type { Events } from './events.ts';
import type { Job } from './job.ts';
import { authorize, type Jobs } from './jobs.ts';

const SEVERITY_MAX = 7;
const NOT_THEIRS = 'guests can only raise exceptions on their own jobs';

export interface Exception {
  readonly type: string;
  readonly severity: number;
  readonly note?: string | undefined;
  /** Who raised it; nobody when absent. */
  readonly userid?: number | undefined;
  /** Status with which the job is to have ended, as wait(2) says it. */
  readonly waitStatus?: number | undefined;
}

export class Exceptions {
  readonly #context: ServiceContext;
  readonly #jobs: Jobs;
  readonly #events: Events;

  readonly methods: Methods = {
    raise: { allow: Role.user, handler: (request) => this.#raise(request) },
    raiseall: { allow: Role.user, handler: (request) => this.#raiseAll(request) },
  };

  constructor(context: ServiceContext, jobs: Jobs, events: Events) {
    this.#context = context;
    this.#jobs = jobs;
    this.#events = events;
  }

  /** @throws FluxError ENOENT: the job is not active any more */
  raise(job: Job, { type, severity, note = '', userid, waitStatus }: Exception): void {
    const status = waitStatus !== undefined && waitStatus >= 0 ? { wait_status: waitStatus } : undefined;
    const by = userid === undefined ? undefined : { userid };
    const { id } = job;
    this.#events.post(job, 'exception', { type, severity, note, ...by, ...status });
    this.#context.sendEvent('job-exception', { id, type, severity, ...status }, { private: true });
  }

  #raise(request: Request): undefined {
    const { id, severity, type, note, wait_status } = request.unpack({
      id: 'I',
      severity: 'i',
      type: 's',
      note: 's?',
      wait_status: 'i?',
    });
    check(severity, type);
    const job = this.#jobs.activeOr(id, {
      unknown: ['ENOENT', 'unknown job id'],
      inactive: ['ENOENT', 'job is inactive'],
    });
    authorize(request, job.userid, NOT_THEIRS);
    this.raise(job, { type, severity, note, userid: request.userid, waitStatus: wait_status });
    return undefined;
  }

  #raiseAll(request: Request): JsonObject {
    const { dry_run, userid, states, severity, type, note } = request.unpack({
      dry_run: 'b',
      userid: 'i',
      states: 'i',
      severity: 'i',
      type: 's',
      note: 's?',
    });
    const user = wantedUser(userid);
    authorize(request, user ?? USERID_UNKNOWN, NOT_THEIRS);
    check(severity, type);
    const jobs = [...this.#jobs.select(user, states)];
    let errors = 0;
    for (const job of dry_run ? [] : jobs) {
      try {
        this.raise(job, { type, severity, note, userid: request.userid });
      } catch (error) {
        this.#context.log('err', `error raising exception on id=${encodeFluid(job.id)}: ${asFluxError(error).message}`);
        errors++;
      }
    }
    return { count: jobs.length, errors };
  }
}

/** The user whose jobs are meant; clients send "all users" as -1 or as what it is without a sign. */
export function wantedUser(userid: number): number | undefined {
  return userid >>> 0 === USERID_UNKNOWN ? undefined : userid >>> 0;
}

function check(severity: number, type: string): void {
  if (severity < 0 || severity > SEVERITY_MAX) throw new FluxError('EPROTO', 'invalid exception severity');
  if (!/^[^\s=]+$/.test(type)) throw new FluxError('EPROTO', 'invalid exception type');
}
