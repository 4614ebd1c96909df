/** How the processes that a launcher has started become one instance: which of them host which ranks. */

import { FluxError } from '../errno.ts';
import { Hostlist } from '../formats/hostlist.ts';
import { IdSet } from '../formats/idset.ts';
import { type JsonObject, parseJson, stringifyJson } from '../json.ts';
import { isObject, unpack } from '../message/unpack.ts';
import { checkSize } from './instance.ts';

/** What a process tells the others of itself. */
export interface Card {
  readonly hostname: string;
  /** The same for all processes that can have one host their ranks. */
  readonly machine: string;
  /** How many ranks it stands for. */
  readonly ranks: number;
  /** Whether another process of its machine may host them. */
  readonly isShared: boolean;
}

export function encodeCard({ hostname, machine, ranks, isShared }: Card): string {
  return [machine, hostname, ranks, Number(isShared)].join(',');
}

/** @throws FluxError EPROTO: another version of this program wrote it */
export function decodeCard(text: string): Card {
  const [machine = '', hostname = '', ranks, isShared] = text.split(',');
  if (!(Number(ranks) >= 1)) throw new FluxError('EPROTO', `'${text}' is no card of a broker of this version`);
  return { machine, hostname, ranks: Number(ranks), isShared: isShared === '1' };
}

/** A process that hosts ranks, as all learn of it. */
export interface PlannedNode {
  /** The ranks, as an idset. */
  readonly ranks: string;
  /** The launched processes that these are, as an idset; the first of them hosts them all. */
  readonly processes: string;
  readonly machine: string;
}

export interface LaunchPlan {
  readonly size: number;
  readonly instanceId: string;
  /** Seconds since the epoch. */
  readonly startTime: number;
  /** Host names by rank, as a hostlist (RFC 29). */
  readonly hosts: string;
  /** Which ranks share a node, as a task map (RFC 34); null: nobody says. */
  readonly mapping: string | null;
  /** In the order of their first ranks. */
  readonly nodes: readonly PlannedNode[];
}

/** What does not follow from the cards; host names do when absent. */
export type LaunchFacts = Omit<LaunchPlan, 'size' | 'hosts' | 'nodes'> & { readonly hosts?: string | undefined };

/**
 * Ranks go by processes, in order; processes of one machine that share it have one host all their ranks.
 *
 * @throws FluxError EINVAL: they are too many
 */
export function planLaunch(cards: readonly Card[], facts: LaunchFacts): LaunchPlan {
  checkSize(cards.reduce((sum, { ranks }) => sum + ranks, 0));
  const groups = new Map<string, { ranks: [number, number][]; processes: number[]; machine: string }>();
  const hosts: string[] = [];
  for (const [process, { machine, hostname, ranks, isShared }] of cards.entries()) {
    const key = isShared ? machine : `${machine} ${process}`;
    const group = groups.get(key) ?? { ranks: [], processes: [], machine };
    groups.set(key, group);
    group.processes.push(process);
    group.ranks.push([hosts.length, hosts.length + ranks - 1]);
    for (let i = 0; i < ranks; i++) hosts.push(hostname);
  }
  const nodes = Array.from(groups.values(), ({ ranks, processes, machine }) => ({
    ranks: IdSet.ofRanges(ranks).encode(),
    processes: IdSet.from(processes).encode(),
    machine,
  }));
  return { ...facts, size: hosts.length, hosts: facts.hosts ?? Hostlist.from(hosts).encode(), nodes };
}

export function encodeLaunchPlan({ nodes, ...plan }: LaunchPlan): string {
  return stringifyJson({ ...plan, nodes: nodes.map((node) => ({ ...node })) });
}

/** @throws FluxError EPROTO: it is none */
export function decodeLaunchPlan(text: string): LaunchPlan {
  const fields = { size: 'i', instanceId: 's', startTime: 'n', hosts: 's', mapping: '*', nodes: 'a' } as const;
  const { nodes, mapping, ...plan } = unpack(parseJson(text) as JsonObject, fields);
  return {
    ...plan,
    mapping: mapping === null ? null : String(mapping),
    nodes: nodes.map((node) => unpack(isObject(node) ? node : undefined, { ranks: 's', processes: 's', machine: 's' })),
  };
}
