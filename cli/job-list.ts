/** `flux job list`, `list-inactive`, `list-ids` and `stats`: what the service job-list knows, as JSON for scripts. */

import { FluxError } from '../core/errno.ts';
import { encodeJson } from '../core/formats/jansson.ts';
import { JobState } from '../core/formats/job-state.ts';
import { type JsonObject, real, stringifyJson } from '../core/json.ts';
import { integer, reader, withHandle } from './command.ts';
import { parseJobId } from './job-id.ts';
import { ANY_USER, parseState, parseStates, parseUser } from './job-states.ts';
import type { NestedCommand } from './nested.ts';
import { print } from './print.ts';

interface ListOptions {
  count: number;
  states?: number;
  user?: string;
  allUser?: boolean;
  all?: boolean;
}

const states = reader(parseStates);
const timestamp = reader((text) => {
  const seconds = Number(text);
  if (text.trim() === '' || Number.isNaN(seconds)) throw new Error(`'${text}' is not a time in seconds.`);
  return seconds;
});

export const listCommands: Readonly<Record<string, NestedCommand>> = {
  list: {
    summary: 'List jobs as JSON',
    hidden: true,
    define: (command) =>
      command
        .option('-c, --count <N>', 'No more than this many; 0 is no limit.', integer, 0)
        .option('-s, --states <STATE,...>', 'Only jobs in these states; without, those that are active.', states)
        .option('-u, --user <USER>', "Jobs of this user; 'all' is everybody's.")
        .option('-a, --all-user', 'Your jobs in all states.')
        .option('-A, --all', "Everybody's jobs in all states.")
        .action(list),
  },
  'list-inactive': {
    summary: 'List jobs that are over as JSON',
    hidden: true,
    define: (command) =>
      command
        .option('-c, --count <N>', 'No more than this many; 0 is no limit.', integer, 0)
        .option(
          '-s, --since <TIME>',
          'Only jobs that were over after this time, seconds since the epoch.',
          timestamp,
          0,
        )
        .action(({ count, since }: { count: number; since: number }) => {
          const constraint = { states: [JobState.inactive] };
          return showJobs({ max_entries: count, since: real(since), attrs: ['all'], constraint });
        }),
  },
  'list-ids': {
    summary: 'Show jobs as JSON',
    hidden: true,
    define: (command) =>
      command
        .argument('<id...>', 'job ids')
        .option('-W, --wait-state <STATE>', 'Wait until the jobs have reached this state.', 'depend')
        .action(listIds),
  },
  stats: {
    summary: 'Show how many jobs there are in each state',
    define: (command) =>
      command.action(() => withHandle(async (handle) => print(stringifyJson(await handle.rpc('job-list.job-stats'))))),
  },
};

function list({ count, states, user, allUser, all }: ListOptions): Promise<void> {
  const bits = all || allUser ? JobState.active | JobState.inactive : (states ?? JobState.active);
  const userid = all ? ANY_USER : parseUser(user);
  return showJobs({
    max_entries: count,
    attrs: ['all'],
    constraint: { and: [{ userid: [userid] }, { states: [bits] }] },
  });
}

/** These lists are for programs. */
function refuseTerminal(): void {
  if (process.stdout.isTTY) throw new FluxError('EINVAL', 'this prints JSON for scripts; flux jobs lists jobs to read');
}

async function showJobs(request: JsonObject): Promise<void> {
  refuseTerminal();
  await withHandle(async (handle) => {
    for await (const { jobs } of handle.stream<{ jobs: JsonObject[] }>('job-list.list', request))
      for (const job of jobs) print(encodeJson(job));
  });
}

async function listIds(words: readonly string[], { waitState }: { waitState: string }): Promise<void> {
  refuseTerminal();
  const request = { attrs: ['all'], state: parseState(waitState) };
  const ids = words.map(parseJobId);
  await withHandle(async (handle) => {
    const show = async (id: bigint, word: string) => {
      const answer = handle.rpc<{ job: JsonObject }>('job-list.list-id', { id, ...request });
      const { job } = await answer.catch((error: FluxError) => {
        throw error.code === 'ENOENT' ? new FluxError('ENOENT', `there is no job ${word}`) : error;
      });
      print(encodeJson(job));
    };
    await Promise.all(ids.map((id, index) => show(id, words[index]!)));
  });
}
