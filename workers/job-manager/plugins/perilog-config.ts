/** [job-manager.prolog], [job-manager.epilog] and [job-manager.perilog] of the configuration. */

import { FluxError } from '../../../core/errno.ts';
import { parseDuration } from '../../../core/formats/duration.ts';
import { type JsonObject, type JsonValue, real } from '../../../core/json.ts';
import { isObject, unpackTable } from '../../../core/message/unpack.ts';

export type PerilogName = 'prolog' | 'epilog';

export interface PerilogSettings {
  readonly command: readonly string[];
  /** On each rank of the job, not on rank 0. */
  readonly perRank: boolean;
  /** A fatal exception of the job ends it. */
  readonly cancelsOnException: boolean;
  /** Seconds that it may run; 0: as long as it likes. */
  readonly timeout: number;
  /** Seconds that it has to end after SIGTERM. */
  readonly killTimeout: number;
}

export interface PerilogConfig {
  readonly prolog: PerilogSettings | undefined;
  readonly epilog: PerilogSettings | undefined;
  /** Lines of output that nobody wants to see. */
  readonly ignored: readonly RegExp[];
}

const DEFAULT_KILL_TIMEOUT = 60;
const DEFAULT_TIMEOUT = { prolog: '30m', epilog: '0' } as const;

const emptyLine = /^\s*$/;

export const noPerilog: PerilogConfig = { prolog: undefined, epilog: undefined, ignored: [emptyLine] };

/** @throws FluxError EINVAL, which names the table and says what is wrong with it */
export function readPerilogConfig(config: JsonObject): PerilogConfig {
  return {
    prolog: readSettings(config, 'prolog'),
    epilog: readSettings(config, 'epilog'),
    ignored: readIgnored(config),
  };
}

/** The program of the IMP that runs a site's scripts as root; undefined: there is none. */
export function impCommand(config: JsonObject, script: string): readonly string[] | undefined {
  const imp = isObject(config.exec) ? config.exec.imp : undefined;
  return typeof imp === 'string' ? [imp, 'run', script] : undefined;
}

/** @throws FluxError EINVAL: it is no command */
export function readCommand(table: string, value: JsonValue): readonly string[] {
  if (!Array.isArray(value) || value.length === 0 || value.some((word) => typeof word !== 'string'))
    throw new FluxError('EINVAL', `[${table}]: command must be an array of strings`);
  return value as readonly string[];
}

function readSettings(config: JsonObject, name: PerilogName): PerilogSettings | undefined {
  const table = `job-manager.${name}`;
  const manager = config['job-manager'];
  if (!isObject(manager) || manager[name] === undefined) return undefined;
  const fields = unpackTable(config, table, {
    command: 'a?',
    timeout: 's?',
    'kill-timeout': 'n?',
    'per-rank': 'b?',
    'cancel-on-exception': 'b?',
    // For the scripts that run a site's own; nothing to us.
    'exit-on-first-error': 'b?',
  });
  const command = fields.command ? readCommand(table, fields.command) : impCommand(config, name);
  if (!command) throw new FluxError('EINVAL', `[${table}]: no command specified and exec.imp not defined`);
  const killTimeout = fields['kill-timeout'] ?? 0;
  return {
    command,
    perRank: fields['per-rank'] ?? false,
    cancelsOnException: fields['cancel-on-exception'] ?? name === 'prolog',
    timeout: readTimeout(table, fields.timeout ?? DEFAULT_TIMEOUT[name]),
    killTimeout: killTimeout > 0 ? killTimeout : DEFAULT_KILL_TIMEOUT,
  };
}

function readTimeout(table: string, text: string): number {
  try {
    const seconds = parseDuration(text);
    return seconds === Infinity ? 0 : seconds;
  } catch {
    throw new FluxError('EINVAL', `[${table}]: invalid timeout '${text}'`);
  }
}

function readIgnored(config: JsonObject): RegExp[] {
  const { 'log-ignore': patterns = [] } = unpackTable(config, 'job-manager.perilog', { 'log-ignore': 'a?' });
  return [emptyLine, ...patterns.map(readPattern)];
}

function readPattern(pattern: JsonValue): RegExp {
  if (typeof pattern !== 'string')
    throw new FluxError(
      'EINVAL',
      '[job-manager.perilog]: error parsing log-ignore: all entries must be a string value',
    );
  try {
    return new RegExp(pattern);
  } catch {
    throw new FluxError(
      'EINVAL',
      `[job-manager.perilog]: error parsing log-ignore: Failed to compile regex: ${pattern}`,
    );
  }
}

/** The settings as `flux jobtap query perilog.so` shows them. */
export function describeSettings(settings: PerilogSettings | undefined): JsonObject {
  if (!settings) return {};
  return {
    command: settings.command,
    per_rank: settings.perRank,
    cancel_on_exception: settings.cancelsOnException,
    timeout: real(settings.timeout),
    'kill-timeout': real(settings.killTimeout),
  };
}
