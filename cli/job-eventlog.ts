/** `flux job eventlog` and `wait-event`: the event logs of a job (RFC 18, RFC 21, RFC 24). */

import { type Command, InvalidArgumentError, Option } from 'commander';
import { asFluxError, FluxError } from '../core/errno.ts';
import { parseDuration } from '../core/formats/duration.ts';
import type { Handle } from '../core/handle/handle.ts';
import { type JsonObject, stringifyJson } from '../core/json.ts';
import { integer, reader, withHandle } from './command.ts';
import { type JobEvent, readEvents, WAITCREATE, watchEventlog } from './eventlog.ts';
import {
  entryFormatter,
  humanFormat,
  isoFormat,
  offsetFormat,
  secondsFormat,
  type TimeFormat,
} from './eventlog-format.ts';
import { parseJobId } from './job-id.ts';
import { lookupJob } from './job-info.ts';
import type { NestedCommand } from './nested.ts';
import { print } from './print.ts';
import { type ColorOption, colorOption, type Painter, painter } from './terminal.ts';

const timeFormats = {
  raw: secondsFormat,
  iso: (paint: Painter) => isoFormat(paint, ':'),
  offset: (paint: Painter) => offsetFormat(paint, 0),
  human: humanFormat,
  reltime: humanFormat,
} as const;

interface FormatOptions {
  format: 'text' | 'json';
  timeFormat: keyof typeof timeFormats;
  human?: boolean;
  color?: ColorOption;
}

interface LogOptions extends FormatOptions {
  path: string;
  follow?: boolean;
}

interface WaitOptions extends FormatOptions {
  path: string;
  timeout?: number;
  matchContext?: ContextText;
  count: number;
  quiet?: boolean;
  verbose?: boolean;
  waitcreate?: boolean;
}

/** Event logs that have a short name, and the events that end them. */
const logs: readonly { readonly name: string; readonly path: string; readonly end?: string }[] = [
  { name: 'eventlog', path: 'eventlog', end: 'clean' },
  { name: 'exec', path: 'guest.exec.eventlog', end: 'done' },
  { name: 'output', path: 'guest.output' },
  { name: 'input', path: 'guest.input' },
];

/** The path of an event log by its short name or its path, and the event that ends it. */
export function findLog(name: string): { readonly path: string; readonly end?: string } {
  return logs.find((log) => log.name === name || log.path === name) ?? { path: name };
}

type ContextText = (context: JsonObject) => boolean;

/**
 * A condition `KEY=VALUE` on the context of an event: that the value of the key is this text, or that its JSON is.
 *
 * @throws FluxError EINVAL: there is no `=`
 */
export function parseContextText(text: string): ContextText {
  const equals = text.indexOf('=');
  if (equals < 0) throw new FluxError('EINVAL', `'${text}' is not of the form KEY=VAL`);
  const key = text.slice(0, equals);
  const wanted = text.slice(equals + 1);
  return (context) => {
    const value = Object.hasOwn(context, key) ? context[key] : undefined;
    return value !== undefined && (value === wanted || stringifyJson(value) === wanted);
  };
}

const choice = <T extends string>(choices: readonly T[]) =>
  reader((text) => {
    const known = choices.find((each) => each === text.toLowerCase());
    if (known === undefined) throw new InvalidArgumentError(`'${text}' is none of ${choices.join(', ')}.`);
    return known;
  });

const times = Object.keys(timeFormats) as (keyof typeof timeFormats)[];

function formatOptions(command: Command): Command {
  return colorOption(command)
    .addOption(
      new Option('-f, --format <FORMAT>', 'How events are shown: text or json.')
        .argParser(choice(['text', 'json']))
        .default('text'),
    )
    .addOption(
      new Option('-T, --time-format <FORMAT>', `How times are shown: ${times.join(', ')}.`)
        .argParser(choice(times))
        .default('raw'),
    )
    .option('-H, --human', 'Show times that are easy to read: --format=text --time-format=human.')
    .option('-p, --path <PATH>', 'Which event log: eventlog, exec, output, input, or a key of the job.', 'eventlog');
}

