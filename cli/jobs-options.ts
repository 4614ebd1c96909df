/** Options of `flux jobs`, `flux pgrep` and `flux pkill` that say which jobs are meant. */

import type { Command } from 'commander';
import { FluxError } from '../core/errno.ts';
import { parseFluid } from '../core/formats/fluid.ts';
import { integer, reader } from './command.ts';
import { DEFAULT_COUNT, type JobQuery, parseUser, type WrittenId } from './job-list-request.ts';
import { parseStateFilter } from './job-naming.ts';
import { readPointInTime } from './read-time.ts';
import { parseTargets } from './resource-inventory.ts';

export interface SelectOptions {
  a?: boolean;
  A?: boolean;
  user?: string;
  filter?: string[];
  queue?: string[];
}

/** Adds `-a`, `-A`, `-u`, `-f` and `-q`. */
export function selectOptions(command: Command): Command {
  return command
    .option('-a', 'Jobs in all states, also those that have ended.')
    .option('-A', 'Jobs of all users.')
    .option('-u, --user <USER>', "Jobs of this user, a name or a userid; 'all' for all users.")
    .option('-f, --filter <STATE|RESULT,...>', 'Jobs in one of these states, or with one of these results.', addNames)
    .option('-q, --queue <QUEUE,...>', 'Jobs of these queues.', addNames);
}

function addNames(value: string, previous: readonly string[] = []): string[] {
  return [...new Set([...previous, ...value.split(',')])];
}

export interface ListOptions extends SelectOptions {
  count: number;
  since?: string;
  name?: string;
  include?: string;
}

/** Adds what narrows a list further. */
export function listOptions(command: Command): Command {
  return selectOptions(command)
    .option('-c, --count <N>', 'No more than N jobs; 0 for no limit.', integer, DEFAULT_COUNT)
    .option('--since <WHEN>', 'Also jobs that have ended since then, unless --filter says which.')
    .option('--name <NAME>', 'Jobs of this name.')
    .option('-i, --include <TARGETS>', 'Jobs that were given these ranks, an idset, or these hosts, a hostlist.');
}

const ACTIVE = ['pending', 'running'];

/** The states and results that options ask for. */
export function stateFilter(a: boolean | undefined, filter: readonly string[] | undefined): JobQuery['filter'] {
  return parseStateFilter(filter ?? (a ? [...ACTIVE, 'inactive'] : ACTIVE));
}

/**
 * What to ask job-list for.
 *
 * @throws FluxError EINVAL: a value that means nothing
 */
export function listQuery(options: ListOptions, attrs: readonly string[]): JobQuery {
  const { a, A, user, filter, queue, count, since, name, include } = options;
  const now = Date.now() / 1000;
  const from = since === undefined ? 0 : readPointInTime(since, now);
  if (from > now) throw new FluxError('EINVAL', `--since=${since} is in the future`);
  if (a && filter) console.error('flux-jobs: -a is ignored, for --filter says which jobs to list');
  // Who asks for nodes wants to know of all that is on them.
  const isForAll = A || (include !== undefined && user === undefined);
  return {
    attrs,
    filter: stateFilter(a || since !== undefined, filter),
    userid: isForAll ? undefined : parseUser(user),
    count,
    since: from,
    name,
    queues: queue ?? [],
    targets: include === undefined ? undefined : parseTargets(include, '--include'),
  };
}

/** Reads a job id of the command line, for an argument that may be given more than once. */
export function addId(text: string, previous: readonly WrittenId[] = []): WrittenId[] {
  return [...previous, readId(text)];
}

const readId = reader((text): WrittenId => ({ id: parseFluid(text), text }));
