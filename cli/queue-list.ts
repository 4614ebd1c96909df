/** `flux queue list`: a table of the queues, with their limits and their resources. */

import { FluxError } from '../core/errno.ts';
import type { FieldValue } from '../core/formats/python-format.ts';
import type { Handle } from '../core/handle/handle.ts';
import { type JsonObject, real } from '../core/json.ts';
import { isObject } from '../core/message/unpack.ts';
import { withHandle } from './command.ts';
import { loadToolConfig, type ToolCommands } from './named-formats.ts';
import type { NestedCommand } from './nested.ts';
import { type Field, type Fields, OutputFormat } from './output-format.ts';
import { print } from './print.ts';
import { type QueueLimits, rangeText, readLimits, type Size, sizes } from './queue-limits.ts';
import { fetchQueueStatus, type QueueStatus } from './queue-status.ts';
import { fetchSchedResources, type SchedResources, type SchedState, schedStates } from './resource-inventory.ts';
import { addNames, type TableOptions, tableOptions } from './resource-options.ts';
import { Queues } from './resource-queues.ts';

export interface QueueLine {
  /** Empty: the only queue of an instance without named ones. */
  readonly name: string;
  readonly isDefault: boolean;
  readonly status: QueueStatus;
  readonly limits: QueueLimits;
  readonly resources: SchedResources;
}

const START =
  '?:{queuem:<8.8} ?:{parent:<8.8} {color_enabled}{enabled:>2}{color_off} {color_started}{started:>2}{color_off}';
const TIMES = '{defaults.timelimit!F:>8} {limits.timelimit!F:>8}';

const formats = {
  list: {
    formats: {
      default: {
        description: 'Default flux-queue list format string',
        format: `${START} ${TIMES} ${sizes.map((size) => `{limits.range.effective.${size}:>10}`).join(' ')}`,
      },
      policy: {
        description: 'flux-queue list with policy limits only',
        format: `${START} ${TIMES} ${sizes.map((size) => `{limits.range.${size}:>10}`).join(' ')}`,
      },
      nodes: {
        description: 'Show queue status plus all/up/allocated/free nodes',
        format: [
          START,
          '{resources.all.nnodes:>6} {resources.up.nnodes:>10} {resources.down.nnodes:>10}',
          '{resources.allocated.nnodes:>11} {resources.free.nnodes:>10}',
        ].join(' '),
      },
    },
  },
} satisfies ToolCommands;

/** Terminal sequences as flux-core has them in its fields, on terminals and elsewhere. */
const GREEN = '\x1b[01;32m';
const RED = '\x1b[01;31m';
const YELLOW = '\x1b[01;33m';
const COLOR_OFF = '\x1b[0;0m';

type Scheduling = 'started' | 'stopped' | 'stopped (parent)';

const marks: Readonly<Record<Scheduling, { readonly sign: string; readonly ascii: string; readonly color: string }>> = {
  started: { sign: '✔', ascii: 'y', color: GREEN },
  stopped: { sign: '✗', ascii: 'n', color: RED },
  'stopped (parent)': { sign: '⏸', ascii: 'p', color: YELLOW },
};

function schedulingOf({ start, blocked }: QueueStatus): Scheduling {
  if (start) return 'started';
  return blocked === 'parent' ? 'stopped (parent)' : 'stopped';
}

function scheduling(mark: 'sign' | 'ascii' | 'color'): (line: QueueLine) => string {
  return ({ status }) => marks[schedulingOf(status)][mark];
}

function submission(enabled: string, disabled: string): (line: QueueLine) => string {
  return ({ status }) => (status.enable ? enabled : disabled);
}

/** A field for each size. */
function sizeFields(
  name: (size: Size) => string,
  heading: (size: string) => string,
  value: (line: QueueLine, size: Size) => FieldValue,
): Fields<QueueLine> {
  const fields = sizes.map((size): [string, Field<QueueLine>] => [
    name(size),
    { heading: heading(size.slice(1).toUpperCase()), value: (line) => value(line, size) },
  ]);
  return Object.fromEntries(fields);
}

function resourceFields(state: SchedState): Fields<QueueLine> {
  const suffix = state === 'all' ? '' : `:${state.slice(0, 5).toUpperCase()}`;
  return sizeFields(
    (size) => `resources.${state}.${size}`,
    (size) => size + suffix,
    (line, size) => countOf(line.resources, state, size),
  );
}

