/**
 * Housekeeping: what a site wants done on nodes when a job has left them, before the scheduler gives them to another job
 * ([job-manager.housekeeping]). The job itself is over, and need not wait.
 */

import { constants } from 'node:os';
import { asFluxError, FluxError } from '../../core/errno.ts';
import { parseDuration } from '../../core/formats/duration.ts';
import { encodeFluid } from '../../core/formats/fluid.ts';
import { IdSet } from '../../core/formats/idset.ts';
import type { Methods, Request } from '../../core/handle/methods.ts';
import { type JsonObject, real } from '../../core/json.ts';
import { isObject, unpackTable } from '../../core/message/unpack.ts';
import { HostNames } from './host-names.ts';
import { HousekeepingRun, NEVER } from './housekeeping-run.ts';
import type { Core, Housekeeping } from './parts.ts';
import { impCommand, readCommand } from './plugins/perilog-config.ts';

const TABLE = 'job-manager.housekeeping';

export class HousekeepingService implements Housekeeping {
  readonly methods: Methods;
  readonly #core: Core;
  readonly #hosts: HostNames;
  /** Undefined: none is wanted. */
  #command: readonly string[] | undefined;
  #releaseAfter = NEVER;
  readonly #runs = new Set<HousekeepingRun>();

  constructor(core: Core) {
    this.#core = core;
    this.#hosts = new HostNames(core.context);
    this.methods = { 'housekeeping-kill': { handler: (request) => this.#kill(request) } };
  }

  configure(config: JsonObject): void {
    const manager = config['job-manager'];
    const isWanted = isObject(manager) && manager.housekeeping !== undefined;
    const settings = unpackTable(config, TABLE, {
      command: 'a?',
      'release-after': 's?',
      'use-systemd-unit': 'b?',
      // For the scripts that run a site's own; nothing to us.
      'exit-on-first-error': 'b?',
    });
    const releaseAfter = readReleaseAfter(settings['release-after']);
    let command: readonly string[] | undefined;
    if (isWanted) {
      command = settings.command ? readCommand(TABLE, settings.command) : impCommand(config, 'housekeeping');
      if (!command) throw new FluxError('EINVAL', `${TABLE} implies IMP but exec.imp is undefined`);
    }
    if (settings['use-systemd-unit'])
      this.#core.context.log('err', `${TABLE}.use-systemd-unit is deprecated - ignoring`);
    this.#command = command;
    this.#releaseAfter = releaseAfter;
  }

  start(R: JsonObject, id: bigint, userid: number): void {
    const run = this.#command && this.#run(this.#command, R, id, userid);
    if (run) this.#runs.add(run);
    else this.#core.free(R, id, true);
  }

  #run(command: readonly string[], R: JsonObject, id: bigint, userid: number): HousekeepingRun | undefined {
    const { context } = this.#core;
    try {
      const run = new HousekeepingRun(context, this.#hosts, { id, userid, R }, command, this.#releaseAfter, {
        released: (part, isFinal) => this.#runs.has(run) && this.#core.free(part, id, isFinal),
        completed: () => this.#runs.delete(run),
      });
      return run;
    } catch (error) {
      const { message } = asFluxError(error);
      const what = 'returning resources to the scheduler';
      context.log('err', `housekeeping: ${encodeFluid(id)}: can't start, ${what}: ${message}`);
      return undefined;
    }
  }

  #kill(request: Request): undefined {
    const { signum, jobid, ranks } = request.unpack({ signum: 'i', jobid: 'I?', ranks: 's?' });
    const wanted = ranks === undefined ? undefined : IdSet.parse(ranks);
    // A client that means all jobs may say so by the id that stands for any.
    const isAny = jobid === undefined || BigInt.asUintN(64, jobid) === ANY_JOB;
    for (const run of this.#runs) if (isAny || run.id === jobid) run.kill(signum, wanted);
  }

  hello(request: Request, partialOk: boolean): void {
    for (const run of [...this.#runs]) {
      const job = this.#core.lookup(run.id);
      const { released } = run;
      const isPartial = released.first !== undefined;
      if (job && (partialOk || !isPartial)) {
        request.respond({
          id: job.id,
          priority: job.priority,
          userid: job.userid,
          t_submit: real(job.tSubmit),
          ...(isPartial && { free: released.encode() }),
        });
        continue;
      }
      const why = job
        ? 'scheduler does not support restart with partially released resources'
        : 'the job could not be looked up during RFC 27 hello';
      const which = `${run.whereabouts} from ${encodeFluid(run.id)}`;
      this.#core.context.log('err', `housekeeping: ${which} will be terminated because ${why}`);
      this.#runs.delete(run);
      run.kill(constants.signals.SIGTERM);
    }
  }

  *allocated(): Generator<JsonObject> {
    for (const run of this.#runs) yield run.allocated;
  }

  stats(): JsonObject {
    return {
      running: Object.fromEntries(Array.from(this.#runs, (run) => [encodeFluid(run.id), run.describe()])),
      config: { 'release-after': real(this.#releaseAfter), command: this.#command?.join(' ') ?? '' },
    };
  }
}

/** FLUX_JOBID_ANY. */
const ANY_JOB = 2n ** 64n - 1n;

function readReleaseAfter(text: string | undefined): number {
  if (text === undefined) return NEVER;
  try {
    const seconds = parseDuration(text);
    return seconds === Infinity ? NEVER : seconds;
  } catch {
    throw new FluxError('EINVAL', `${TABLE}.release-after FSD parse error`);
  }
}
