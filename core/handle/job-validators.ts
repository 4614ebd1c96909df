/**
 * The validators that come with Flux: what each wants of a job before it is taken in. `job-ingest` asks them, and whoever
 * wants to know what it would say.
 */

import { FluxError } from '../errno.ts';
import { Hostlist } from '../formats/hostlist.ts';
import { walkResources } from '../formats/jobspec-resources.ts';
import { constrainedHosts, validateJobspec } from '../formats/jobspec-validate.ts';
import { valueAt } from '../formats/json-path.ts';
import type { JsonObject, JsonValue } from '../json.ts';
import { isObject } from '../message/unpack.ts';
import type { Caller } from './rpc.ts';

/** A job that somebody wants to submit. */
export interface JobCandidate {
  readonly jobspec: JsonValue;
  /** It with its jobspec, user, flags and urgency, as others are asked about it. */
  describe(): JsonObject;
}

/** Throws, or rejects with, the FluxError that the submitter gets. */
export type Validator = (job: JobCandidate) => void | Promise<void>;

/** Options of validators, as their command takes them: `--require-version=any`. */
export type ValidatorOptions = ReadonlyMap<string, string>;

/** The instance that jobs are submitted to. */
export interface ValidatorInstance extends Pick<Caller, 'rpc'> {
  readonly config: JsonObject;
  /** Its hosts; undefined where nobody knows them: then any may be named. */
  hostlist(): string | undefined;
}

interface ValidatorKind {
  readonly description: string;
  /** @throws FluxError EINVAL: what is wrong in configuration or options */
  make(instance: ValidatorInstance, options: ValidatorOptions): Validator;
}

/** By their names. */
export const validatorKinds: Readonly<Record<string, ValidatorKind>> = {
  feasibility: {
    description: 'The scheduler says whether there could ever be resources for it.',
    make: feasibilityValidator,
  },
  jobspec: { description: 'RFC 14 and RFC 25.', make: jobspecValidator },
  'require-instance': { description: 'Jobs of a size must be instances of Flux.', make: instanceValidator },
};

const optionNames = ['--require-version', '--require-instance-minnodes', '--require-instance-mincores'];

/** What looks at jobs where nothing else is configured. */
export const usualValidators: readonly string[] = ['jobspec'];

/**
 * A validator by its name; undefined when none that comes with Flux is called so.
 *
 * @throws FluxError EINVAL: its configuration or options
 */
export function makeValidator(
  name: string,
  instance: ValidatorInstance,
  options: ValidatorOptions,
): Validator | undefined {
  return isValidator(name) ? validatorKinds[name]!.make(instance, options) : undefined;
}

/** Whether a validator of that name comes with Flux. */
export function isValidator(name: string): boolean {
  return Object.hasOwn(validatorKinds, name);
}

/**
 * Reads options: `--name=value`, or `--name` and `value`.
 *
 * @param hasOthers there are validators that have options of their own
 * @throws FluxError EINVAL: one that no validator has
 */
export function validatorOptions(args: readonly string[], hasOthers: boolean): ValidatorOptions {
  const options = new Map<string, string>();
  for (let i = 0; i < args.length; i++) {
    const [, name = args[i]!, value] = /^([^=]*)=(.*)$/s.exec(args[i]!) ?? [];
    if (optionNames.includes(name)) options.set(name, value ?? args[++i] ?? '');
    else if (!hasOthers) throw new FluxError('EINVAL', `[ingest.validator] args: unknown option '${name}'`);
  }
  return options;
}

// ---- jobspec

/** RFC 14 and RFC 25; and the hosts that it names are there. */
function jobspecValidator(instance: ValidatorInstance, options: ValidatorOptions): Validator {
  const version = options.get('--require-version') ?? '1';
  if (version !== '1' && version !== 'any') throw new FluxError('EINVAL', 'Invalid argument to --require-version');
  let hosts: Hostlist | undefined;
  return ({ jobspec }) => {
    refuse(() => {
      validateJobspec(jobspec);
      const wanted = constrainedHosts(jobspec);
      if (!wanted.length) return;
      hosts ??= instanceHosts(instance);
      for (const list of wanted) hosts?.index(list);
    });
  };
}

