/** The validators that come with Flux: what each wants of a job before it is taken in. */

import type { ServiceContext } from '../../core/broker/service.ts';
import { FluxError } from '../../core/errno.ts';
import { Hostlist } from '../../core/formats/hostlist.ts';
import { constrainedHosts, validateJobspec } from '../../core/formats/jobspec-validate.ts';
import type { JsonObject, JsonValue } from '../../core/json.ts';
import { isObject } from '../../core/message/unpack.ts';
import type { Submission } from './submission.ts';

/** Throws, or rejects with, the FluxError that the submitter gets. */
export type Validator = (submission: Submission) => void | Promise<void>;

/** Options of validators, as their command takes them: `--require-version=any`. */
export type ValidatorOptions = ReadonlyMap<string, string>;

type MakeValidator = (context: ServiceContext, config: JsonObject, options: ValidatorOptions) => Validator;

const makers: Readonly<Record<string, MakeValidator>> = {
  jobspec: jobspecValidator,
  feasibility: feasibilityValidator,
  'require-instance': instanceValidator,
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
  context: ServiceContext,
  config: JsonObject,
  options: ValidatorOptions,
): Validator | undefined {
  return isValidator(name) ? makers[name]!(context, config, options) : undefined;
}

/** Whether a validator of that name comes with Flux. */
export function isValidator(name: string): boolean {
  return Object.hasOwn(makers, name);
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
function jobspecValidator(context: ServiceContext, _config: JsonObject, options: ValidatorOptions): Validator {
  const version = options.get('--require-version') ?? '1';
  if (version !== '1' && version !== 'any') throw new FluxError('EINVAL', 'Invalid argument to --require-version');
  let hosts: Hostlist | undefined;
  return ({ jobspec }) => {
    refuse(() => {
      validateJobspec(jobspec);
      const wanted = constrainedHosts(jobspec);
      if (!wanted.length) return;
      hosts ??= instanceHosts(context);
      for (const list of wanted) hosts?.index(list);
    });
  };
}

function instanceHosts(context: ServiceContext): Hostlist | undefined {
  const hosts = context.attribute('hostlist');
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
function feasibilityValidator(context: ServiceContext): Validator {
  return async (submission) => {
    try {
      await context.rpc('feasibility.check', submission.describe());
    } catch (error) {
      if ((error as FluxError).code !== 'ENOSYS') throw error;
    }
  };
}

// ---- require-instance

/** Cores of a node, where only a number of nodes is configured: jobs that ask for cores alone are bounded, too. */
const CORES_PER_NODE = 16;

/** Jobs of a size must be instances of Flux: scripts, not programs. */
function instanceValidator(_context: ServiceContext, config: JsonObject, options: ValidatorOptions): Validator {
  const minNodes = bound(config, options, 'minnodes') ?? 0;
  const configured = bound(config, options, 'mincores') ?? 0;
  const minCores = minNodes > 0 && configured === 0 ? CORES_PER_NODE * minNodes : configured;
  const text = instanceText(minNodes, minCores);
  return ({ jobspec }) => {
    const { node = 0, core = 0 } = resourceCounts(isObject(jobspec) ? jobspec.resources : undefined);
    const isAll = minNodes === 0 && minCores === 0;
    const isLarge = isAll || (minNodes > 0 && node >= minNodes) || (minCores > 0 && core >= minCores);
    if (isLarge && !isInstance(jobspec)) throw new FluxError('EINVAL', text);
  };
}

function bound(config: JsonObject, options: ValidatorOptions, name: string): number | undefined {
  const option = options.get(`--require-instance-${name}`);
  let value: JsonValue | undefined = option === undefined ? config : Number(option);
  if (option === undefined)
    for (const key of ['ingest', 'validator', 'require-instance', name])
      value = isObject(value) ? value[key] : undefined;
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

/** How much of each type a jobspec asks for in all. */
function resourceCounts(resources: JsonValue | undefined, factor = 1, counts: Record<string, number> = {}) {
  for (const resource of Array.isArray(resources) ? (resources as readonly JsonValue[]) : []) {
    if (!isObject(resource)) continue;
    const count = factor * Number(resource.count);
    const type = String(resource.type);
    counts[type] = (counts[type] ?? 0) + count;
    resourceCounts(resource.with, count, counts);
  }
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