function countOf(resources: SchedResources, state: SchedState, size: Size): number {
  const set = resources[state];
  return size === 'nnodes' ? set.nodes.length : set.count(size === 'ncores' ? 'core' : 'gpu');
}

/** The fields that formats may name. */
export const queueFields: Fields<QueueLine> = {
  queue: { heading: 'QUEUE', value: ({ name }) => name },
  queuem: { heading: 'QUEUE', value: ({ name, isDefault }) => (name && isDefault ? `${name}*` : name) },
  parent: { heading: 'PARENT', value: ({ status }) => status.parent ?? '' },
  submission: { heading: 'SUBMIT', value: submission('enabled', 'disabled') },
  scheduling: { heading: 'SCHED', value: ({ status }) => schedulingOf(status) },
  enabled: { heading: 'EN', value: submission('✔', '✗') },
  started: { heading: 'ST', value: scheduling('sign') },
  'enabled.ascii': { heading: 'EN', value: submission('y', 'n') },
  'started.ascii': { heading: 'ST', value: scheduling('ascii') },
  color_enabled: { heading: '', value: submission(GREEN, RED) },
  color_started: { heading: '', value: scheduling('color') },
  color_off: { heading: '', value: () => COLOR_OFF },
  'defaults.timelimit': { heading: 'TDEFAULT', value: ({ limits }) => real(limits.defaultTimelimit) },
  'limits.timelimit': { heading: 'TLIMIT', value: ({ limits }) => real(limits.timelimit) },
  ...sizeFields(
    (size) => `limits.range.${size}`,
    (size) => `N${size}`,
    ({ limits }, size) => rangeText(limits, size),
  ),
  ...sizeFields(
    (size) => `limits.range.effective.${size}`,
    (size) => `N${size}`,
    ({ limits, resources }, size) => rangeText(limits, size, countOf(resources, 'all', size)),
  ),
  ...sizeFields(
    (size) => `limits.min.${size}`,
    (size) => `MIN${size}`,
    ({ limits }, size) => limits.min[size],
  ),
  ...sizeFields(
    (size) => `limits.max.${size}`,
    (size) => `MAX${size}`,
    ({ limits }, size) => limits.max[size],
  ),
  ...Object.assign({}, ...schedStates.map(resourceFields)),
};

interface ListOptions extends TableOptions {
  queue?: string[];
}

export const listCommand: NestedCommand = {
  summary: 'List the queues, with their limits',
  define: (command) =>
    tableOptions(command.option('-q, --queue <QUEUE,...>', 'Only these queues.', addNames)).action(
      async ({ format: text, header, queue }: ListOptions) => {
        const format = new OutputFormat(loadToolConfig('flux-queue', formats, 'list').choose(text), queueFields);
        const lines = await withHandle((handle) => fetchLines(handle, queue));
        for (const line of format.lines(lines, { header })) print(line);
      },
    ),
};

async function fetchLines(handle: Handle, wanted: readonly string[] | undefined): Promise<QueueLine[]> {
  const [resources, config] = await Promise.all([fetchSchedResources(handle), handle.rpc('config.get')]);
  const queues = Queues.read(config);
  const names = wanted ?? queues.all.map(({ name }) => name);
  for (const name of names) {
    if (!queues.all.some((queue) => queue.name === name)) throw new FluxError('EINVAL', `there is no queue '${name}'`);
  }
  const shown = names.length ? names : [undefined];
  const statuses = await Promise.all(shown.map((name) => fetchQueueStatus(handle, name)));
  return shown.map((name, index) => {
    const status = statuses[index]!;
    return {
      name: name ?? '',
      isDefault: name === defaultQueue(config),
      status,
      limits: readLimits(config, name, status.parent),
      resources: name === undefined ? resources : resources.select(queues.ranksOf([name], resources.all)),
    };
  });
}

/** The queue of jobs that name none. */
function defaultQueue(config: JsonObject): string | undefined {
  const queue = ['policy', 'jobspec', 'defaults', 'system'].reduce<JsonObject>((table, key) => {
    const inner = table[key];
    return isObject(inner) ? inner : {};
  }, config).queue;
  return typeof queue === 'string' ? queue : undefined;
}
