/** `flux dmesg`: the log of the broker. */

import { type LogEntry, parseEntry, severities } from '../core/broker/log-format.ts';
import { about, FluxError } from '../core/errno.ts';
import type { Handle } from '../core/handle/handle.ts';
import { runCommand, subcommand, withHandle } from './command.ts';
import { print } from './print.ts';
import { type ColorOption, colorOption, type Painter, painter, type Style } from './terminal.ts';
import { formatLocal, formatOffset, MinuteTimestamps } from './timestamps.ts';

interface Options {
  clear?: boolean;
  readClear?: boolean;
  follow?: boolean;
  new?: boolean;
  human?: boolean;
  delta?: boolean;
  color?: ColorOption;
  json?: boolean;
}

/** How the texts of each severity look, from emerg to debug. */
const severityStyles: readonly (Style | undefined)[] = [
  'reverseRed',
  'reverseRed',
  'boldRed',
  'red',
  'bold',
  undefined,
  undefined,
  'blue',
];

/** `flux dmesg [OPTIONS]` */
export function run(args: readonly string[]): Promise<number> {
  const command = colorOption(
    subcommand('dmesg', "Show the broker's log.")
      .option('-C, --clear', 'Empty the log, and show nothing.')
      .option('-c, --read-clear', 'Empty the log when it is shown.')
      .option('-f, --follow', 'Go on with new entries as they come.')
      .option('-n, --new', 'Leave out the entries there are; for --follow.')
      .option('-H, --human', 'Times that are easy to read.')
      .option('-d, --delta', 'With --human: the time since the entry before.')
      .option('--json', 'A JSON object for each entry.'),
  ).action((options: Options) => withHandle((handle) => dmesg(handle, options)));
  return runCommand(command, args);
}

async function dmesg(handle: Handle, options: Options): Promise<void> {
  if (options.delta && !options.human) throw new FluxError('EINVAL', '--delta is for use with --human');
  if (!options.clear) {
    const request = { follow: options.follow ?? false, nobacklog: options.new ?? false };
    const entries = handle.streamBytes('log.dmesg', request, { cancelTopic: 'log.cancel' });
    const format = options.json ? formatJson : formatter(options);
    try {
      for await (const bytes of entries) print(format(textOf(bytes)));
    } catch (error) {
      throw about('log.dmesg', error);
    }
  }
  if (options.clear || options.readClear) await handle.rpc('log.clear');
}

function textOf(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString().replace(/\0+$/, '');
}

function parse(line: string): LogEntry | undefined {
  try {
    return parseEntry(line);
  } catch {
    return undefined;
  }
}

function formatJson(line: string): string {
  const entry = parse(line);
  if (!entry) return JSON.stringify({ text: line });
  const { timestamp, hostname, appname, severity, text } = entry;
  return JSON.stringify({ timestamp, rank: rankOf(hostname), appname, severity: severities[severity], text });
}

function formatter({ human, delta, color }: Options): (line: string) => string {
  const paint = painter(color);
  const minutes = new MinuteTimestamps(delta ?? false);
  return (line) => {
    const entry = parse(line);
    if (!entry) return line;
    const time = human ? humanTime(entry.timestamp, minutes, paint) : paint('green', localTime(entry.timestamp));
    const name = `${entry.appname}.${severities[entry.severity]}[${rankOf(entry.hostname)}]`;
    return `${time} ${paint('yellow', name)}: ${paint(severityStyles[entry.severity], entry.text)}`;
  };
}

/** An entry's host name is the rank that logged; what logs before it knows its rank writes something else. */
function rankOf(hostname: string): number {
  return Number.parseInt(hostname, 10) || 0;
}

function secondsOf(timestamp: string): number {
  const [, whole = '', fraction = '0'] = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(\.\d+)?Z$/.exec(timestamp) ?? [];
  return Date.parse(`${whole}Z`) / 1000 + Number(fraction);
}

/** The time with its offset, or as it came where local time is UTC, or where it is no time. */
function localTime(timestamp: string): string {
  const seconds = secondsOf(timestamp);
  if (Number.isNaN(seconds)) return timestamp;
  const offset = formatOffset(seconds);
  return offset === 'Z' ? timestamp : formatLocal(seconds, 6) + offset;
}

function humanTime(timestamp: string, minutes: MinuteTimestamps, paint: Painter): string {
  const seconds = secondsOf(timestamp);
  if (Number.isNaN(seconds)) return paint('green', `[${timestamp}]`);
  const { text, isBreak } = minutes.next(seconds);
  return paint(isBreak ? 'boldGreen' : 'green', `[${text}]`);
}
