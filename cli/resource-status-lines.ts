/** The lines of `flux resource status`: ranks by the state that administrators see, and whether they are online. */

import { Hostlist } from '../core/formats/hostlist.ts';
import { IdSet } from '../core/formats/idset.ts';
import type { ResourceSet } from '../core/formats/resource-set.ts';
import type { JsonObject, JsonValue, Real } from '../core/json.ts';
import { isObject } from '../core/message/unpack.ts';
import type { Fields } from './output-format.ts';
import { hostOf, readResourceSet } from './resource-inventory.ts';

/** States of ranks; a rank may be in several. */
export const rankStates = ['avail', 'exclude', 'allocated', 'torpid', 'housekeeping', 'draining', 'drained'] as const;
export type RankState = (typeof rankStates)[number];

/** What `--states` takes: these, and what stands for several of them or restricts them. */
export const statusStates = [
  'all',
  'online',
  'avail',
  'offline',
  'exclude',
  'drain',
  'draining',
  'drained',
  'torpid',
  'allocated',
  'housekeeping',
] as const;
export type StatusState = (typeof statusStates)[number];

export const defaultStates: readonly StatusState[] = [
  'avail',
  'exclude',
  'draining',
  'drained',
  'torpid',
  'housekeeping',
];

/** When and why a rank was drained. */
interface Drain {
  readonly timestamp: number | Real;
  readonly reason: string;
}

/** What the services tell of ranks. */
export interface StatusAnswers {
  /** The answer of `resource.status`; nothing is an instance without resources. */
  readonly status?: JsonObject | undefined;
  readonly allocated?: IdSet;
  readonly housekeeping?: IdSet;
}

/** The state of every rank. */
export class ResourceStatus {
  readonly set: ResourceSet;
  readonly online: IdSet;
  readonly offline: IdSet;
  readonly drains: ReadonlyMap<number, Drain>;
  readonly #ranks: Readonly<Record<RankState, IdSet>>;

  /** @param included the only ranks that count; undefined: all do */
  constructor({ status = {}, allocated, housekeeping }: StatusAnswers, included?: IdSet) {
    const keep = (ranks: IdSet) => (included ? ranks.intersect(included) : ranks);
    const member = (name: string) => keep(readIdset(status[name]));
    this.set = readResourceSet(status.R);
    this.online = member('online');
    this.offline = member('offline');
    this.drains = new Map(readDrains(status.drain).filter(([rank]) => !included || included.has(rank)));
    const drain = IdSet.from(this.drains.keys());
    const busy = keep(allocated ?? IdSet.empty);
    const [exclude, torpid] = [member('exclude'), member('torpid')];
    this.#ranks = {
      avail: [exclude, torpid, drain].reduce((ranks, other) => ranks.difference(other), keep(this.set.ranks)),
      exclude,
      allocated: busy,
      torpid,
      housekeeping: keep(housekeeping ?? IdSet.empty),
      draining: drain.intersect(busy),
      drained: drain.difference(busy),
    };
  }

  ranks(state: RankState): IdSet {
    return this.#ranks[state];
  }

  hosts(ranks: IdSet): Hostlist {
    const nodes = Array.from(ranks).flatMap((rank) => this.set.node(rank) ?? []);
    return Hostlist.from(nodes.map(hostOf));
  }
}

function readIdset(value: JsonValue | undefined): IdSet {
  return typeof value === 'string' ? IdSet.parse(value) : IdSet.empty;
}

function readDrains(table: JsonValue | undefined): [rank: number, drain: Drain][] {
  return Object.entries(isObject(table) ? table : {}).flatMap(([ranks, entry]) => {
    const { timestamp = 0, reason } = isObject(entry) ? entry : {};
    const drain = { timestamp: timestamp as number | Real, reason: typeof reason === 'string' ? reason : '' };
    return Array.from(IdSet.parse(ranks), (rank): [number, Drain] => [rank, drain]);
  });
}

export interface StatusLine {
  readonly state: RankState;
  readonly isOnline: boolean;
  readonly ranks: IdSet;
  readonly hosts: Hostlist;
  readonly reason: string;
  readonly timestamp: number | Real | '';
}

/** Terminal sequences as flux-core has them in its fields `color_up` and `color_off`. */
const colors = { online: '\x1b[01;32m', offline: '\x1b[01;31m', off: '\x1b[0;0m' };
export const colorFields = ['color_up', 'color_off'];

