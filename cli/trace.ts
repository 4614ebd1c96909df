/** Messages as `flux overlay trace` and `flux module trace` show them. */

import { type Command, InvalidArgumentError } from 'commander';
import { errnoName, FluxError } from '../core/errno.ts';
import { formatSize } from '../core/formats/size.ts';
import type { Handle } from '../core/handle/handle.ts';
import { type JsonObject, type JsonValue, stringifyJson } from '../core/json.ts';
import { MessageType } from '../core/message/message.ts';
import { indentJson } from './json.ts';
import { print } from './print.ts';
import { type ColorOption, colorOption, type Painter, painter, type Style } from './terminal.ts';
import { formatLocal, MinuteTimestamps } from './timestamps.ts';

export interface TraceOptions {
  /** Message types, as bits. */
  type: number;
  full?: boolean;
  human?: boolean;
  delta?: boolean;
  color?: ColorOption;
  json?: boolean;
}

/** A message that passed. */
export type TracedMessage = {
  readonly timestamp: number;
  /** `tx` or `rx` */
  readonly prefix: string;
  readonly rank: number;
  readonly name: string | null;
  readonly type: number;
  readonly topic: string;
  readonly payload_size: number;
  readonly payload?: JsonValue;
  readonly errnum?: number;
  readonly errstr?: string;
};

const ALL_TYPES = MessageType.request | MessageType.response | MessageType.event | MessageType.control;

/** Adds the options that traces share. */
export function traceOptions(command: Command): Command {
  return colorOption(
    command
      .option('-f, --full', 'Show JSON payloads, too.')
      .option('-t, --type <TYPE,...>', 'Only these types: request, response, event, control.', parseTypes)
      .option('-H, --human', 'Times that are easy to read.')
      .option('-d, --delta', 'With --human: the time since the message before.')
      .option('--json', 'A JSON object for each message.'),
  );
}

function parseTypes(text: string, previous = 0): number {
  return text.split(',').reduce((types, word) => {
    if (!Object.hasOwn(MessageType, word))
      throw new InvalidArgumentError(`Types are ${Object.keys(MessageType).join(', ')}.`);
    return types | MessageType[word as keyof typeof MessageType];
  }, previous);
}

/**
 * Shows messages until the service ends the trace.
 *
 * @param request what the service wants beside the message types and `full`
 * @param who what stands in front of a message's type and topic
 */
export async function trace(
  handle: Handle,
  topic: string,
  request: JsonObject,
  options: TraceOptions,
  who: (message: TracedMessage) => string,
): Promise<void> {
  if (options.delta && !options.human) throw new FluxError('EINVAL', '--delta is for use with --human');
  const payload = { typemask: options.type ?? ALL_TYPES, ...request, full: options.full ?? false };
  const format = options.json ? stringifyJson : formatter(options, who);
  for await (const message of handle.stream<TracedMessage>(topic, payload)) print(format(message));
}

const typeSigns: Readonly<Record<number, string>> = {
  [MessageType.request]: '>',
  [MessageType.response]: '<',
  [MessageType.event]: 'e',
  [MessageType.control]: 'c',
};
const typeStyles: Readonly<Record<number, Style>> = {
  [MessageType.request]: 'boldBlue',
  [MessageType.response]: 'cyan',
  [MessageType.event]: 'yellow',
  [MessageType.control]: 'bold',
};

function formatter(options: TraceOptions, who: (message: TracedMessage) => string): (message: TracedMessage) => string {
  const paint = painter(options.color);
  const minutes = options.human ? new MinuteTimestamps(options.delta ?? false) : undefined;
  return (message) => {
    const { type, topic, payload_size, errnum = 0 } = message;
    const style = errnum ? 'boldRed' : typeStyles[type];
    const words = [who(message), typeSigns[type] ?? '?', topic, `[${formatSize(payload_size)}]`];
    if (type === MessageType.response) words.push(errnum ? nameOf(errnum) : 'success');
    const details = detailsOf(message);
    const text = words.join(' ') + (details === undefined ? '' : `\n${details}`);
    return `${timeOf(Number(message.timestamp), minutes, paint)} ${paint(style, text)}`;
  };
}

function timeOf(seconds: number, minutes: MinuteTimestamps | undefined, paint: Painter): string {
  if (!minutes) return paint('green', formatLocal(seconds, 3));
  const { text, isBreak } = minutes.next(seconds);
  return `${paint(isBreak ? 'boldGreen' : 'green', `[${text}]`)} `;
}

function nameOf(errnum: number): string {
  const name = errnoName(errnum);
  return name === String(errnum) ? `errno ${errnum}` : name;
}

/** The payload, or the text of an error response, when the trace tells them. */
function detailsOf({ payload, errnum, errstr }: TracedMessage): string | undefined {
  if (errnum) return errstr || undefined;
  return payload === undefined || payload === null ? undefined : indentJson(payload);
}
