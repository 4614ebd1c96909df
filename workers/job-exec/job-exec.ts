/**
 * The module `job-exec`: runs the jobs that the job manager asks it to (RFC 32), and tells it what becomes of them.
 */

import { builtInConfiguration } from '../../core/broker/built-in-configuration.ts';
import type { ModuleDefinition, Service, ServiceContext } from '../../core/broker/service.ts';
import { asFluxError, FluxError } from '../../core/errno.ts';
import { encodeFluid } from '../../core/formats/fluid.ts';
import { IdSet } from '../../core/formats/idset.ts';
import { signalName } from '../../core/formats/signal.ts';
import { systemAttributes } from '../../core/formats/system-attributes.ts';
import { LATER, type Methods, type Request } from '../../core/handle/methods.ts';
import { type JsonObject, real } from '../../core/json.ts';
import { Role } from '../../core/message/credentials.ts';
import { Flag, type Message } from '../../core/message/message.ts';
import { isObject } from '../../core/message/unpack.ts';
import { BrokerShells } from './broker-shells.ts';
import type { Execution } from './execution.ts';
import { RunningJob, type RunningJobHost } from './job.ts';
import { readJobFacts } from './job-facts.ts';
import { MockExecution, mockSettings } from './mock-execution.ts';
import { ProcessShells } from './process-shells.ts';
import { type ExecSettings, effectiveMaxKillTimeout, readExecSettings } from './settings.ts';
import { ShellExecution } from './shell-execution.ts';
import { ShellModules } from './shell-modules.ts';
import type { Shells } from './shells.ts';

export const jobExec: ModuleDefinition = {
  async start(context, args) {
    const service = new JobExec(context, args);
    await context.rpc('job-manager.ping', {});
    // The job manager asks for jobs at once, and is answered only once this module runs.
    context.clock.after(0, () => void service.hello());
    return service;
  },
};

const DEFAULT_CWD = '/tmp';
/** What events `shell-<jobid>.kill` begin with. */
const SHELL_EVENTS = 'shell-';

class JobExec implements Service {
  readonly #context: ServiceContext;
  readonly #args: readonly string[];
  readonly #jobs = new Map<bigint, RunningJob>();
  readonly #shellModules: ShellModules;
  readonly #host: RunningJobHost & { settings: ExecSettings };

  constructor(context: ServiceContext, args: readonly string[]) {
    this.#context = context;
    this.#args = args;
    this.#shellModules = new ShellModules(context);
    this.#host = {
      context,
      settings: readExecSettings(context.config, args),
      epoch: context.clock.now(),
      owner: Number(context.attribute('security.owner') ?? 0),
      makeExecution: (job) => this.#makeExecution(job),
      forget: (job) => this.#jobs.delete(job.facts.id),
    };
    context.subscribe('job-exception', (event) => this.#exception(event));
    context.subscribe(SHELL_EVENTS, (event) => this.#shellEvent(event));
  }

  /** Lets the job manager know who runs jobs. */
  async hello(): Promise<void> {
    try {
      await this.#context.rpc('job-manager.exec-hello', { service: this.#context.name });
    } catch (error) {
      this.#context.log('err', `job-manager.exec-hello: ${asFluxError(error).message}`);
    }
  }

  configure(config: JsonObject): void {
    this.#host.settings = readExecSettings(config, this.#args);
  }

  // ---- jobs

  #start(request: Request): typeof LATER {
    const facts = readJobFacts(request);
    if (this.#jobs.has(facts.id)) throw new FluxError('EEXIST', `job ${encodeFluid(facts.id)} runs already`);
    const job = new RunningJob(facts, request, this.#host);
    this.#jobs.set(facts.id, job);
    job.start();
    return LATER;
  }

  #makeExecution(job: RunningJob): Execution {
    const { facts, events } = job;
    const { settings, owner } = this.#host;
    const isGuests = facts.userid !== owner;
    const mock = mockSettings(facts.jobspec);
    if (mock) {
      if (isGuests && !settings.allowsGuestsToMock)
        throw new FluxError('EPERM', 'guests may not use test exec implementation');
      return new MockExecution(this.#context, facts, mock, events);
    }
    if (isGuests && settings.imp === undefined) {
      this.#context.log('err', 'unable run multiuser job with no IMP configured!');
      throw new FluxError('EINVAL', 'failed to initialize implementation: Invalid argument');
    }
    return new ShellExecution({
      context: this.#context,
      job: facts,
      shells: this.#shells(job, isGuests),
      settings,
      events,
      criticalRanks: () => job.criticalRanks,
      isFailing: () => job.isFailing,
    });
  }

  /** Shells of the brokers, unless the configuration, the jobspec, or its being a guest's job wants programs. */
  #shells({ facts, namespace }: RunningJob, isGuests: boolean): Shells {
    const { settings, owner } = this.#host;
    const { exec } = systemAttributes(facts.jobspec);
    const wanted = isObject(exec) && typeof exec.job_shell === 'string' ? exec.job_shell : settings.jobShell;
    if (wanted === undefined && !isGuests)
      return new BrokerShells(this.#context, facts, namespace, owner, this.#shellModules);
    return new ProcessShells({
      context: this.#context,
      job: facts,
      namespace: namespace,
      shell: wanted ?? builtInConfiguration.shell_path!,
      imp: isGuests ? settings.imp : undefined,
      service: settings.service,
    });
  }

  #find(id: bigint): RunningJob {
    const job = this.#jobs.get(id);
    if (!job) throw new FluxError('ENOENT');
    return job;
  }

  // ---- events

  #exception(event: Message): void {
    try {
      const { id, type, severity, wait_status } = event.unpack({
        id: 'I',
        type: 's',
        severity: 'i',
        wait_status: 'i?',
      });
      if (severity === 0)
        this.#jobs.get(id)?.exception(type, wait_status !== undefined && wait_status >= 0 ? wait_status : undefined);
    } catch (error) {
      this.#context.log('err', `job-exception event: ${asFluxError(error).message}`);
    }
  }

