/**
 * The service `log`: a ring of the latest entries of this rank, followed by `dmesg`, with copies to stderr, to a file and
 * to rank 0 as the log attributes say.
 */

import { FluxError } from '../../errno.ts';
import { LATER, type Methods } from '../../handle/methods.ts';
import { endingMethods, RequestList } from '../../handle/request-list.ts';
import { Role } from '../../message/credentials.ts';
import type { Broker } from '../broker.ts';
import { type LogEntry, localTimestamp, parseEntry, severities } from '../log-format.ts';

/** Where copies of log entries go outside the instance. */
export interface LogSink {
  stderr(line: string): void;
  /** Appends to the file of attribute log-filename. */
  file(path: string, line: string): void;
  syslog(severity: number, line: string): void;
}

const defaults = {
  'log-ring-size': 1024,
  'log-forward-level': 3,
  'log-critical-level': 2,
  'log-syslog-enable': 0,
  'log-syslog-level': 3,
  'log-stderr-level': 3,
  'log-level': 7,
} as const;

/** The log attributes with a number, and `log-stderr-mode`, as they are when nobody sets them. */
export const logAttributes: Readonly<Record<string, string>> = {
  ...Object.fromEntries(Object.entries(defaults).map(([name, value]) => [name, String(value)])),
  'log-stderr-mode': 'leader',
};

/**
 * Whether the log attributes say what they may.
 *
 * @param get the value of an attribute
 * @throws FluxError EINVAL, with the attribute's name
 */
export function checkLogAttributes(get: (name: string) => string | undefined): void {
  const check = (name: string, isFine: (text: string) => boolean) => {
    const text = get(name);
    if (text !== undefined && !isFine(text)) throw new FluxError('EINVAL', `${name}: invalid value '${text}'`);
  };
  for (const name of Object.keys(defaults))
    check(name, name.endsWith('-level') ? isLevel : (text) => /^\d+$/.test(text));
  check('log-stderr-mode', (text) => text === 'leader' || text === 'local');
}

function stamped(entry: LogEntry): string {
  return `${localTimestamp(entry.timestamp)} ${label(entry)}`;
}

function label(entry: LogEntry): string {
  return `${entry.appname}.${severities[entry.severity]}[${entry.hostname}]: ${entry.text}`;
}

const payloadOf = (text: string) => Buffer.from(`${text}\0`);

/** A level may be below all severities: then nothing is taken. */
function isLevel(text: string): boolean {
  return /^-?\d+$/.test(text) && Number(text) < severities.length;
}

function parseLevel(text: string): number {
  if (!isLevel(text)) throw new FluxError('EINVAL', `invalid level '${text}'`);
  return Number(text);
}

export function logService(sink: LogSink): (broker: Broker) => Methods {
  return (broker) => {
    const { attributes } = broker;
    const number = (name: keyof typeof defaults) => Number(attributes.get(name) ?? defaults[name]);
    const ringSize = number('log-ring-size');
    const level = number('log-level');
    const criticalLevel = number('log-critical-level');
    const forwardLevel = number('log-forward-level');
    const syslogLevel = number('log-syslog-enable') ? number('log-syslog-level') : -1;
    const local = attributes.get('log-stderr-mode') === 'local';
    const file = broker.rank === 0 ? attributes.get('log-filename') : undefined;
    let stderrLevel = number('log-stderr-level');

    // The ring: entries as they came, the oldest at #first once it is full.
    const ring: string[] = [];
    let first = 0;
    const followers = new RequestList();
    const counts = { count: 0, local: 0, remote: 0 };

    const keep = (text: string): void => {
      counts.count++;
      if (ringSize > 0) {
        if (ring.length < ringSize) ring.push(text);
        else {
          ring[first] = text;
          first = (first + 1) % ringSize;
        }
      }
      if (followers.count) followers.respondAll(payloadOf(text));
    };
    const entries = () => [...ring.slice(first), ...ring.slice(0, first)];

    const append = (text: string): void => {
      const entry = parseEntry(text);
      const isOurs = entry.hostname === String(broker.rank);
      counts[isOurs ? 'local' : 'remote']++;
      if (isOurs && entry.severity <= level) keep(text);
      const toStderr = entry.severity <= stderrLevel;
      if (isOurs && (entry.severity <= criticalLevel || (local && toStderr)))
        sink.stderr(local ? `<${entry.severity}>${label(entry)}` : stamped(entry));
      else if (broker.rank === 0 && !local && toStderr) sink.stderr(stamped(entry));
      if (broker.rank === 0 && file) sink.file(file, stamped(entry));
      if (broker.rank > 0 && entry.severity <= forwardLevel)
        broker.notify('log.append', payloadOf(text), { nodeid: 0 });
      if (entry.severity <= syslogLevel) sink.syslog(entry.severity, label(entry));
    };

    return {
      append: {
        raw: true,
        handler(request) {
          const { bytes } = request.message;
          if (!bytes) throw new FluxError('EPROTO', 'log.append wants an entry');
          append(
            Buffer.from(bytes)
              .toString()
              .replace(/[\0\n]+$/, ''),
          );
          return undefined;
        },
      },
      dmesg: {
        handler(request) {
          const { follow, nobacklog = false } = request.unpack({ follow: 'b', nobacklog: 'b?' });
          if (!request.isStreaming) throw new FluxError('EPROTO', 'log.dmesg requires the streaming flag');
          if (!nobacklog) for (const text of entries()) request.respond(payloadOf(text));
          if (follow) followers.add(request);
          else request.endStream();
          return LATER;
        },
      },
      clear: {
        handler() {
          ring.length = 0;
          first = 0;
          return undefined;
        },
      },
      setattr: {
        handler(request) {
          const { name, value } = request.unpack({ name: 's', value: 's' });
          if (name !== 'log-stderr-level') throw new FluxError('EINVAL', 'unknown log attribute');
          stderrLevel = parseLevel(value);
          return undefined;
        },
      },
      'stats-get': { handler: () => ({ 'ring-used': ring.length, ...counts }) },
      ...endingMethods(Role.none, followers),
    };
  };
}
