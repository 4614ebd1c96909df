/** `flux startlog`: when the instance was started and when it ended, and whether it crashed in between. */

import { Option } from 'commander';
import { LIFE_EVENT_VERSION, LIFE_EVENTLOG, lifeEventCommit } from '../core/broker/life-event.ts';
import { about, FluxError } from '../core/errno.ts';
import { formatDuration } from '../core/formats/duration.ts';
import { decodeEventlog, type EventlogEntry } from '../core/formats/eventlog.ts';
import type { Handle } from '../core/handle/handle.ts';
import { Kvs } from '../core/handle/kvs.ts';
import { stringifyJson } from '../core/json.ts';
import { unpack } from '../core/message/unpack.ts';
import { count, Exit, runCommand, subcommand, withHandle } from './command.ts';
import { print } from './print.ts';
import { formatLocal } from './timestamps.ts';

interface Options {
  check?: boolean;
  quiet?: boolean;
  showVersion?: boolean;
  json?: boolean;
  postStartEvent?: boolean;
  postFinishEvent?: boolean;
  testStartlogKey: string;
  testStartlogVersion: number;
}

/** One run of the instance. */
interface Run {
  readonly start: number;
  readonly version: string;
  end?: number;
  state: 'running' | 'finished' | 'crashed';
}

/** `flux startlog` */
export function run(args: readonly string[]): Promise<number> {
  const hidden = (option: Option) => option.hideHelp();
  const command = subcommand('startlog', 'List when the instance was started and when it ended.')
    .option('--check', 'Fail when it crashed before it was last started.')
    .option('--quiet', 'List nothing.')
    .option('-v, --show-version', 'Show the version of each start.')
    .option('--json', 'Print a JSON object for each run.')
    .addOption(hidden(new Option('--post-start-event', 'Note a start: for rc1.')))
    .addOption(hidden(new Option('--post-finish-event', 'Note an end: for rc3.')))
    .addOption(hidden(new Option('--test-startlog-key <KEY>', 'Where the events are.').default(LIFE_EVENTLOG)))
    .addOption(
      hidden(
        new Option('--test-startlog-version <N>', 'Newest version of events.')
          .argParser(count)
          .default(LIFE_EVENT_VERSION),
      ),
    )
    .action((options: Options) =>
      withHandle(async (handle) => {
        if (options.postStartEvent) await post(handle, 'start', options);
        else if (options.postFinishEvent) await post(handle, 'finish', options);
        else await list(handle, options);
      }),
    );
  return runCommand(command, args);
}

async function post(handle: Handle, name: 'start' | 'finish', options: Options): Promise<void> {
  if ((await handle.attribute('rank')) !== '0') throw new FluxError('EINVAL', 'events are only posted on rank 0');
  const commit = lifeEventCommit(name, Date.now() / 1000, await handle.attribute('version'), {
    key: options.testStartlogKey,
    version: options.testStartlogVersion,
    namespace: new Kvs(handle).namespace,
  });
  await handle.rpc('kvs.commit', commit).catch((error: unknown) => {
    throw about(`error committing the ${name} event`, error);
  });
}

async function list(handle: Handle, options: Options): Promise<void> {
  const runs = runsOf(await fetchEvents(handle, options.testStartlogKey), options.testStartlogVersion);
  if (!options.quiet) for (const each of runs) print(options.json ? stringifyJson({ ...each }) : format(each, options));
  if (options.check && hasCrashed(runs)) throw new Exit(1);
}

async function fetchEvents(handle: Handle, key: string): Promise<readonly EventlogEntry[]> {
  const text = await new Kvs(handle).getText(key).catch((error: unknown) => {
    throw about('error fetching the eventlog', error);
  });
  return decodeEventlog(text);
}

/** The runs that events tell of; events of other kinds and of newer versions are passed over. */
export function runsOf(events: readonly EventlogEntry[], newest: number): Run[] {
  const runs: Run[] = [];
  for (const { timestamp, name, context = {} } of events) {
    const { version = Infinity, core_version = '' } = unpack(context, { version: 'i?', core_version: '*?' });
    if (version < 0 || version > newest) continue;
    const last = runs.at(-1);
    if (name === 'start') {
      if (last?.state === 'running') last.state = 'crashed';
      runs.push({ start: timestamp, version: String(core_version), state: 'running' });
    } else if (name === 'finish' && last?.state === 'running') {
      last.end = timestamp;
      last.state = 'finished';
    }
  }
  return runs;
}

/** Whether a run crashed since one finished as it should. */
export function hasCrashed(runs: readonly Run[]): boolean {
  return runs
    .slice(runs.findLastIndex(({ state }) => state === 'finished') + 1)
    .some(({ state }) => state === 'crashed');
}

function format({ start, end, state, version }: Run, { showVersion }: Options): string {
  const day = (seconds: number) => formatLocal(seconds, 0).slice(0, 16).replace('T', ' ');
  const lasted = formatDuration(Math.max(0, (end ?? Date.now() / 1000) - start), 2);
  const until = state === 'crashed' ? state : `${end === undefined ? state : day(end)} (${lasted})`;
  return `${showVersion ? `${version.padStart(25)}  ` : ''}${day(start)} - ${until}`;
}
