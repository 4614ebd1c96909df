/** `flux resource eventlog`: the journal of the resource service (RFC 44). */

import { type Command, Option } from 'commander';
import { FluxError } from '../core/errno.ts';
import { parseDurationArgument } from '../core/formats/duration.ts';
import type { EventlogEntry } from '../core/formats/eventlog.ts';
import type { Handle } from '../core/handle/handle.ts';
import { type JsonObject, type JsonValue, stringifyJson } from '../core/json.ts';
import { isObject } from '../core/message/unpack.ts';
import { collect, withHandle } from './command.ts';
import { type ContextMatch, parseContextMatch } from './context-match.ts';
import { EventTargets } from './event-targets.ts';
import { elapsedFormat, entryFormatter, isoFormat, offsetFormat, secondsFormat } from './eventlog-format.ts';
import { fetchHosts } from './hosts.ts';
import { within } from './limits.ts';
import type { NestedCommand } from './nested.ts';
import { print } from './print.ts';
import { type ColorOption, colorOption, painter } from './terminal.ts';

const timeFormats = {
  raw: secondsFormat,
  iso: isoFormat,
  offset: offsetFormat,
  human: elapsedFormat,
  reltime: elapsedFormat,
} as const;

interface Options {
  format: 'text' | 'json';
  timeFormat: keyof typeof timeFormats;
  human?: boolean;
  color?: ColorOption;
  follow?: boolean;
  timeout?: string;
  wait?: string;
  matchContext: string[];
  include?: string;
}

export const eventlogCommand: NestedCommand = {
  summary: 'Show what happened to resources',
  define: (command) => colorOption(formatOptions(command)).action(showEventlog),
};

function formatOptions(command: Command): Command {
  return command
    .addOption(new Option('-f, --format <FORMAT>', 'How events are shown.').choices(['text', 'json']).default('text'))
    .addOption(
      new Option('-T, --time-format <FORMAT>', 'How times are shown.').choices(Object.keys(timeFormats)).default('raw'),
    )
    .option('-H, --human', 'Show times that are easy to read: --format=text --time-format=human.')
    .option('-F, --follow', 'Go on with new events as they come.')
    .option('-t, --timeout <DURATION>', 'Fail when it takes longer.')
    .option('-w, --wait <EVENT>', 'Go on until there is an event of this name.')
    .option('-m, --match-context <KEY=VAL>', 'With --wait: an event that has this in its context.', collect, [])
    .option('-i, --include <TARGETS>', 'Only events of these ranks, an idset, or hosts, a hostlist.');
}

async function showEventlog(options: Options): Promise<void> {
  const timeout = options.timeout === undefined ? Infinity : parseDurationArgument(options.timeout);
  const matches = options.matchContext.map(parseContextMatch);
  await withHandle(async (handle) => {
    const targets =
      options.include === undefined ? undefined : EventTargets.parse(options.include, await fetchHosts(handle));
    await within(timeout, showEvents(handle, options, matches, targets));
  });
}

async function showEvents(
  handle: Handle,
  options: Options,
  matches: readonly ContextMatch[],
  targets: EventTargets | undefined,
): Promise<void> {
  const format = eventFormat(options);
  for await (const event of journalEvents(handle, Boolean(options.follow || options.wait))) {
    const { name, context = {} } = event;
    if (targets && !targets.match(context)) continue;
    print(format(event));
    if (options.wait === name && matches.every((match) => match(context))) return;
  }
}

/** How events are written, one line each. */
function eventFormat({ format, timeFormat, human, color }: Options): (event: EventlogEntry) => string {
  if (format === 'json' && !human)
    return ({ context, ...event }) =>
      stringifyJson({ ...event, context: context && Object.keys(context).length ? context : undefined });
  const paint = painter(color);
  const formatTime = timeFormats[human ? 'human' : timeFormat](paint);
  return entryFormatter(formatTime, paint, { number: 'white', other: 'magenta' });
}

/**
 * The events of the journal: those there have been, by time, and with `follow` those that come.
 *
 * The service sends the past in several answers, and an answer without events behind it (RFC 44).
 */
async function* journalEvents(handle: Handle, follow: boolean): AsyncGenerator<EventlogEntry, void, undefined> {
  const past: EventlogEntry[] = [];
  let isPast = true;
  const answers = handle.stream('resource.journal', {}, { nodeid: 0, cancelTopic: 'resource.journal-cancel' });
  for await (const answer of answers) {
    const events = eventsOf(answer);
    if (isPast && events.length === 0) {
      isPast = false;
      yield* past.sort((a, b) => a.timestamp - b.timestamp);
      if (!follow) return;
    } else if (isPast) past.push(...events);
    else yield* events;
  }
}

function eventsOf({ events }: JsonObject): EventlogEntry[] {
  if (!Array.isArray(events)) throw new FluxError('EPROTO', 'the journal sent an answer without events');
  return (events as JsonValue[]).filter(isObject) as unknown as EventlogEntry[];
}
