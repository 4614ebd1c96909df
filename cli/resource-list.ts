/** `flux resource list`, `info` and `R`: resources as the scheduler sees them. */

import { type Command, Option } from 'commander';
import { ResourceSet } from '../core/formats/resource-set.ts';
import type { Handle } from '../core/handle/handle.ts';
import type { JsonObject } from '../core/json.ts';
import { describe, withHandle } from './command.ts';
import type { NestedCommand } from './nested.ts';
import { OutputFormat } from './output-format.ts';
import { print } from './print.ts';
import { resourceConfig } from './resource-formats.ts';
import { encodeSpaced, fetchSchedResources, includedRanks, SchedResources, schedStates } from './resource-inventory.ts';
import { listFields, resourceLines } from './resource-list-lines.ts';
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

const DEFAULT_STATES = 'free,allocated,down';
const INFO_FORMAT = '{nnodes} Nodes, {ncores} Cores, {ngpus} GPUs';

interface ListOptions extends SelectOptions, TableOptions {
  skipEmpty?: boolean;
}

const stateNames = `States are ${schedStates.join(', ')}.`;

/** `--no-skip-empty` is an option by itself: neither is the default. */
function emptyOptions(command: Command, isHidden: boolean): Command {
  const skip = new Option('--skip-empty', 'Leave out lines without resources, as --include does.');
  const keep = new Option('--no-skip-empty', 'Show lines without resources even with --include.');
  command.addOption(isHidden ? skip.hideHelp() : skip).addOption(isHidden ? keep.hideHelp() : keep);
  command.setOptionValue('skipEmpty', undefined);
  return command;
}

export const listCommands: Readonly<Record<string, NestedCommand>> = {
  list: {
    summary: 'List the resources that the scheduler has',
    define: (command) =>
      emptyOptions(
        tableOptions(
          selectOptions(command, `Show resources in these states (default: ${DEFAULT_STATES}). ${stateNames}`),
        ),
        false,
      ).action((options: ListOptions) => list(options)),
  },
  info: {
    summary: 'Count the nodes, cores and GPUs that the scheduler has',
    define: (command) =>
      emptyOptions(
        selectOptions(command, `Count resources in these states (default: all). ${stateNames}`),
        true,
      ).action((options: SelectOptions) => list({ states: 'all', ...options, format: INFO_FORMAT, header: false })),
  },
  R: {
    summary: 'Print the resources that the scheduler has as a resource set',
    define: (command) =>
      selectOptions(command, `Take resources in these states (default: all). ${stateNames}`).action(printR),
  },
};

async function list(options: ListOptions): Promise<void> {
  const states = parseStates(options.state ?? options.states ?? DEFAULT_STATES, schedStates);
  const config = resourceConfig('list');
  const format = new OutputFormat(config.choose(options.format), listFields);
  const { resources, queues } = await select(options);
  const hidden = (config.settings['hidden-queues'] ?? []) as readonly string[];
  const { fieldNames } = format;
  const lines = resourceLines(resources, { states, fieldNames, queues: queues.all, wanted: options.queue, hidden });
  const skipsEmpty = options.skipEmpty ?? options.include !== undefined;
  const shown = skipsEmpty ? lines.filter(({ set }) => set.nodes.length) : lines;
  for (const line of format.lines(shown, { header: options.header })) print(line);
}

async function printR(options: SelectOptions): Promise<void> {
  const states = parseStates(options.state ?? options.states ?? 'all', schedStates);
  const { resources } = await select(options);
  const { starttime, expiration } = resources.all;
  const none = new ResourceSet([], { starttime, expiration });
  print(encodeSpaced(states.reduce((set, state) => set.add(resources[state]), none)));
}

interface Selection {
  readonly resources: SchedResources;
  readonly queues: Queues;
}

/** The resources that the options leave, and the queues there are. */
async function select(options: SelectOptions): Promise<Selection> {
  const { resources, queues } = options.fromStdin ? await readSelection(options) : await withHandle(fetchSelection);
  const ranks: ((from: SchedResources) => SchedResources)[] = [];
  if (options.queue) ranks.push((from) => from.select(queues.ranksOf(options.queue!, from.all)));
  if (options.include !== undefined) ranks.push((from) => from.select(includedRanks(options.include!, from.all)));
  return { resources: ranks.reduce((from, narrow) => narrow(from), resources), queues };
}

async function readSelection({ configFile }: SelectOptions): Promise<Selection> {
  const resources = SchedResources.read((await readStdin()) ?? null);
  return { resources, queues: Queues.read(configFile === undefined ? undefined : readConfigFile(configFile)) };
}

async function fetchSelection(handle: Handle): Promise<Selection> {
  const config = handle.rpc<JsonObject>('config.get').catch((error: unknown) => {
    console.error(`flux-resource: the configuration cannot be had: ${describe(error)}`);
    return undefined;
  });
  const resources = fetchSchedResources(handle);
  // Both are waited for: the error of one must not leave that of the other unhandled.
  const [queues, inventory] = await Promise.all([config.then(Queues.read), resources]);
  return { resources: inventory, queues };
}
