/** The [exec] table of the configuration, and the arguments of the module that override it. */

import { FluxError } from '../../core/errno.ts';
import { parseDuration } from '../../core/formats/duration.ts';
import { parseSignal } from '../../core/formats/signal.ts';
import type { JsonObject, JsonValue } from '../../core/json.ts';
import { type Fields, isObject, type Unpacked, unpackTable } from '../../core/message/unpack.ts';

/** Durations are in seconds. */
export interface ExecSettings {
  readonly method: 'bulk-exec';
  readonly killTimeout: number;
  readonly termSignal: number;
  readonly killSignal: number;
  readonly maxKillCount: number;
  /** Undefined: `maxKillCount` counts. */
  readonly maxKillTimeout: number | undefined;
  /** Percent of a job's duration that may pass between its start time and its start. */
  readonly maxStartDelayPercent: number;
  readonly barrierTimeout: number;
  /** 0: never. */
  readonly shellExitTimeout: number;
  /** The program that is a job's shell; undefined: shells are part of the broker. */
  readonly jobShell: string | undefined;
  readonly imp: string | undefined;
  readonly service: string;
  /** Whether the finish event tells what the tasks have used, too: RFC 21 has it with a status alone. */
  readonly reportsUsage: boolean;
  readonly allowsGuestsToMock: boolean;
  readonly sdexec: JsonObject;
}

const fields = {
  method: 's?',
  imp: 's?',
  service: 's?',
  'job-shell': 's?',
  'shell-exit-timeout': 's?',
  'kill-timeout': 's?',
  'max-kill-count': 'i?',
  'max-kill-timeout': 's?',
  'term-signal': 's?',
  'kill-signal': 's?',
  'barrier-timeout': 's?',
  'max-start-delay-percent': 'n?',
  'report-rusage': 'b?',
  testexec: 'o?',
  'sdexec-properties': 'o?',
  'sdexec-stop-timer-sec': 'i?',
  'sdexec-stop-timer-signal': 'i?',
  'sdexec-constrain-resources': 'b?',
} as const satisfies Fields;

const overridable = [
  'method',
  'imp',
  'service',
  'job-shell',
  'shell-exit-timeout',
  'kill-timeout',
  'max-kill-count',
  'max-kill-timeout',
  'term-signal',
  'kill-signal',
];

/** @throws FluxError EINVAL: what is wrong */
export function readExecSettings(config: JsonObject, args: readonly string[]): ExecSettings {
  const table = unpackTable(withArguments(config, args), 'exec', fields);
  const { method = 'bulk-exec', service = 'rexec', 'max-kill-count': maxKillCount = 8 } = table;
  if (method !== 'bulk-exec') throw invalid(`unknown exec.method '${method}'`);
  if (service !== 'rexec') throw invalid(`unsupported exec.service value: ${service}`);
  if (maxKillCount <= 0) throw invalid(`invalid max-kill-count=${maxKillCount}`);
  const { testexec = {} } = table;
  return {
    method,
    killTimeout: positive(table, 'kill-timeout') ?? 5,
    termSignal: signal(table, 'term-signal') ?? 15,
    killSignal: signal(table, 'kill-signal') ?? 9,
    maxKillCount,
    maxKillTimeout: positive(table, 'max-kill-timeout'),
    maxStartDelayPercent: table['max-start-delay-percent'] ?? 25,
    barrierTimeout: duration(table, 'barrier-timeout') ?? 1800,
    shellExitTimeout: table['shell-exit-timeout'] === 'none' ? 0 : (duration(table, 'shell-exit-timeout') ?? 30),
    jobShell: table['job-shell'],
    imp: table.imp,
    service,
    reportsUsage: table['report-rusage'] ?? false,
    allowsGuestsToMock: testexec['allow-guests'] === true,
    sdexec: sdexec(table),
  };
}

type Table = Unpacked<typeof fields>;
type TextKey =
  | 'kill-timeout'
  | 'max-kill-timeout'
  | 'barrier-timeout'
  | 'shell-exit-timeout'
  | 'term-signal'
  | 'kill-signal';

function invalid(sentence: string): FluxError {
  return new FluxError('EINVAL', sentence);
}

function withArguments(config: JsonObject, args: readonly string[]): JsonObject {
  const exec: Record<string, JsonValue | undefined> = isObject(config.exec) ? { ...config.exec } : {};
  for (const arg of args) {
    const [name = '', value = ''] = arg.split(/=(.*)/s);
    if (overridable.includes(name)) exec[name] = name === 'max-kill-count' ? Number.parseInt(value, 10) || 0 : value;
  }
  return config.exec === undefined || isObject(config.exec) ? { ...config, exec } : config;
}

function duration(table: Table, key: TextKey): number | undefined {
  const text = table[key];
  if (text === undefined) return undefined;
  try {
    return parseDuration(text);
  } catch {
    throw invalid(`invalid ${key}: ${text}`);
  }
}

function positive(table: Table, key: TextKey): number | undefined {
  const seconds = duration(table, key);
  if (seconds === 0) throw invalid(`invalid ${key}: ${table[key]}`);
  return seconds;
}

function signal(table: Table, key: TextKey): number | undefined {
  const text = table[key];
  if (text === undefined) return undefined;
  try {
    return parseSignal(text);
  } catch {
    throw invalid(`invalid ${key}: ${text}`);
  }
}

/** Keys of the systemd execution service are checked and shown; that service does not run programs here. */
function sdexec(table: Table): JsonObject {
  const properties = table['sdexec-properties'];
  for (const [name, value] of Object.entries(properties ?? {}))
    if (typeof value !== 'string') throw invalid(`exec.sdexec-properties.${name} is not a string`);
  return {
    sdexec_stop_timer_sec: table['sdexec-stop-timer-sec'] ?? -1,
    sdexec_stop_timer_signal: table['sdexec-stop-timer-signal'] ?? 10,
    sdexec_constrain_resources: table['sdexec-constrain-resources'] ? 1 : 0,
    ...(properties && { sdexec_properties: properties }),
  };
}

/** Seconds that a job may take to end before its nodes are drained. */
export function effectiveMaxKillTimeout({ maxKillTimeout, killTimeout, maxKillCount }: ExecSettings): number {
  if (maxKillTimeout !== undefined) return maxKillTimeout;
  let seconds = killTimeout * 5;
  let step = killTimeout;
  for (let i = 1; i < maxKillCount; i++) {
    seconds += step;
    step = Math.min(step * 2, KILL_INTERVAL_MAX);
  }
  return seconds;
}

/** Seconds between two signals to a shell, however often it was sent some. */
export const KILL_INTERVAL_MAX = 300;
