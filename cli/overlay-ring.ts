/** `flux overlay ring`: which processes are reached by the debug ring, and how fast. */

import { asFluxError, FluxError } from '../core/errno.ts';
import type { Hostlist } from '../core/formats/hostlist.ts';
import { IdSet } from '../core/formats/idset.ts';
import { atMost } from '../core/handle/at-most.ts';
import type { Handle } from '../core/handle/handle.ts';
import { type JsonObject, real } from '../core/json.ts';
import { duration, Exit, withHandle } from './command.ts';
import { fetchHosts, requireRank } from './hosts.ts';
import { indentJson } from './json.ts';
import { within } from './limits.ts';
import type { NestedCommand } from './nested.ts';
import { print } from './print.ts';
import { askByRing, fetchRing } from './ring.ts';

interface Options {
  timeout: number;
  json?: boolean;
}

/** A process, and what asking one of its ranks came to. */
interface Probe {
  readonly process: number;
  readonly ranks: string;
  readonly hosts: string;
  /** The rank that was asked. */
  readonly rank: number;
  readonly outcome: Reached | FluxError;
}

interface Reached {
  /** The processes that the request came by. */
  readonly way: readonly number[];
  readonly milliseconds: number;
}

/** Processes asked at a time: of more the times would tell how they wait for each other. */
const REQUESTS_MAX = 4;
/** Seconds: longer than it takes to notice that a process stands still. */
const TIMEOUT = 5;

export const ringCommand: NestedCommand = {
  summary: 'Show which processes are reached by the debug ring, past the tree',
  define: (command) =>
    command
      .argument('[rank]', 'only this rank, or host')
      .option('-t, --timeout <DURATION>', 'Bound for each answer; 0 is none.', duration, TIMEOUT)
      .option('--json', 'Print JSON.')
      .action((target: string | undefined, options: Options) =>
        withHandle((handle) => showRing(handle, target, options)),
      ),
};

async function showRing(handle: Handle, target: string | undefined, options: Options): Promise<void> {
  const [hosts, ring] = await Promise.all([fetchHosts(handle), fetchRing(handle)]);
  const all = ring.processes.map(({ ranks }, process) => ({ process, ranks: IdSet.parse(ranks) }));
  const run = atMost(REQUESTS_MAX);
  const probeRank = (process: number, ranks: IdSet, rank: number): Promise<Probe> =>
    run(() => probe(handle, process, ranks, rank, hosts, options.timeout));
  let probes: Probe[];
  if (target === undefined)
    probes = await Promise.all(all.map(({ process, ranks }) => probeRank(process, ranks, ranks.first!)));
  else {
    const rank = requireRank(target, hosts);
    const found = all.find(({ ranks }) => ranks.has(rank));
    if (!found) throw new FluxError('EINVAL', `this instance has no rank ${rank}`);
    probes = [await probeRank(found.process, found.ranks, rank)];
  }
  if (options.json) print(indentJson(target === undefined ? { processes: probes.map(toJson) } : toJson(probes[0]!)));
  else if (target === undefined) for (const line of table(probes, ring.process)) print(line);
  else print(sentence(probes[0]!, hosts));
  if (probes.some(({ outcome }) => outcome instanceof FluxError)) throw new Exit(1);
}

async function probe(
  handle: Handle,
  process: number,
  ranks: IdSet,
  rank: number,
  hosts: Hostlist,
  timeout: number,
): Promise<Probe> {
  const answer = await within(timeout, pingTwice(handle, rank)).catch(asFluxError);
  // That it is not allowed, or there is no such thing, is no outcome of the ring.
  if (answer instanceof FluxError && !faults.includes(answer.code)) throw answer;
  return { process, ranks: ranks.encode(), hosts: hosts.pick(ranks).uniq().encode(), rank, outcome: answer };
}

/** The first request notices that a process stands still, and is lost there; the second one finds the other way. */
function pingTwice(handle: Handle, rank: number): Promise<Reached> {
  return ping(handle, rank).catch((error: unknown) => {
    if (asFluxError(error).code !== 'EHOSTUNREACH') throw error;
    return ping(handle, rank);
  });
}

async function ping(handle: Handle, rank: number): Promise<Reached> {
  const start = performance.now();
  const { way } = await askByRing(handle, rank, 'broker.ping', {});
  return { way, milliseconds: performance.now() - start };
}

/** How the ring fails. */
const faults = ['EHOSTUNREACH', 'ETIMEDOUT', 'EAGAIN'];

function faultOf(error: FluxError): string {
  if (error.code === 'ETIMEDOUT' && error.detail === undefined) return 'no answer in time';
  return error.message.replace(/^rank \d+ is not reached over the ring: /, '');
}

function* table(probes: readonly Probe[], own: number): Generator<string> {
  const rows = probes.map(({ process, ranks, hosts, outcome }) => {
    if (outcome instanceof FluxError) return [String(process), ranks, hosts, 'no', faultOf(outcome)];
    return [String(process), ranks, hosts, process === own ? 'here' : 'yes', `${outcome.milliseconds.toFixed(3)} ms`];
  });
  const all = [['PROCESS', 'RANKS', 'HOSTS', 'REACHED', 'TIME'], ...rows];
  const widths = all[0]!.map((_, column) => Math.max(...all.map((row) => row[column]!.length)));
  for (const row of all)
    yield row
      .map((text, column) => text.padEnd(widths[column]!))
      .join('  ')
      .trimEnd();
}

function sentence({ rank, process, outcome }: Probe, hosts: Hostlist): string {
  const name = `rank ${rank} (${hosts.nth(rank)}, process ${process})`;
  if (outcome instanceof FluxError) return `${name} is not reached: ${faultOf(outcome)}`;
  const { way, milliseconds } = outcome;
  const between = way.slice(1, -1);
  const how = way.length === 1 ? 'in this process' : between.length ? `by way of ${nodes(between)}` : 'directly';
  return `${name} is reached in ${milliseconds.toFixed(3)} ms, ${how}`;
}

function nodes(list: readonly number[]): string {
  return `${list.length === 1 ? 'process' : 'processes'} ${list.join(', ')}`;
}

function toJson({ process, ranks, hosts, rank, outcome }: Probe): JsonObject {
  const place = { process, ranks, hosts, rank };
  if (outcome instanceof FluxError) return { ...place, reached: false, error: faultOf(outcome) };
  return { ...place, reached: true, response_ms: real(outcome.milliseconds), way: outcome.way };
}
