/** The option `output` of the shell: where standard output and error of the tasks go, and how. */

import { asFluxError, FluxError } from '../../../core/errno.ts';
import type { JsonValue } from '../../../core/json.ts';
import { isObject, unpack } from '../../../core/message/unpack.ts';
import { LogLevel, type Shell } from '../plugin.ts';
import { isPerRank } from '../tags.ts';
import { describeSize, parseSize } from './size.ts';

export interface StreamSettings {
  /** Template of a file's path; the KVS when absent. */
  readonly path: string | undefined;
  /** Whether each rank writes files of its own. */
  readonly isPerRank: boolean;
  readonly hasLabels: boolean;
  readonly isLineBuffered: boolean;
}

export interface OutputSettings {
  readonly stdout: StreamSettings;
  readonly stderr: StreamSettings;
  /** Whether files are written on, not anew. */
  readonly appends: boolean;
  /** Bytes of each stream that the KVS takes. */
  readonly limit: number;
  readonly limitText: string;
}

const LIMIT_MAX = 2 ** 30;
const LIMIT_OF_OWNER = '1G';
const LIMIT_OF_GUEST = '10M';

/** @throws FluxError EINVAL: an option is wrong */
export function readOutputSettings(shell: Shell): OutputSettings {
  const option = shell.option('output') ?? {};
  if (!isObject(option)) throw new FluxError('EINVAL', 'failed to read output options: output is not an object');
  const stdout = readStream(shell, 'stdout', option.stdout, {
    path: undefined,
    isPerRank: false,
    hasLabels: false,
    isLineBuffered: true,
  });
  const stderr = readStream(shell, 'stderr', option.stderr, stdout);
  const { mode = 'truncate' } = option;
  if (mode !== 'truncate' && mode !== 'append')
    shell.log(LogLevel.warn, `ignoring invalid output.mode=${mode}`, 'output.task');
  const delay = option['batch-timeout'];
  if (delay !== undefined) shell.setBatchTimeout(seconds(delay));
  return { stdout, stderr, appends: mode === 'append', ...readLimit(shell, option.limit) };
}

function seconds(value: JsonValue): number {
  try {
    return unpack({ value }, { value: 'n' }).value;
  } catch {
    throw new FluxError('EINVAL', 'invalid output.batch-timeout option');
  }
}

function readStream(shell: Shell, name: string, option: JsonValue | undefined, usual: StreamSettings): StreamSettings {
  if (option === undefined) return usual;
  try {
    const {
      type,
      path = usual.path,
      label,
      buffer,
    } = unpack(option, { type: 's?', path: 's?', label: '*?', buffer: 'o?' });
    const file = type === 'kvs' ? undefined : path;
    return {
      path: file,
      isPerRank: file !== undefined && isPerRank(file),
      hasLabels: label === undefined ? usual.hasLabels : label === true || label === 1,
      isLineBuffered: isLineBuffered(shell, buffer?.type) ?? usual.isLineBuffered,
    };
  } catch (error) {
    throw new FluxError('EINVAL', `failed to read ${name} output options: ${asFluxError(error).message}`);
  }
}

function isLineBuffered(shell: Shell, type: JsonValue | undefined): boolean | undefined {
  if (type === undefined) return undefined;
  const word = String(type).toLowerCase();
  if (word === 'none') return false;
  if (word !== 'line') shell.log(LogLevel.error, `invalid buffer type specified: ${type}`, 'output.config');
  return true;
}

function readLimit(shell: Shell, option: JsonValue | undefined): { limit: number; limitText: string } {
  const value = option ?? (shell.userid === shell.owner ? LIMIT_OF_OWNER : LIMIT_OF_GUEST);
  const limit = typeof value === 'number' ? value : typeof value === 'string' ? parseSize(value) : undefined;
  if (limit === undefined || !Number.isInteger(limit) || limit <= 0 || limit > LIMIT_MAX)
    throw new FluxError('EINVAL', `Invalid KVS output.limit=${String(value)}`);
  return { limit, limitText: typeof value === 'string' ? value : describeSize(limit) };
}
