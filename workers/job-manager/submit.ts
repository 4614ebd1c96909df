/** Takes jobs that were checked and stored (`job-manager.submit`), many in one request. */

import { FluxError, strerror } from '../../core/errno.ts';
import { LATER, type Methods, type Reply, type Request } from '../../core/handle/methods.ts';
import type { JsonValue } from '../../core/json.ts';
import { unpack } from '../../core/message/unpack.ts';
import { redactJobspec } from './archive.ts';
import type { Events } from './events.ts';
import { Job } from './job.ts';
import type { Jobs } from './jobs.ts';
import type { Jobtap } from './jobtap.ts';
import type { QueueGate } from './parts.ts';
import type { Wait } from './wait.ts';

/** Version of event logs, in their first event. */
const EVENTLOG_VERSION = 1;

export interface SubmitHost {
  readonly jobs: Jobs;
  readonly events: Events;
  readonly jobtap: Jobtap;
  readonly queues: Pick<QueueGate, 'checkSubmit'>;
  readonly wait: Wait;
  /** There is one active job less. */
  jobGone(): void;
}

export class Submit {
  readonly #host: SubmitHost;

  readonly methods: Methods = {
    submit: { handler: (request) => this.#submit(request) },
  };

  constructor(host: SubmitHost) {
    this.#host = host;
  }

  /** Answers with what is wrong with which jobs, when the others are in the KVS: then their ids may be told. */
  #submit(request: Request): Reply {
    const jobs = request.unpack({ jobs: 'a' }).jobs.map(readJob);
    const errors: JsonValue[] = [];
    for (const job of jobs) this.#submitJob(job, (text) => errors.push([job.id, text]));
    this.#host.events.writer.whenCommitted(() => request.reply({ errors }));
    return LATER;
  }

  #submitJob(job: Job, fail: (text: string) => void): void {
    const { jobs, events, jobtap, queues, wait } = this.#host;
    if (jobs.lookup(job.id)) {
      fail('there is such a job already');
      return;
    }
    try {
      queues.checkSubmit(job.jobspec);
      this.#introduce(job);
      jobtap.create(job);
      jobtap.validate(job, job.jobspec);
      jobtap.checkDependencies(job);
    } catch (error) {
      fail(error instanceof FluxError ? error.message : 'rejected by job-manager plugin');
      if (jobs.active.has(job.id)) this.#refuse(job);
      return;
    }
    jobtap.accepted(job);
    wait.added(job);
    jobs.noteId(job.id);
    // The log must be in the KVS before anything is done for the job.
    events.holdUntilSubmitted(job, (error) => {
      if (!error) return;
      fail(error.detail ?? strerror(error.errno));
      wait.forgotten(job);
      this.#refuse(job);
    });
    events.post(job, 'validate');
  }

  /** Its first event, which tells when the user has submitted it; plugins may post others behind it. */
  #introduce(job: Job): void {
    const { userid, urgency, flags, tSubmit } = job;
    this.#host.jobs.add(job);
    const context = { userid, urgency, flags, version: EVENTLOG_VERSION };
    this.#host.events.post(job, 'submit', context, { timestamp: tSubmit });
  }

  #refuse(job: Job): void {
    this.#host.events.invalidate(job);
    this.#host.jobtap.destroy(job);
    this.#host.jobs.remove(job);
    this.#host.jobGone();
  }
}

function readJob(value: JsonValue): Job {
  const { id, urgency, userid, t_submit, flags, jobspec } = unpack(value, {
    id: 'I',
    urgency: 'i',
    userid: 'i',
    t_submit: 'n',
    flags: 'i',
    jobspec: 'o',
  });
  const job = new Job(id, redactJobspec(jobspec));
  job.urgency = urgency;
  job.userid = userid >>> 0;
  job.tSubmit = t_submit;
  job.flags = flags;
  return job;
}