function instanceHosts(instance: ValidatorInstance): Hostlist | undefined {
  const hosts = instance.hostlist();
  return hosts === undefined ? undefined : Hostlist.parse(hosts);
}

/** Submitters are told that they may not, whatever is wrong. */
function refuse(check: () => void): void {
  try {
    check();
  } catch (error) {
    if (!(error instanceof FluxError)) throw error;
    throw new FluxError('EPERM', error.message);
  }
}

// ---- feasibility

/** The scheduler says whether there could ever be resources for it; where none can say, there are. */
function feasibilityValidator(instance: ValidatorInstance): Validator {
  return async (job) => {
    try {
      await instance.rpc('feasibility.check', job.describe());
    } catch (error) {
      if ((error as FluxError).code !== 'ENOSYS') throw error;
    }
  };
}

// ---- require-instance

/** Cores of a node, where only a number of nodes is configured: jobs that ask for cores alone are bounded, too. */
const CORES_PER_NODE = 16;

/** Jobs of a size must be instances of Flux: scripts, not programs. */
function instanceValidator({ config }: ValidatorInstance, options: ValidatorOptions): Validator {
  const minNodes = bound(config, options, 'minnodes') ?? 0;
  const configured = bound(config, options, 'mincores') ?? 0;
  const minCores = minNodes > 0 && configured === 0 ? CORES_PER_NODE * minNodes : configured;
  const text = instanceText(minNodes, minCores);
  return ({ jobspec }) => {
    const { node, core } = countInAll(jobspec);
    const isAll = minNodes === 0 && minCores === 0;
    const isLarge = isAll || (minNodes > 0 && node >= minNodes) || (minCores > 0 && core >= minCores);
    if (isLarge && !isInstance(jobspec)) throw new FluxError('EINVAL', text);
  };
}

function bound(config: JsonObject, options: ValidatorOptions, name: string): number | undefined {
  const option = options.get(`--require-instance-${name}`);
  const value = option === undefined ? valueAt(config, `ingest.validator.require-instance.${name}`) : Number(option);
  if (value === undefined) return undefined;
  if (!Number.isInteger(value))
    throw new FluxError('EINVAL', `[ingest.validator.require-instance]: ${name} is no integer`);
  return value as number;
}

function instanceText(minNodes: number, minCores: number): string {
  const sizes = [...(minNodes ? [`${minNodes} nodes`] : []), ...(minCores ? [`${minCores} cores`] : [])];
  const which = sizes.length ? `for jobs >= ${sizes.join(' or ')}` : 'for all jobs in this instance';
  return `Direct job submission disabled ${which}. Please use flux-batch(1) or flux-alloc(1)`;
}

/** How many nodes and cores a jobspec asks for in all, at the least. */
function countInAll(jobspec: JsonValue): { readonly node: number; readonly core: number } {
  const counts = { node: 0, core: 0 };
  walkResources(isObject(jobspec) ? jobspec.resources : undefined, ({ type, count, factor }) => {
    if (type === 'node' || type === 'core') counts[type] += factor * count.min;
  });
  return counts;
}

function isInstance(jobspec: JsonValue): boolean {
  if (!isObject(jobspec)) return false;
  const { attributes, tasks } = jobspec;
  const system = isObject(attributes) ? attributes.system : undefined;
  if (isObject(system) && system.batch !== undefined) return true;
  const task = Array.isArray(tasks) ? (tasks[0] as JsonValue | undefined) : undefined;
  const command = isObject(task) && Array.isArray(task.command) ? (task.command as readonly JsonValue[]) : [];
  return /(^|\/)flux$/.test(String(command[0])) && (command[1] === 'broker' || command[1] === 'start');
}