  /** Somebody signals the tasks of a job; shells that are processes hear it themselves. */
  #shellEvent(event: Message): void {
    const [, id] = /^shell-(\d+)\.kill$/.exec(event.topic ?? '') ?? [];
    const execution = id === undefined ? undefined : this.#jobs.get(BigInt(id))?.execution;
    if (!execution || execution.hearsEvents) return;
    try {
      execution.killTasks(event.unpack({ signum: 'i' }).signum);
    } catch (error) {
      this.#context.log('err', `kill: ignoring malformed event: ${asFluxError(error).message}`);
    }
  }

  // ---- methods

  readonly methods: Methods = {
    start: { handler: (request) => this.#start(request) },
    'critical-ranks': {
      allow: Role.user,
      handler: (request) => {
        const { id, ranks } = request.unpack({ id: 'I', ranks: 's' });
        const job = this.#find(id);
        authorize(request, job);
        job.criticalRanks = IdSet.parse(ranks);
        return undefined;
      },
    },
    'shell-barrier': {
      allow: Role.user,
      handler: (request) => {
        const { id, rank } = request.unpack({ id: 'I', rank: 'i' });
        const job = this.#jobs.get(id);
        if (!job) throw new FluxError('ENOENT', 'job not found');
        authorize(request, job);
        if (!job.execution?.enterBarrier)
          throw new FluxError('ENOSYS', `${job.execution?.name ?? 'this job'} does not support shell barrier`);
        // A shell asks without wanting a response tracked, and waits for one all the same (RFC 32).
        request.message.flags &= ~Flag.noresponse;
        job.execution.enterBarrier(request, rank);
        return LATER;
      },
    },
    expiration: {
      handler: (request) => {
        const { id, expiration } = request.unpack({ id: 'I', expiration: 'n' });
        this.#find(id).setExpiration(expiration);
        this.#context.log('debug', `updated expiration of ${encodeFluid(id)} to ${expiration.toFixed(2)}`);
        return undefined;
      },
    },
    override: {
      allow: Role.user,
      handler: (request) => {
        const { event, jobid, status = 0 } = request.unpack({ event: 's', jobid: 'I', status: 'i?' });
        const job = this.#jobs.get(jobid);
        if (!(job?.execution instanceof MockExecution)) throw new FluxError('ENOENT', 'Job not found');
        if (request.userid !== job.facts.userid) throw new FluxError('EPERM', 'Permission denied');
        job.execution.override(event, status);
        return undefined;
      },
    },
    'stats-get': { handler: () => this.#describe() },
  };

  #describe(): JsonObject {
    const { settings } = this.#host;
    return {
      method: settings.method,
      'kill-timeout': real(settings.killTimeout),
      'term-signal': signalName(settings.termSignal),
      'kill-signal': signalName(settings.killSignal),
      'max-kill-count': settings.maxKillCount,
      'max-kill-timeout': real(settings.maxKillTimeout ?? -1),
      'effective-max-kill-timeout': real(effectiveMaxKillTimeout(settings)),
      jobs: Object.fromEntries(Array.from(this.#jobs.values(), (job) => [encodeFluid(job.facts.id), job.describe()])),
      config: {
        default_cwd: DEFAULT_CWD,
        ...(settings.jobShell !== undefined && { default_job_shell: settings.jobShell }),
        ...(settings.imp !== undefined && { flux_imp_path: settings.imp }),
        exec_service: settings.service,
        default_barrier_timeout: real(settings.barrierTimeout),
        shell_exit_timeout: real(settings.shellExitTimeout),
        ...settings.sdexec,
      },
    };
  }

  /** What jobs wrote so far is kept; their tasks end. */
  async stop(): Promise<void> {
    await Promise.all(Array.from(this.#jobs.values(), (job) => job.leave()));
  }
}

/** @throws FluxError EPERM: it is another user's job */
function authorize(request: Request, job: RunningJob): void {
  if (!request.isOwner && request.userid !== job.facts.userid) throw new FluxError('EPERM');
}
