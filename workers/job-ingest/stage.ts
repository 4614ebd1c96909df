/** One stage that jobs pass before they are taken in: plugins, those that come with Flux and those in files. */

import type { ServiceContext } from '../../core/broker/service.ts';
import { FluxError } from '../../core/errno.ts';
import { isPluginFile, type PluginKind } from '../../core/handle/ingest-plugin.ts';
import { type JsonObject, type JsonValue, parseJson, stringifyJson } from '../../core/json.ts';
import type { PluginThreads } from './plugin-threads.ts';
import type { StageSettings } from './settings.ts';
import type { Submission } from './submission.ts';

/** Seconds that a plugin in a file has for a job. */
const PLUGIN_TIMEOUT = 10;

export interface StageHost {
  readonly context: ServiceContext;
  readonly threads: PluginThreads;
  /** Bytes of jobs that may wait for plugins in files. */
  bufferSize(): number;
}

/** Looks at a job, or changes it; throws, or rejects with, the FluxError that the submitter gets. */
export type Step = (submission: Submission) => void | Promise<void>;

export class Stage {
  readonly #host: StageHost;
  readonly #kind: PluginKind;
  #steps: readonly Step[] = [];
  #requests = 0;
  #errors = 0;
  #backlog = 0;
  #backlogBytes = 0;

  constructor(host: StageHost, kind: PluginKind) {
    this.#host = host;
    this.#kind = kind;
  }

  /**
   * Takes new settings; jobs that are under way go on with the old ones.
   *
   * @param builtin makes the step of a plugin that comes with Flux; undefined: there is none of that name
   * @throws FluxError EINVAL: an unknown plugin
   */
  prepare(
    settings: StageSettings,
    usual: readonly string[],
    config: JsonObject,
    builtin: (name: string) => Step | undefined,
  ): () => void {
    const names = settings.plugins.length ? settings.plugins : usual;
    const steps = settings.isEnabled
      ? names.map((name) => builtin(name) ?? this.#fileStep(name, settings.args, config))
      : [];
    return () => {
      this.#steps = steps;
    };
  }

  /** Lets a job pass all plugins in turn; undefined when none of them had to be waited for. */
  pass(submission: Submission): Promise<void> | undefined {
    this.#requests++;
    try {
      const passed = passFrom(this.#steps, 0, submission);
      return passed?.catch((error: unknown) => this.#fail(error));
    } catch (error) {
      return this.#fail(error);
    }
  }

  #fail(error: unknown): never {
    this.#errors++;
    throw error;
  }

  stats(): JsonObject {
    const running = this.#host.threads.running;
    return { running, requests: this.#requests, errors: this.#errors, trash: 0, backlog: this.#backlog, pids: [] };
  }

  // ---- plugins in files

  #fileStep(file: string, args: readonly string[], config: JsonObject): Step {
    if (!isPluginFile(file)) throw new FluxError('EINVAL', `${pluginNames[this.#kind]} plugin '${file}' not found`);
    let configText: string | undefined;
    return async (submission) => {
      const job = stringifyJson(submission.describe());
      configText ??= stringifyJson(config);
      const jobspec = await this.#call(file, job, configText, args);
      if (jobspec !== undefined) submission.jobspec = jobspec;
    };
  }

  async #call(file: string, job: string, config: string, args: readonly string[]): Promise<JsonValue | undefined> {
    const { context, threads, bufferSize } = this.#host;
    if (this.#backlogBytes + job.length > bufferSize())
      throw new FluxError('ENOSPC', `Error passing job to ${pluginNames[this.#kind]}: too many jobs wait for it`);
    this.#backlog++;
    this.#backlogBytes += job.length;
    const abort = new AbortController();
    const timer = context.clock.after(PLUGIN_TIMEOUT, () => abort.abort());
    try {
      const call = { kind: this.#kind, file, job, config, args };
      const { errnum, errstr, jobspec } = await threads.call(call, abort.signal);
      if (errnum) throw new FluxError(errnum, errstr);
      return jobspec === undefined ? undefined : parseJson(jobspec);
    } finally {
      timer.cancel();
      this.#backlog--;
      this.#backlogBytes -= job.length;
    }
  }
}

const pluginNames: Readonly<Record<PluginKind, string>> = { validate: 'validator', frob: 'frobnicator' };

function passFrom(steps: readonly Step[], first: number, submission: Submission): Promise<void> | undefined {
  for (let i = first; i < steps.length; i++) {
    const passed = steps[i]!(submission);
    if (passed) return passed.then(() => passFrom(steps, i + 1, submission));
  }
  return undefined;
}