export const statusFields: Fields<StatusLine> = {
  state: { heading: 'STATE', value: ({ state, isOnline }) => (isOnline ? state : `${state}*`) },
  statex: { heading: 'STATE', value: ({ state }) => state },
  nnodes: { heading: 'NNODES', value: ({ hosts }) => hosts.count },
  ranks: { heading: 'RANKS', value: ({ ranks }) => ranks.encode() },
  nodelist: { heading: 'NODELIST', value: ({ hosts }) => hosts.encode() },
  reason: { heading: 'REASON', value: ({ reason }) => reason },
  timestamp: { heading: 'TIME', value: ({ timestamp }) => timestamp },
  status: { heading: 'STATUS', value: ({ isOnline }) => (isOnline ? 'online' : 'offline') },
  up: { heading: 'UP', value: ({ isOnline }) => (isOnline ? '✔' : '✗') },
  'up.ascii': { heading: 'UP', value: ({ isOnline }) => (isOnline ? 'y' : 'n') },
  color_up: { heading: '', value: ({ isOnline }) => (isOnline ? colors.online : colors.offline) },
  color_off: { heading: '', value: () => colors.off },
};

/** Fields that do not tell lines apart. */
export const collectedFields = ['nodelist', 'ranks', 'nnodes'];

/** Which lines are wanted. */
export class StatusFilter {
  readonly #states: ReadonlySet<StatusState>;
  /** Neither `online` nor `offline` is both. */
  readonly #hasOnline: boolean;
  readonly #hasOffline: boolean;
  readonly #skipsEmpty: boolean;

  /** @param given the states that were asked for, if any were */
  constructor(given: readonly StatusState[] | undefined, skipEmpty = false) {
    const states = new Set(given ?? defaultStates);
    if ([...states].every((state) => state === 'online' || state === 'offline'))
      for (const state of defaultStates) states.add(state);
    if (states.has('drain')) states.add('draining').add('drained');
    this.#states = states;
    this.#hasOnline = states.has('online') || !states.has('offline');
    this.#hasOffline = states.has('offline') || !states.has('online');
    this.#skipsEmpty = skipEmpty || given === undefined;
  }

  wants(state: RankState): boolean {
    return this.#states.has('all') || this.#states.has(state);
  }

  wantsStatus(isOnline: boolean): boolean {
    return isOnline ? this.#hasOnline : this.#hasOffline;
  }

  /** Whether a line is shown; those without ranks are only when they were asked for. */
  shows({ isOnline, hosts }: StatusLine): boolean {
    return hosts.count > 0 || !(this.#skipsEmpty || (!isOnline && !this.#states.has('offline')));
  }
}

/**
 * The lines of a status.
 *
 * @param keyOf what tells lines apart: those of the same key are put together
 */
export function statusLines(
  status: ResourceStatus,
  filter: StatusFilter,
  keyOf: (line: StatusLine) => string,
): StatusLine[] {
  const lines = new Map<string, StatusLine>();
  for (const line of singleLines(status, filter)) {
    const key = keyOf(line);
    const known = lines.get(key);
    lines.set(key, known ? join(known, line) : line);
  }
  return [...lines.values()].filter((line) => filter.shows(line));
}

function join(line: StatusLine, other: StatusLine): StatusLine {
  return { ...line, ranks: line.ranks.union(other.ranks), hosts: line.hosts.append(other.hosts).sort() };
}

function* singleLines(status: ResourceStatus, filter: StatusFilter): Generator<StatusLine> {
  for (const state of rankStates) {
    if (!filter.wants(state)) continue;
    if (state === 'draining' || state === 'drained') yield* drainLines(status, state, filter);
    else yield* plainLines(status, state, filter);
  }
}

function* plainLines(status: ResourceStatus, state: RankState, filter: StatusFilter): Generator<StatusLine> {
  const all = status.ranks(state);
  for (const isOnline of [true, false]) {
    if (!filter.wantsStatus(isOnline)) continue;
    const ranks = withoutShown(state, all, status, filter).intersect(isOnline ? status.online : status.offline);
    yield { state, isOnline, ranks, hosts: status.hosts(ranks), reason: '', timestamp: '' };
  }
}

/** Torpid ranks that are drained are shown as drained, where that is shown. */
function withoutShown(state: RankState, ranks: IdSet, status: ResourceStatus, filter: StatusFilter): IdSet {
  if (state !== 'torpid') return ranks;
  const drains = (['draining', 'drained'] as const).filter((each) => filter.wants(each));
  return drains.reduce((rest, each) => rest.difference(status.ranks(each)), ranks);
}

/** A line for each rank, for each has a time and a reason of its own. */
function* drainLines(status: ResourceStatus, state: RankState, filter: StatusFilter): Generator<StatusLine> {
  const all = status.ranks(state);
  if (all.count === 0 && filter.wantsStatus(true))
    yield { state, isOnline: true, ranks: all, hosts: Hostlist.empty, reason: '', timestamp: '' };
  for (const rank of all) {
    const isOnline = status.online.has(rank);
    if (!filter.wantsStatus(isOnline)) continue;
    const ranks = IdSet.from([rank]);
    yield { state, isOnline, ranks, hosts: status.hosts(ranks), ...status.drains.get(rank)! };
  }
}
