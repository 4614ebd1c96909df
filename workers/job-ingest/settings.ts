/** The configuration of the module `job-ingest`: the table `ingest`, and its arguments (flux-config-ingest(5)). */

import { FluxError } from '../../core/errno.ts';
import { parseSize } from '../../core/formats/size.ts';
import type { JsonObject, JsonValue } from '../../core/json.ts';
import { type Fields, isObject, type Unpacked, unpack } from '../../core/message/unpack.ts';

/** Plugins that look at jobs, one after another. */
export interface StageSettings {
  readonly isEnabled: boolean;
  /** Names of those that come with Flux, and paths of files; none: the usual ones. */
  readonly plugins: readonly string[];
  readonly args: readonly string[];
}

export interface IngestSettings {
  /** Jobs of a batch; 0: as many as have come. */
  readonly batchCount: number;
  /** Bytes of jobs that may wait for plugins in files. */
  readonly bufferSize: number;
  readonly validator: StageSettings;
  readonly frobnicator: StageSettings;
}

export interface IngestArguments {
  readonly batchCount?: number;
  readonly bufferSize?: string;
  readonly maxGenerator?: number;
  readonly allowsRoot?: boolean;
  readonly disablesValidator?: boolean;
  readonly validatorPlugins?: readonly string[];
  readonly validatorArgs?: readonly string[];
}

const BUFFER_SIZE = '10M';
const BUFFER_SIZE_MAX = 2 ** 31 - 1;

/** Ids have room for 2^14 generators, of which the last sixteen are not for ranks (RFC 19). */
const GENERATOR_END = 2 ** 14;
export const MAX_GENERATOR = GENERATOR_END - 16 - 1;

/** @throws FluxError EINVAL: which argument is none */
export function ingestArguments(args: readonly string[]): IngestArguments {
  return Object.assign({}, ...args.map(readArgument)) as IngestArguments;
}

function readArgument(arg: string): IngestArguments {
  const [key, value = ''] = splitOnce(arg);
  switch (key) {
    case 'validator-args=':
      return { validatorArgs: splitList(value) };
    case 'validator-plugins=':
      return { validatorPlugins: splitList(value) };
    case 'disable-validator':
      return { disablesValidator: true };
    case 'batch-count=':
      return { batchCount: readCount(value, `Invalid batch-count: ${arg}`) };
    case 'buffer-size=':
      return { bufferSize: value };
    case 'max-fluid-generator-id=':
      return { maxGenerator: readGenerator(value) };
    case 'allow-root-jobs':
      return { allowsRoot: true };
    default:
      throw new FluxError('EINVAL', `Invalid option: ${arg}`);
  }
}

function splitOnce(arg: string): readonly string[] {
  const end = arg.indexOf('=') + 1;
  return end ? [arg.slice(0, end), arg.slice(end)] : [arg];
}

function splitList(text: string): string[] {
  return text.split(',').filter(Boolean);
}

function readCount(text: string, fault: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new FluxError('EINVAL', fault);
  return Number(text);
}

function readGenerator(text: string): number {
  const fault = `Invalid max-fluid-generator-id: '${text}'`;
  const id = readCount(text, fault);
  if (id >= GENERATOR_END) throw new FluxError('EINVAL', fault);
  return id;
}

/** @throws FluxError EINVAL: what is wrong in the configuration, or in the arguments */
export function ingestSettings(config: JsonObject, args: IngestArguments = {}): IngestSettings {
  const table = takeTable(config, 'ingest', {
    'batch-count': 'i?',
    'buffer-size': 's?',
    validator: '*?',
    frobnicator: '*?',
  });
  const validator = stageSettings('validator', table.validator);
  const frobnicator = stageSettings('frobnicator', table.frobnicator);
  return {
    batchCount: args.batchCount ?? Math.max(0, table['batch-count'] ?? 0),
    bufferSize: readBufferSize(args.bufferSize ?? table['buffer-size'] ?? BUFFER_SIZE),
    validator: {
      isEnabled: validator.isEnabled && !args.disablesValidator,
      plugins: args.validatorPlugins ?? validator.plugins,
      args: args.validatorArgs ?? validator.args,
    },
    frobnicator: { ...frobnicator, isEnabled: frobnicator.isEnabled && frobnicates(config, frobnicator) },
  };
}

function stageSettings(name: string, value: JsonValue | undefined): StageSettings {
  const path = `ingest.${name}`;
  const { disable, plugins, args } = takeTable({ [path]: value }, path, { disable: 'b?', plugins: '*?', args: '*?' });
  return {
    isEnabled: !disable,
    plugins: readStrings(path, 'plugins', plugins),
    args: readStrings(path, 'args', args),
  };
}

/** Without plugins it is needed only where the configuration has something to put into jobspecs. */
function frobnicates({ policy, queues }: JsonObject, { plugins }: StageSettings): boolean {
  const jobspec = isObject(policy) ? policy.jobspec : undefined;
  const defaults = isObject(jobspec) ? jobspec.defaults : undefined;
  return plugins.length > 0 || defaults !== undefined || queues !== undefined;
}

function readStrings(path: string, key: string, value: JsonValue | undefined): string[] {
  if (value === undefined) return [];
  if (!Array.isArray(value) || !value.every((each) => typeof each === 'string'))
    throw new FluxError('EINVAL', `error in [${path}] ${key} array`);
  return value.flatMap(splitList);
}

function readBufferSize(text: string): number {
  try {
    const size = parseSize(text);
    if (size <= BUFFER_SIZE_MAX) return size;
  } catch {
    // Told below, as what is too large.
  }
  throw new FluxError('EINVAL', `Invalid buffer-size: '${text}'`);
}

/** Fields of a table that has others, too: of plugins. */
function takeTable<F extends Fields>(config: JsonObject, path: string, fields: F): Unpacked<F> {
  const table = config[path];
  try {
    return unpack(table ?? {}, fields);
  } catch (error) {
    throw new FluxError('EINVAL', `error reading [${path}] config table: ${(error as FluxError).message}`);
  }
}
