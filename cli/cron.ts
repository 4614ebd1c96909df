/** `flux cron`: commands that run after a time, at events and at dates. */

import { withHandle } from './command.ts';
import { collectIds, seconds } from './cron-arguments.ts';
import { atCommand, eventCommand, intervalCommand, tabCommand } from './cron-create.ts';
import { type CronEntry, formatAge, formatRuntime } from './cron-entry.ts';
import { dumpCommand, listCommand } from './cron-show.ts';
import { runNested } from './nested.ts';
import { print } from './print.ts';

/** `flux cron COMMAND …` */
export function run(args: readonly string[]): Promise<number> {
  return runNested('cron', 'Commands that run after a time, at events and at dates.', commands, args);
}

const commands = {
  interval: intervalCommand,
  event: eventCommand,
  tab: tabCommand,
  at: atCommand,
  dump: dumpCommand,
  list: listCommand,
  delete: {
    summary: 'Delete entries',
    define: (command) =>
      command
        .argument('<id...>', 'numbers of entries', collectIds)
        .option('-k, --kill', 'End the tasks of theirs that run, too.')
        .action((ids: number[], { kill = false }: { kill?: boolean }) =>
          forEach(ids, 'cron.delete', { kill }, (id, entry) => `Removed cron-${id}: ${entry.name}${fate(entry)}`),
        ),
  },
  stop: {
    summary: 'Stop entries; they are kept',
    define: (command) =>
      command
        .argument('<id...>', 'numbers of entries', collectIds)
        .action((ids: number[]) => forEach(ids, 'cron.stop', {}, (id) => `Stopped cron-${id}`)),
  },
  start: {
    summary: 'Start entries that are stopped',
    define: (command) =>
      command
        .argument('<id...>', 'numbers of entries', collectIds)
        .action((ids: number[]) => forEach(ids, 'cron.start', {}, (id) => `Started cron-${id}`)),
  },
  sync: {
    summary: 'Show or change the event at which tasks run',
    define: (command) =>
      command
        .argument('[topic]', 'topic of the event')
        .option('-d, --disable', 'Run tasks at once.')
        .option('-e, --epsilon <TIME>', 'How long after the event tasks may still run.', seconds)
        .action(sync),
  },
} satisfies Parameters<typeof runNested>[2];

/** Does the same to each entry, one after another, and says so. */
function forEach(
  ids: readonly number[],
  topic: string,
  more: { readonly kill?: boolean },
  line: (id: number, entry: CronEntry) => string,
): Promise<void> {
  return withHandle(async (handle) => {
    for (const id of ids) print(line(id, await handle.rpc<CronEntry>(topic, { id, ...more })));
  });
}

/** What became of the last task of an entry that is deleted. */
function fate({ tasks: [task] }: CronEntry): string {
  if (!task) return '';
  const { 'start-time': started, 'end-time': ended } = task;
  const now = Date.now() / 1000;
  if (started === undefined) return ' has not run';
  if (ended === undefined) return ` still running. Started ${formatAge(Number(started), now)}`;
  return ` last ran ${formatAge(Number(ended), now)} for ${formatRuntime(Number(ended) - Number(started))}`;
}

interface SyncState {
  readonly sync_disabled?: boolean;
  readonly sync_event?: string;
  readonly sync_epsilon?: number;
}

function sync(topic: string | undefined, { disable, epsilon }: { disable?: boolean; epsilon?: number }): Promise<void> {
  return withHandle(async (handle) => {
    const change = disable ? { disable: true } : topic === undefined ? {} : { topic };
    const request = { ...change, ...(epsilon !== undefined && { sync_epsilon: epsilon }) };
    const state = await handle.rpc<SyncState>('cron.sync', request);
    if (state.sync_disabled) print('sync: sync disabled.');
    else print(`sync: sync to event "${state.sync_event}" epsilon=${Number(state.sync_epsilon).toFixed(3)}s.`);
  });
}
