/** `flux overlay errors`: why ranks are lost or offline, one line for each reason. */

import { IdSet } from '../core/formats/idset.ts';
import { atMost } from '../core/handle/at-most.ts';
import type { Handle } from '../core/handle/handle.ts';
import { duration, withHandle } from './command.ts';
import { fetchHosts, hostsOf } from './hosts.ts';
import type { NestedCommand } from './nested.ts';
import { type ChildHealth, fetchHealth, HEALTH_TIMEOUT, isOnline, sentenceOf } from './overlay-health.ts';
import { print } from './print.ts';
import { Topology } from './topology.ts';

/** Ranks asked at a time. */
const REQUESTS_MAX = 512;

/** Ranks from which on the default bound grows with the instance, whose root then has a long answer to write. */
const LARGE_SIZE = 2000;

export const errorsCommand: NestedCommand = {
  summary: 'Show why ranks are lost or offline',
  define: (command) =>
    command
      .option('-t, --timeout <DURATION>', 'Bound for each answer; 0 is none.', duration)
      .option('--json', 'Print a JSON object: the ranks of each error.')
      .action((options: { timeout?: number; json?: boolean }) =>
        withHandle((handle) => showErrors(handle, options.timeout, options.json ?? false)),
      ),
};

async function showErrors(handle: Handle, wanted: number | undefined, json: boolean): Promise<void> {
  const [hosts, topology] = await Promise.all([fetchHosts(handle), Topology.fetch(handle)]);
  const timeout = wanted ?? HEALTH_TIMEOUT * Math.max(1, topology.size / LARGE_SIZE);
  const errors = await gather(handle, topology, timeout);
  const sorted = [...errors].sort(([, a], [, b]) => a.first! - b.first!);
  if (json) print(JSON.stringify(Object.fromEntries(sorted.map(([error, ranks]) => [error, ranks.encode()]))));
  else for (const [error, ranks] of sorted) print(`${hostsOf(ranks, hosts)}: ${error}`);
}

/** The ranks of each error. */
async function gather(handle: Handle, topology: Topology, timeout: number): Promise<Map<string, IdSet>> {
  const errors = new Map<string, IdSet>();
  const note = (error: string, ranks: IdSet) => {
    if (ranks.count) errors.set(error, (errors.get(error) ?? IdSet.empty).union(ranks));
  };
  const noteLost = (rank: number, error: string) => {
    note(error, IdSet.empty.add(rank));
    note('lost parent', topology.descendantsOf(rank));
  };
  const run = atMost(REQUESTS_MAX);
  const visit = async (rank: number): Promise<void> => {
    let children: readonly ChildHealth[];
    try {
      ({ children } = await run(() => fetchHealth(handle, rank, timeout)));
    } catch (error) {
      noteLost(rank, sentenceOf(error));
      return;
    }
    const visits = children.map((child) => {
      if (isOnline(child)) return visit(child.rank);
      if (child.status === 'lost') noteLost(child.rank, child.error ?? 'unknown error');
      else if (child.error) note(child.error, IdSet.empty.add(child.rank));
      return undefined;
    });
    await Promise.all(visits);
  };
  await visit(0);
  return errors;
}
