/** `flux resource status`, and `flux resource drain` without targets: resources as administrators see them. */

import { FluxError } from '../core/errno.ts';
import { IdSet } from '../core/formats/idset.ts';
import type { Handle } from '../core/handle/handle.ts';
import type { JsonObject, JsonValue } from '../core/json.ts';
import { isObject } from '../core/message/unpack.ts';
import { Exit, withHandle } from './command.ts';
import type { NestedCommand } from './nested.ts';
import { distinctFormat, OutputFormat, withoutFields } from './output-format.ts';
import { print } from './print.ts';
import { resourceConfig } from './resource-formats.ts';
import { fetchSchedResources, includedRanks } from './resource-inventory.ts';
import {
  parseStates,
  readConfigFile,
  readStdin,
  type SelectOptions,
  selectOptions,
  type TableOptions,
  tableOptions,
} from './resource-options.ts';
import { Queues } from './resource-queues.ts';
import {
  collectedFields,
  colorFields,
  defaultStates,
  ResourceStatus,
  type StatusAnswers,
  StatusFilter,
  type StatusState,
  statusFields,
  statusLines,
  statusStates,
} from './resource-status-lines.ts';
import { type ColorOption, colorOption, painter } from './terminal.ts';

export interface StatusOptions extends SelectOptions, TableOptions {
  color?: ColorOption;
  skipEmpty?: boolean;
}

export const statusCommand: NestedCommand = {
  summary: 'Show which resources are available, excluded, drained or torpid, and which are online',
  define: (command) =>
    colorOption(
      tableOptions(
        selectOptions(
          command,
          `Show resources in these states (default: ${defaultStates.join(',')}); 'help' lists all of them.`,
        ),
      ),
    )
      .option('--skip-empty', 'Leave out states without resources even when they were asked for.')
      .action((options: StatusOptions) => showStatus(options)),
};

async function showStatus(options: StatusOptions): Promise<void> {
  const states = readStates(options);
  const format = resourceConfig('status').choose(options.format);
  await showLines(format, new StatusFilter(states, options.skipEmpty), options);
}

/** Lists what is drained, as `flux resource drain` does without targets. */
export async function showDrained(options: StatusOptions): Promise<void> {
  const format = resourceConfig('drain').choose(options.format);
  await showLines(format, new StatusFilter(['drain'], true), options);
}

/** The states that were asked for; undefined: none were. */
function readStates({ states, state }: SelectOptions): StatusState[] | undefined {
  const text = state ?? states;
  if (text === 'help') {
    console.error(`flux-resource: states are ${statusStates.join(', ')}`);
    throw new Exit(0);
  }
  return text ? parseStates(text, statusStates) : undefined;
}

async function showLines(text: string, filter: StatusFilter, options: StatusOptions): Promise<void> {
  const isColored = painter(options.color)('bold', '') !== '';
  const shown = isColored ? text : withoutFields(text, colorFields);
  const format = new OutputFormat(shown, statusFields);
  const distinct = new OutputFormat(distinctFormat(shown, collectedFields), statusFields);
  const status = await narrowedStatus(options);
  const lines = statusLines(status, filter, (line) => distinct.row(line));
  for (const line of format.lines(lines, { header: options.header })) print(line);
}

/** The status of the ranks that `--queue` and `--include` leave. */
async function narrowedStatus(options: StatusOptions): Promise<ResourceStatus> {
  const { queue, include } = options;
  const { answers, config } = options.fromStdin
    ? await readAnswers()
    : await withHandle((handle) => fetchAnswers(handle, queue !== undefined));
  const { set } = new ResourceStatus(answers);
  const sets: IdSet[] = [];
  if (queue) {
    const { configFile } = options;
    const queues = Queues.read(configFile === undefined ? config : readConfigFile(configFile));
    sets.push(queues.ranksOf(queue, set));
  }
  if (include !== undefined) sets.push(includedRanks(include, set));
  return new ResourceStatus(answers, sets.length ? sets.reduce((a, b) => a.intersect(b)) : undefined);
}

interface Answers {
  readonly answers: StatusAnswers;
  readonly config?: JsonObject | undefined;
}

async function readAnswers(): Promise<Answers> {
  const status = await readStdin();
  if (status !== undefined && !isObject(status)) throw new FluxError('EINVAL', 'standard input is not a JSON object');
  return { answers: { status } };
}

/** Asks all services that know a part; only that of resources must be there. */
async function fetchAnswers(handle: Handle, withConfig: boolean): Promise<Answers> {
  const toRankZero = { nodeid: 0 };
  const [status, housekeeping, allocated, config] = await Promise.all([
    handle.rpc<JsonObject>('resource.status', undefined, toRankZero),
    handle.rpc<JsonObject>('job-manager.stats-get', undefined, toRankZero).then(ranksInHousekeeping, () => IdSet.empty),
    fetchSchedResources(handle).then(
      (resources) => resources.allocated.ranks,
      () => IdSet.empty,
    ),
    withConfig ? handle.rpc<JsonObject>('config.get') : undefined,
  ]);
  return { answers: { status, housekeeping, allocated }, config };
}

/** The ranks whose housekeeping the statistics of the job manager tell of. */
export function ranksInHousekeeping(statistics: JsonValue): IdSet {
  const { housekeeping } = isObject(statistics) ? statistics : {};
  const running = isObject(housekeeping) && isObject(housekeeping.running) ? housekeeping.running : {};
  return Object.values(running).reduce<IdSet>((ranks, job) => {
    const allocated = isObject(job) ? job.allocated : undefined;
    return typeof allocated === 'string' ? ranks.union(IdSet.parse(allocated)) : ranks;
  }, IdSet.empty);
}
