/** Takes jobs that were checked (`job-manager.submit`), many in one request, and stores what is not stored yet. */

import { FluxError } from '../../core/errno.ts';
import { LATER, type Methods, type Reply, type Request } from '../../core/handle/methods.ts';
import { integer, type JsonValue, stringifyJson } from '../../core/json.ts';
import { unpack } from '../../core/message/unpack.ts';
import { redactJobspec } from './archive.ts';
import type { Events } from './events.ts';
import type { History } from './history.ts';
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
  readonly history: History;
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
    const errors: JsonValue[] = [];
    for (const { job, J } of request.unpack({ jobs: 'a' }).jobs.map(readJob))
      this.#submitJob(job, J, (...why) => errors.push([integer(job.id), ...(why as JsonValue[])]));
    this.#host.events.writer.whenCommitted(() => request.reply({ errors }));
    return LATER;
  }

  /** `fail` takes why not, and an errno when it is another than EINVAL. */
  #submitJob(job: Job, J: string | undefined, fail: (...why: [text: string, errnum?: number]) => void): void {
    const { jobs, events, jobtap, history, queues, wait } = this.#host;
    if (jobs.lookup(job.id)) {
      fail('there is such a job already');
      return;
    }
    try {
      queues.checkSubmit(job.jobspec);
      this.#introduce(job, J);
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
    history.submitted(job);
    // The log must be in the KVS before anything is done for the job.
    events.holdUntilSubmitted(job, (error) => {
      if (!error) return;
      fail('KVS commit failed', error.errno);
      wait.forgotten(job);
      this.#refuse(job);
    });
    events.post(job, 'validate');
  }

  /** What was submitted, and its first event, which tells when; plugins may post others behind it. */
  #introduce(job: Job, J: string | undefined): void {
    const { userid, urgency, flags, tSubmit } = job;
    const { jobs, events } = this.#host;
    jobs.add(job);
    if (J !== undefined) {
      events.writer.keep(job, 'J', J);
      events.writer.keep(job, 'jobspec', stringifyJson(job.jobspec));
    }
    const context = { userid, urgency, flags, version: EVENTLOG_VERSION };
    events.post(job, 'submit', context, { timestamp: tSubmit });
  }

  #refuse(job: Job): void {
    this.#host.events.invalidate(job);
    this.#host.jobtap.destroy(job);
    this.#host.jobs.remove(job);
    this.#host.jobGone();
  }
}

/** J is what is to be stored with it, where that is not done. */
function readJob(value: JsonValue): { readonly job: Job; readonly J: string | undefined } {
  const { id, urgency, userid, t_submit, flags, jobspec, J } = unpack(value, {
    id: 'I',
    urgency: 'i',
    userid: 'i',
    t_submit: 'n',
    flags: 'i',
    jobspec: 'o',
    J: 's?',
  });
  const job = new Job(id, redactJobspec(jobspec));
  job.urgency = urgency;
  job.userid = userid >>> 0;
  job.tSubmit = t_submit;
  job.flags = flags;
  return { job, J };
}
