/** `flux overlay`: the tree that connects the ranks. */

import { about, FluxError } from '../core/errno.ts';
import type { Handle } from '../core/handle/handle.ts';
import { rank, withHandle } from './command.ts';
import { fetchHosts, requireRank, translateTarget } from './hosts.ts';
import { runNested } from './nested.ts';
import { errorsCommand } from './overlay-errors.ts';
import { ringCommand } from './overlay-ring.ts';
import { statusCommand } from './overlay-status.ts';
import { print } from './print.ts';
import { Topology } from './topology.ts';
import { type TraceOptions, trace, traceOptions } from './trace.ts';

/** `flux overlay COMMAND …` */
export function run(args: readonly string[]): Promise<number> {
  return runNested('overlay', 'The tree of ranks that messages travel.', commands, args);
}

const commands = {
  status: statusCommand,
  errors: errorsCommand,
  ring: ringCommand,
  lookup: {
    summary: 'Translate ranks to hosts, or hosts to ranks',
    define: (command) =>
      command.argument('<target>', 'an idset of ranks, or a hostlist').action((target: string) =>
        withHandle(async (handle) => {
          const hosts = await fetchHosts(handle);
          print(translateTarget(target, hosts));
        }),
      ),
  },
  parentof: {
    summary: 'Show the rank above a rank',
    define: (command) =>
      command
        .argument('<rank>', 'the rank', rank)
        .action((rank: number) => withHandle(async (handle) => print(await fetchParent(handle, rank)))),
  },
  disconnect: {
    summary: 'Make the ranks of a subtree leave the instance',
    define: (command) =>
      command
        .argument('<target>', 'the rank or host at its top')
        .option('-r, --parent <RANK>', 'The rank above it; by default the tree tells.', rank)
        .action((target: string, options: { parent?: number }) =>
          withHandle((handle) => disconnect(handle, target, options.parent)),
        ),
  },
  reparent: {
    summary: 'Move a rank, and all below it, below another one',
    define: (command) =>
      command
        .argument('<rank>', 'the rank or host to move')
        .argument('<parent>', 'the rank or host that becomes its parent')
        .action((rank: string, parent: string) => withHandle((handle) => reparent(handle, rank, parent))),
  },
  trace: {
    summary: 'Show messages as they pass between ranks',
    define: (command) =>
      traceOptions(
        command
          .argument('[topic-glob]', 'only these topics', '*')
          .option('-r, --rank <RANK>', 'Only messages to and from this neighbour.', rank, -1),
      ).action((topic_glob: string, options: TraceOptions & { rank: number }) =>
        withHandle((handle) =>
          trace(handle, 'overlay.trace', { topic_glob, nodeid: options.rank }, options, ({ prefix, rank }) => {
            return `${prefix} ${rank < 0 ? '*' : rank}`;
          }),
        ),
      ),
  },
} satisfies Parameters<typeof runNested>[2];

async function fetchParent(handle: Handle, rank: number): Promise<number> {
  const parent = (await Topology.fetch(handle)).parentOf(rank);
  if (parent === undefined) throw new FluxError('EINVAL', `rank ${rank} is the root of the tree and has no parent`);
  return parent;
}

async function reparent(handle: Handle, target: string, newParent: string): Promise<void> {
  const hosts = await fetchHosts(handle);
  const [rank, parent] = [requireRank(target, hosts), requireRank(newParent, hosts)];
  await handle.rpc('overlay.reparent', { rank, parent }, { nodeid: 0 });
}

async function disconnect(handle: Handle, target: string, wanted: number | undefined): Promise<void> {
  const hosts = await fetchHosts(handle);
  const rank = requireRank(target, hosts);
  const parent = wanted ?? (await fetchParent(handle, rank));
  if (parent >= hosts.count) throw new FluxError('EINVAL', `this instance has no rank ${parent}`);
  const name = (each: number) => `${hosts.nth(each)} (rank ${each})`;
  console.error(`flux-overlay: asking ${name(parent)} to disconnect child ${name(rank)}`);
  await handle.rpc('overlay.disconnect-subtree', { rank }, { nodeid: parent }).catch((error: unknown) => {
    throw about('overlay.disconnect-subtree', error);
  });
}
