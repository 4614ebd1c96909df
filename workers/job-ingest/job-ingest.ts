/**
 * The module `job-ingest`: takes in new jobs. It opens what was submitted, lets plugins look at it, gives the job an id,
 * stores it and tells the job manager; many jobs at a time. Each rank does so for those that are submitted there.
 */

import type { ModuleDefinition, Service, ServiceContext } from '../../core/broker/service.ts';
import { asFluxError, FluxError } from '../../core/errno.ts';
import { fluidTimestamp } from '../../core/formats/fluid.ts';
import { LATER, type Method, type Methods, type Reply, type Request } from '../../core/handle/methods.ts';
import type { JsonObject } from '../../core/json.ts';
import { Role } from '../../core/message/credentials.ts';
import { NODEID_UPSTREAM } from '../../core/message/message.ts';
import { unpack } from '../../core/message/unpack.ts';
import { Batches } from './batches.ts';
import { JobIds } from './job-ids.ts';
import { Pipeline } from './pipeline.ts';
import type { PluginThreads } from './plugin-threads.ts';
import {
  type IngestArguments,
  type IngestSettings,
  ingestArguments,
  ingestSettings,
  MAX_GENERATOR,
} from './settings.ts';
import { Submission } from './submission.ts';

/** What the module needs of the thread that it runs on. */
export interface IngestThread {
  readonly plugins: PluginThreads;
  /** Calls back when the messages that have come are handled; a microtask does where it is absent. */
  readonly soon?: ((callback: () => void) => void) | undefined;
}

/** The module of rank 0. */
export function jobIngestModule(thread: IngestThread): ModuleDefinition {
  return {
    async start(context, args) {
      const ids = new JobIds(context.rank, context.clock, () => epochOfLeader(context));
      const ingest = new JobIngest(context, ids, thread, ingestArguments(args));
      await ids.ready();
      return ingest;
    },
  };
}

/** The module of the other ranks, which asks nobody before it is used. */
export function jobIngestFollower(thread: IngestThread): ModuleDefinition {
  return {
    start(context, args) {
      const parsed = ingestArguments(args);
      if (context.rank > (parsed.maxGenerator ?? MAX_GENERATOR)) return { methods: upstreamMethods(context) };
      const ids = new JobIds(context.rank, context.clock, () => epochOfFollower(context));
      return new JobIngest(context, ids, thread, parsed);
    },
  };
}

/** Behind the last job of the instance's earlier life. */
async function epochOfLeader(context: ServiceContext): Promise<number> {
  const answer = await ask(context, 'job-manager.getinfo', 'job-manager must be loaded first');
  return fluidTimestamp(unpack(answer, { max_jobid: 'I' }).max_jobid) + 1;
}

async function epochOfFollower(context: ServiceContext): Promise<number> {
  const answer = await ask(context, 'job-ingest.getinfo', 'job-ingest must be loaded on rank 0 first');
  return unpack(answer, { timestamp: 'i' }).timestamp;
}

async function ask(context: ServiceContext, topic: string, missing: string): Promise<JsonObject> {
  try {
    return (await context.rpc(topic, undefined, { nodeid: 0 })) as JsonObject;
  } catch (error) {
    throw (error as FluxError).code === 'ENOSYS' ? new FluxError('ENOSYS', missing) : error;
  }
}

class JobIngest implements Service {
  readonly #context: ServiceContext;
  readonly #ids: JobIds;
  readonly #args: IngestArguments;
  readonly #pipeline: Pipeline;
  readonly #batches: Batches;
  readonly #refusesRoot: boolean;
  #settings: IngestSettings;
  #isShutDown = false;

  constructor(
    context: ServiceContext,
    ids: JobIds,
    { plugins, soon = queueMicrotask }: IngestThread,
    args: IngestArguments,
  ) {
    this.#context = context;
    this.#ids = ids;
    this.#args = args;
    this.#settings = ingestSettings(context.config, args);
    this.#pipeline = new Pipeline({ context, threads: plugins, bufferSize: () => this.#settings.bufferSize });
    this.#batches = new Batches(context, soon);
    this.#refusesRoot = !args.allowsRoot && context.attribute('security.owner') !== '0';
    this.#take(this.#settings, context.config);
  }

  configure(config: JsonObject): void {
    this.#take(ingestSettings(config, this.#args), config);
  }

  #take(settings: IngestSettings, config: JsonObject): void {
    this.#pipeline.configure(settings, config);
    this.#settings = settings;
    this.#batches.count = settings.batchCount;
  }

  /** What is on its way is answered. */
  async stop(): Promise<void> {
    this.#isShutDown = true;
    await this.#batches.settled();
  }

  stats(): JsonObject {
    return { pipeline: this.#pipeline.stats() };
  }

  readonly methods: Methods = {
    submit: { allow: Role.user, handler: (request) => this.#submit(request) },
    getinfo: {
      handler: async () => {
        if (!this.#ids.isReady) await this.#ids.ready();
        return { timestamp: this.#ids.timestamp() };
      },
    },
    shutdown: {
      handler: () => {
        this.#isShutDown = true;
        return undefined;
      },
    },
    'stats-get': { allow: Role.user, handler: () => this.stats() },
  };

  #submit(request: Request): Reply {
    if (this.#isShutDown) throw new FluxError('ENOSYS', 'job-ingest was told to shut down');
    const submission = new Submission(request);
    if (this.#refusesRoot && request.userid === 0)
      throw new FluxError('EPERM', 'submission of jobs as user root not supported');
    const passed = this.#pipeline.pass(submission);
    if (!passed && this.#ids.isReady) this.#ingest(submission);
    else
      void this.#ingestWhenReady(submission, passed).catch((error: unknown) => {
        if (!(error instanceof FluxError))
          this.#context.log('err', `bug in ${request.topic}: ${(error as Error).stack}`);
        request.fail(asFluxError(error));
      });
    return LATER;
  }

  async #ingestWhenReady(submission: Submission, passed: Promise<void> | undefined): Promise<void> {
    await passed;
    if (!this.#ids.isReady) await this.#ids.ready();
    this.#ingest(submission);
  }

  #ingest(submission: Submission): void {
    this.#batches.add({ id: this.#ids.next(), submission, submitted: this.#context.clock.now() });
  }
}

/** Of ranks whose number is too large for a generator of ids: those above them take in what is submitted here. */
function upstreamMethods(context: ServiceContext): Methods {
  const upstream = (allow: number): Method => ({
    allow,
    handler: ({ topic, payload, userid, rolemask }) =>
      context.rpc(topic, payload, { nodeid: NODEID_UPSTREAM, credentials: { userid, rolemask } }),
  });
  return { submit: upstream(Role.user), getinfo: upstream(Role.none), 'stats-get': upstream(Role.user) };
}
