/** What jobs go through before they are taken in: frobnicators change their jobspecs, then validators judge them. */

import { FluxError } from '../../core/errno.ts';
import { isValidator, makeValidator, usualValidators, validatorOptions } from '../../core/handle/job-validators.ts';
import type { JsonObject } from '../../core/json.ts';
import { isObject } from '../../core/message/unpack.ts';
import { constraintsFrobnicator, defaultsFrobnicator, type Frobnicator } from './frobnicate.ts';
import type { IngestSettings } from './settings.ts';
import { Stage, type StageHost, type Step } from './stage.ts';
import type { Submission } from './submission.ts';

const frobnicators: Readonly<Record<string, (config: JsonObject) => Frobnicator>> = {
  defaults: defaultsFrobnicator,
  constraints: constraintsFrobnicator,
};

export class Pipeline {
  readonly #host: StageHost;
  readonly #frobnicator: Stage;
  readonly #validator: Stage;

  constructor(host: StageHost) {
    this.#host = host;
    this.#frobnicator = new Stage(host, 'frob');
    this.#validator = new Stage(host, 'validate');
  }

  /**
   * Takes new settings for the jobs that come from now on.
   *
   * @throws FluxError EINVAL: what is wrong in them; the old ones then stay
   */
  configure({ frobnicator, validator }: IngestSettings, config: JsonObject): void {
    const usualFrobnicators = Object.keys(frobnicators);
    const frobs = this.#frobnicator.prepare(frobnicator, usualFrobnicators, config, (name) => frobStep(name, config));
    const options = validatorOptions(validator.args, !validator.plugins.every(isValidator));
    const { context } = this.#host;
    const instance = {
      config,
      rpc: context.rpc.bind(context),
      hostlist: () => context.attribute('hostlist'),
    };
    const validates = this.#validator.prepare(validator, usualValidators, config, (name) =>
      makeValidator(name, instance, options),
    );
    frobs();
    validates();
  }

  /** Undefined when a job has passed; throws, or rejects with, the FluxError that its submitter gets. */
  pass(submission: Submission): Promise<void> | undefined {
    const frobnicated = this.#frobnicator.pass(submission);
    if (!submission.isValidated) return frobnicated;
    if (frobnicated) return frobnicated.then(() => this.#validator.pass(submission));
    return this.#validator.pass(submission);
  }

  stats(): JsonObject {
    return { frobnicator: this.#frobnicator.stats(), validator: this.#validator.stats() };
  }
}

function frobStep(name: string, config: JsonObject): Step | undefined {
  if (!Object.hasOwn(frobnicators, name)) return undefined;
  const frobnicate = frobnicators[name]!(config);
  return (submission) => {
    const { jobspec } = submission;
    if (!isObject(jobspec)) throw new FluxError('EPERM', 'invalid jobspec: it must be a mapping');
    submission.jobspec = frobnicate(jobspec);
  };
}
