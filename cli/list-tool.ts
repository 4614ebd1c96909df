/** What `flux hostlist` and `flux idset` have in common: how lists are put together, and how the result is shown. */

import type { Readable } from 'node:stream';
import { type Command, Option } from 'commander';
import { FluxError } from '../core/errno.ts';
import { IdSet } from '../core/formats/idset.ts';
import { Exit, integer } from './command.ts';
import { print } from './print.ts';

export interface ListOptions {
  expand?: boolean;
  delimiter: string;
  count?: boolean;
  nth?: string;
  limit?: number;
  intersect?: boolean;
  minus?: boolean;
  xor?: boolean;
  quiet?: boolean;
}

/** Adds the options that both have; `items` is what lists hold. */
export function listOptions(command: Command, items: string): Command {
  return command
    .option('-e, --expand', `Show the ${items} one by one.`)
    .addOption(
      new Option('-d, --delimiter <TEXT>', 'Put this between them; \\n is a line break.').default(' ', 'a blank'),
    )
    .addOption(new Option('-c, --count', `Show how many ${items} there are.`).conflicts('expand'))
    .option('-n, --nth <[-]IDSET>', `Show only the ${items} at these positions, from 0, or with - from 1 at the end.`)
    .option('-L, --limit <[-]N>', `Show the first N ${items} at most, or with - the last.`, integer)
    .addOption(operation('-i, --intersect', `Show the ${items} that are in all lists.`))
    .addOption(operation('-m, --minus', `Show the ${items} of the first list that are in no other.`))
    .addOption(operation('-X, --xor', `Show the ${items} that are in an odd number of lists.`))
    .option('-q, --quiet', 'Show nothing, and exit with 1 when there are none.');
}

/** Of these there is one at most. */
function operation(flags: string, summary: string): Option {
  const option = new Option(flags, summary);
  return option.conflicts(['intersect', 'minus', 'xor'].filter((name) => name !== option.attributeName()));
}

/**
 * The positions of a list that `--nth` and `--limit` leave, or undefined for all.
 *
 * @throws FluxError ENOENT: `--nth` names a position that the list does not have
 */
export function positionsOf(length: number, { nth, limit = 0 }: ListOptions): number[] | undefined {
  const first = limit < 0 ? Math.max(0, length + limit) : 0;
  const left = limit ? Math.min(length, Math.abs(limit)) : length;
  if (nth === undefined) return limit ? Array.from({ length: left }, (_, index) => first + index) : undefined;
  const fromEnd = nth.startsWith('-');
  const ids = [...IdSet.parse(fromEnd ? nth.slice(1) : nth)];
  const positions = fromEnd ? ids.reverse().map((id) => left - id) : ids;
  const missing = positions.find((position) => position < 0 || position >= left);
  if (missing !== undefined) throw new FluxError('ENOENT', `--nth: there is nothing at one of the positions ${nth}`);
  return positions.map((position) => first + position);
}

/** Prints a result as the options say; `encoded` is how it is written when they say nothing. */
export function printResult(
  result: { readonly count: number } & Iterable<string | number>,
  encoded: string,
  { quiet, count, expand, delimiter }: ListOptions,
): void {
  if (quiet) throw new Exit(result.count ? 0 : 1);
  if (count) print(String(result.count));
  else if (result.count) print(expand ? [...result].join(delimiter.replaceAll('\\n', '\n')) : encoded);
}

const STDIN_TIMEOUT_SECONDS = 15;

/**
 * The lines of standard input, for lists that come from there.
 *
 * @throws FluxError ETIMEDOUT: nothing comes, as where the user has forgotten to give a list
 */
export async function readLines(input: Readable = process.stdin): Promise<string[]> {
  const seconds = Number(process.env.FLUX_HOSTLIST_STDIN_TIMEOUT ?? STDIN_TIMEOUT_SECONDS);
  const timeout = new FluxError('ETIMEDOUT', `nothing came from standard input for ${seconds} seconds`);
  const timer = setTimeout(() => input.destroy(timeout), seconds * 1000);
  let text = '';
  try {
    for await (const chunk of input.setEncoding('utf8')) {
      clearTimeout(timer);
      text += chunk;
    }
  } finally {
    clearTimeout(timer);
  }
  return text.split('\n');
}
