/** The lines of `flux resource list`: resources put together that the columns shown do not tell apart. */

import type { ResourceNode } from '../core/formats/resource-node.ts';
import { ResourceSet } from '../core/formats/resource-set.ts';
import type { Fields } from './output-format.ts';
import { describeByRank, hostsByRank, type SchedResources, type SchedState } from './resource-inventory.ts';
import type { Queue } from './resource-queues.ts';

export interface ResourceLine {
  readonly state: SchedState;
  readonly set: ResourceSet;
  readonly properties: readonly string[];
  /** The properties that no queue is named after. */
  readonly propertiesx: readonly string[];
  readonly queue: string;
}

export const listFields: Fields<ResourceLine> = {
  state: { heading: 'STATE', value: ({ state }) => state },
  queue: { heading: 'QUEUE', value: ({ queue }) => queue },
  properties: { heading: 'PROPERTIES', value: ({ properties }) => properties.join(',') },
  propertiesx: { heading: 'PROPERTIES', value: ({ propertiesx }) => propertiesx.join(',') },
  nnodes: { heading: 'NNODES', value: ({ set }) => set.nodes.length },
  ncores: { heading: 'NCORES', value: ({ set }) => set.count('core') },
  ngpus: { heading: 'NGPUS', value: ({ set }) => set.count('gpu') },
  ranks: { heading: 'RANKS', value: ({ set }) => set.ranks.encode() },
  nodelist: { heading: 'NODELIST', value: ({ set }) => hostsByRank(set).encode() },
  rlist: { heading: 'LIST', value: ({ set }) => describeByRank(set) },
};

/** The columns that tell lines apart; counts and names of nodes do not. */
const distinctFields = ['state', 'properties', 'propertiesx', 'queue'];

export interface LineOptions {
  readonly states: readonly SchedState[];
  /** The fields that are shown. */
  readonly fieldNames: readonly string[];
  readonly queues: readonly Queue[];
  /** The queues that were asked for, if any were. */
  readonly wanted?: readonly string[] | undefined;
  /** Queues that are shown only when they are asked for. */
  readonly hidden?: readonly string[];
}

/** The lines for some states, in the order of these and by rank; a state without resources has lines, too. */
export function resourceLines(resources: SchedResources, options: LineOptions): ResourceLine[] {
  const { states, fieldNames, queues } = options;
  const shown = shownQueues(options);
  const keys = fieldNames.length > 1 || fieldNames.includes('state') ? distinctFields : [];
  const describe = (state: SchedState, set: ResourceSet, queue?: string): ResourceLine => {
    const properties = resources.propertiesOf(state, set);
    return {
      state,
      set,
      properties,
      propertiesx: properties.filter((name) => !queues.some((each) => each.name === name)),
      queue: queue ?? queueNames(set, properties, shown),
    };
  };
  const lines = new Map<string, { line: ResourceLine; queue: string | undefined }>();
  const add = (state: SchedState, set: ResourceSet, queue?: string) => {
    const line = describe(state, set, queue);
    const names = keys.filter((name) => fieldNames.includes(name));
    const key = JSON.stringify(names.map((name) => listFields[name]!.value(line)));
    const known = lines.get(key);
    if (known) known.line = describe(known.line.state, known.line.set.add(set), known.queue);
    else lines.set(key, { line, queue });
  };
  const columns = emptyColumns(options);
  for (const state of states) {
    const set = resources[state];
    if (set.nodes.length) for (const part of splitByProperties(set)) add(state, part);
    else for (const queue of columns) add(state, ResourceSet.empty, queue);
  }
  return [...lines.values()].map(({ line }) => line).sort(byStateAndRank(states));
}

/** The queues that resources are shown to be of: virtual ones and hidden ones only when they are asked for. */
function shownQueues({ queues, wanted, hidden = [] }: LineOptions): readonly Queue[] {
  if (wanted) return queues.filter(({ name }) => wanted.includes(name));
  return queues.filter(({ name, isVirtual }) => !isVirtual && !hidden.includes(name));
}

/** What the column of queues has on the lines of a state without resources. */
function emptyColumns(options: LineOptions): readonly (string | undefined)[] {
  const names = options.wanted ?? shownQueues(options).map(({ name }) => name);
  return names.length ? names : [undefined];
}

function queueNames(set: ResourceSet, properties: readonly string[], queues: readonly Queue[]): string {
  if (set.nodes.length === 0) return '';
  const matches = queues.filter(({ requires }) => requires.every((name) => properties.includes(name)));
  return matches.map(({ name }) => name).join(',');
}

/** The parts of a set whose nodes have the same properties. */
function splitByProperties(set: ResourceSet): ResourceSet[] {
  const parts = new Map<string, ResourceNode[]>();
  for (const node of set.nodes) {
    const key = propertiesKey(node);
    const part = parts.get(key);
    if (part) part.push(node);
    else parts.set(key, [node]);
  }
  return [...parts.values()].map((nodes) => new ResourceSet(nodes));
}

function propertiesKey({ properties }: ResourceNode): string {
  return JSON.stringify(Array.from(properties, ([name]) => name).sort());
}

function byStateAndRank(states: readonly SchedState[]): (a: ResourceLine, b: ResourceLine) => number {
  const first = ({ set }: ResourceLine) => set.ranks.first ?? Number.MAX_SAFE_INTEGER;
  return (a, b) => states.lastIndexOf(a.state) - states.lastIndexOf(b.state) || first(a) - first(b);
}
