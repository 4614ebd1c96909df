/**
 * Log entries as they travel and lie in the ring: RFC 5424 syslog lines.
 *
 *     <PRI>1 TIMESTAMP HOSTNAME APPNAME PROCID MSGID SD MESSAGE
 *
 * The hostname is the rank of the broker that logged. PRI is severity * 8 + facility, the other way round than RFC 5424
 * has it, because that is what every Flux client writes and reads.
 */

import { FluxError } from '../errno.ts';

export const severities = ['emerg', 'alert', 'crit', 'err', 'warning', 'notice', 'info', 'debug'] as const;
export type Severity = (typeof severities)[number];

/** The number of a severity, 0 (emerg) to 7 (debug). */
export function severityNumber(severity: Severity): number {
  return severities.indexOf(severity);
}

/** Whether a word names a severity. */
export function isSeverity(word: string): word is Severity {
  return (severities as readonly string[]).includes(word);
}

export interface LogEntry {
  readonly severity: number;
  /** RFC 3339, with microseconds, in UTC. */
  readonly timestamp: string;
  /** The rank that logged, or a host name from before ranks were known. */
  readonly hostname: string;
  readonly appname: string;
  readonly text: string;
}

let lastSecond = 0;
let lastSecondText = '1970-01-01T00:00:00';

/** Seconds since the epoch as an RFC 3339 timestamp with microseconds. */
export function formatTimestamp(seconds: number): string {
  const whole = Math.floor(seconds);
  const micros = Math.min(999_999, Math.round((seconds - whole) * 1e6));
  if (whole !== lastSecond) {
    lastSecondText = new Date(whole * 1000).toISOString().slice(0, 19);
    lastSecond = whole;
  }
  return `${lastSecondText}.${String(micros).padStart(6, '0')}Z`;
}

const months = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];
const twoDigits = (value: number) => String(value).padStart(2, '0');

/** An entry's timestamp as people read it in a log: `Nov 21 15:18:34.198341 UTC 2026`, in local time. */
export function localTimestamp(timestamp: string): string {
  const date = new Date(timestamp);
  const minutes = -date.getTimezoneOffset();
  const offset = `${twoDigits(Math.floor(Math.abs(minutes) / 60))}${twoDigits(Math.abs(minutes) % 60)}`;
  const zone = minutes === 0 ? 'UTC' : `${minutes < 0 ? '-' : '+'}${offset}`;
  const time = [date.getHours(), date.getMinutes(), date.getSeconds()].map(twoDigits).join(':');
  const micros = /\.(\d+)/.exec(timestamp)?.[1] ?? '000000';
  return `${months[date.getMonth()]} ${twoDigits(date.getDate())} ${time}.${micros} ${zone} ${date.getFullYear()}`;
}

export function formatEntry(entry: LogEntry): string {
  return `<${entry.severity << 3}>1 ${entry.timestamp} ${entry.hostname} ${entry.appname} - - - ${entry.text}`;
}

const syslogLine = /^<(\d{1,3})>1 (\S+) (\S+) (\S+) (\S+) (\S+) (?:-|\[.*?\]) ?([\s\S]*)$/;

/**
 * Reads a syslog line.
 *
 * @throws FluxError EPROTO when it is none
 */
export function parseEntry(line: string): LogEntry {
  const match = syslogLine.exec(line);
  if (!match) throw new FluxError('EPROTO', 'not an RFC 5424 log entry');
  const [, priority, timestamp, hostname, appname, , , text] = match;
  return {
    severity: Math.min(Number(priority) >> 3, severities.length - 1),
    timestamp: timestamp!,
    hostname: hostname!,
    appname: appname!,
    text: text!,
  };
}