export const eventlogCommands: Readonly<Record<string, NestedCommand>> = {
  eventlog: {
    summary: 'Show what happened to a job',
    define: (command) =>
      formatOptions(command.argument('<id>', 'job id'))
        .option('-F, --follow', 'Go on with new events until there will be no more.')
        .action((word: string, options: LogOptions) => withHandle((handle) => showLog(handle, word, options))),
  },
  'wait-event': {
    summary: 'Wait for an event of a job',
    define: (command) =>
      formatOptions(command.argument('<id>', 'job id').argument('<event>', 'the name of the event'))
        .option('-t, --timeout <DURATION>', 'Fail when no event comes for so long.', reader(parseDuration))
        .option('-m, --match-context <KEY=VAL>', 'Wait for one with this in its context.', reader(parseContextText))
        .option('-c, --count <N>', 'Wait for the Nth one.', integer, 1)
        .option('-q, --quiet', 'Show nothing.')
        .option('-v, --verbose', 'Show the events before it, too.')
        .option('-W, --waitcreate', 'Wait until there is such an event log.')
        .action((word: string, name: string, options: WaitOptions) =>
          withHandle((handle) => waitEvent(handle, word, name, options)),
        ),
  },
};

async function showLog(handle: Handle, word: string, options: LogOptions): Promise<void> {
  const id = parseJobId(word);
  const { path, end } = findLog(options.path);
  const show = lineFormatter(options);
  try {
    if (options.follow) {
      for await (const event of watchEventlog(handle, id, path, WAITCREATE)) {
        print(show(event));
        if (event.name === end) return;
      }
    } else for (const event of readEvents(await lookupJob(handle, id, path))) print(show(event));
  } catch (error) {
    throw aboutLog(word, path, error);
  }
}

/** How events are written, one line each. */
function lineFormatter({ format, timeFormat, human, color }: FormatOptions): (event: JobEvent) => string {
  if (format === 'json' && !human) return ({ text }) => text;
  const paint = painter(color);
  const formatTime: TimeFormat = timeFormats[human ? 'human' : timeFormat](paint);
  return entryFormatter(formatTime, paint, { number: 'white', truth: 'magenta', other: 'magenta' });
}

function aboutLog(word: string, path: string, error: unknown): FluxError {
  const fault = asFluxError(error);
  if (fault.code !== 'ENOENT') return fault;
  return new FluxError('ENOENT', path === 'eventlog' ? `job ${word} not found` : `eventlog path ${path} not found`);
}

async function waitEvent(handle: Handle, word: string, name: string, options: WaitOptions): Promise<void> {
  const { count, quiet, verbose, timeout = Infinity, matchContext: matches = () => true } = options;
  const id = parseJobId(word);
  const { path } = findLog(options.path);
  if (count <= 0) throw new FluxError('EINVAL', `--count: ${count} is not above 0`);
  const show = lineFormatter(options);
  let left = count;
  let isFirst = true;
  const events = watchEventlog(handle, id, path, options.waitcreate ? WAITCREATE : 0);
  try {
    for await (const event of inTime(events, timeout, `wait-event timeout on event '${name}'`)) {
      // Offsets count from the first event, shown or not.
      if (isFirst && options.timeFormat === 'offset') show(event);
      isFirst = false;
      const isWanted = event.name === name && matches(event.context) && --left === 0;
      if (isWanted ? !quiet : verbose) print(show(event));
      if (isWanted) return;
    }
  } catch (error) {
    throw aboutLog(word, path, error);
  }
  throw new FluxError('ENODATA', `event '${name}' never received`);
}

/** What comes, as long as each comes within so many seconds of the one before. */
async function* inTime<T>(
  source: AsyncGenerator<T, void, undefined>,
  seconds: number,
  fault: string,
): AsyncGenerator<T, void, undefined> {
  for (;;) {
    let timer: NodeJS.Timeout | undefined;
    const timeout = new Promise<never>((_, reject) => {
      if (seconds < Infinity) timer = setTimeout(() => reject(new FluxError('ETIMEDOUT', fault)), seconds * 1000);
    });
    try {
      const next = await Promise.race([source.next(), timeout]);
      if (next.done) return;
      yield next.value;
    } finally {
      clearTimeout(timer);
    }
  }
}
