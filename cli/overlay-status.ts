/** `flux overlay status`: the tree of ranks, and how each of its subtrees is. */

import { type Command, Option } from 'commander';
import { about, FluxError } from '../core/errno.ts';
import { formatDuration } from '../core/formats/duration.ts';
import type { Hostlist } from '../core/formats/hostlist.ts';
import { atMost } from '../core/handle/at-most.ts';
import type { Handle } from '../core/handle/handle.ts';
import type { JsonValue } from '../core/json.ts';
import { collect, count, duration, increase, rank, withHandle } from './command.ts';
import { fetchHosts, ranksOf } from './hosts.ts';
import { indentJson } from './json.ts';
import type { NestedCommand } from './nested.ts';
import {
  type ChildHealth,
  fetchHealth,
  HEALTH_TIMEOUT,
  type Health,
  isOnline,
  type SubtreeStatus,
  sentenceOf,
  subtreeStatuses,
} from './overlay-health.ts';
import { print } from './print.ts';
import { type ColorOption, colorOption, painter, type Style } from './terminal.ts';
import { Topology } from './topology.ts';

interface Options {
  rank: number;
  v: number;
  verbose?: true | number;
  timeout: number;
  summary?: boolean;
  down?: boolean;
  pretty: boolean;
  ghost: boolean;
  color?: ColorOption;
  highlight: string[];
  wait?: SubtreeStatus;
  json?: boolean;
}

/** A rank as it is shown. */
interface Node {
  readonly rank: number;
  /** Its status, or why it does not answer. */
  readonly status: string;
  readonly duration?: number | undefined;
  readonly error?: string | undefined;
  /** Below a rank that cannot be asked: its status is presumed. */
  readonly isGhost?: boolean;
  /** How long it took to answer. */
  readonly elapsedMs?: number | undefined;
  readonly children: readonly Node[];
}

/** Ranks asked at a time. */
const REQUESTS_MAX = 128;

export const statusCommand: NestedCommand = {
  summary: 'Show the tree of ranks and how its subtrees are',
  define: (command: Command) =>
    colorOption(
      command
        .option('-r, --rank <RANK>', 'Begin at this rank.', rank, 0)
        .option('-v', 'Show how long each status holds; twice: and how long each rank took to answer.', increase, 0)
        .option('--verbose [LEVEL]', 'The same.', count)
        .option('-t, --timeout <DURATION>', 'Bound for each answer; 0 is none.', duration, HEALTH_TIMEOUT)
        .option('--summary', 'Show only the status of the whole.')
        .option('--down', 'Show only what is not full.')
        .option('--no-pretty', 'Draw no tree.')
        .option('--no-ghost', 'Leave out ranks that cannot be asked because one above them is lost or offline.')
        .option('-H, --highlight <TARGET>', 'Point out ranks or hosts, and those above them.', collect, []),
    )
      .addOption(
        new Option('-w, --wait <STATUS>', 'Wait until the whole is in this status.').choices([...subtreeStatuses]),
      )
      .option('--json', 'Print the tree as JSON.')
      .action((options: Options) => withHandle((handle) => showStatus(handle, options))),
};

async function showStatus(handle: Handle, options: Options): Promise<void> {
  const [hosts, topology] = await Promise.all([fetchHosts(handle), Topology.fetch(handle)]);
  const highlighted = topology.withAncestors(options.highlight.flatMap((target) => highlight(target, hosts, topology)));
  const verbose = Math.max(options.v, options.verbose === true ? 1 : (options.verbose ?? 0));
  const walker = new Walker(handle, topology, options, verbose);
  const root = await walker.walk();
  if (!root) return;
  if (options.json) print(indentJson(toJson(root, hosts)));
  else for (const line of format(root, hosts, highlighted, options, verbose)) print(line);
}

function highlight(target: string, hosts: Hostlist, topology: Topology): number[] {
  try {
    const ranks = ranksOf(target, hosts);
    if ((ranks.last ?? 0) < topology.size) return [...ranks];
  } catch (error) {
    throw about(`--highlight ${target}`, error);
  }
  throw new FluxError('EINVAL', `--highlight ${target}: the ranks of this instance are 0-${topology.size - 1}`);
}

/** Asks rank by rank what there is to show. */
class Walker {
  readonly #handle: Handle;
  readonly #topology: Topology;
  readonly #options: Options;
  readonly #verbose: number;
  readonly #run: ReturnType<typeof atMost>;

  constructor(handle: Handle, topology: Topology, options: Options, verbose: number) {
    this.#handle = handle;
    this.#topology = topology;
    this.#options = options;
    this.#verbose = verbose;
    // Requests that wait for each other would tell of that, not of the ranks.
    this.#run = atMost(verbose > 1 ? 1 : REQUESTS_MAX);
  }

  /** The tree; undefined when there is nothing to show. */
  async walk(): Promise<Node | undefined> {
    const { rank, wait, summary } = this.#options;
    const [health, elapsedMs] = await this.#ask(rank, wait).catch((error: unknown) => {
      throw about(`rank ${rank}`, error);
    });
    const node = { ...health, elapsedMs, children: [] };
    if (summary) return node;
    if (this.#isLeftOut(health)) return undefined;
    return { ...node, children: await this.#children(health) };
  }

  #ask(rank: number, wait?: SubtreeStatus): Promise<[health: Health, elapsedMs: number]> {
    return this.#run(async () => {
      const start = performance.now();
      const health = await fetchHealth(this.#handle, rank, this.#options.timeout, wait);
      return [health, performance.now() - start];
    });
  }

  #isLeftOut({ status }: ChildHealth): boolean {
    return this.#options.down === true && status === 'full';
  }

  async #children(health: Health): Promise<Node[]> {
    const shown = health.children.filter((child) => !this.#isLeftOut(child));
    return Promise.all(shown.map((child) => this.#child(child)));
  }

  async #child(child: ChildHealth): Promise<Node> {
    const { rank } = child;
    if (!isOnline(child)) return { ...child, children: this.#ghosts(rank, child.status) };
    const isLeaf = this.#topology.childrenOf(rank).length === 0;
    if (isLeaf && this.#verbose < 2) return { ...child, children: [] };
    const start = performance.now();
    try {
      const [health, elapsedMs] = await this.#ask(rank);
      return { ...health, elapsedMs, children: await this.#children(health) };
    } catch (error) {
      // Its parent has not noticed yet.
      const elapsedMs = performance.now() - start;
      return { rank, status: sentenceOf(error), elapsedMs, children: this.#ghosts(rank, child.status) };
    }
  }

  #ghosts(above: number, status: SubtreeStatus): Node[] {
    if (!this.#options.ghost) return [];
    const ranks = this.#topology.childrenOf(above);
    return ranks.map((rank) => ({ rank, status, isGhost: true, children: this.#ghosts(rank, status) }));
  }
}

const statusStyles: Readonly<Record<string, Style>> = { lost: 'red', offline: 'yellow' };

function* format(
  root: Node,
  hosts: Hostlist,
  highlighted: ReadonlySet<number>,
  options: Options,
  verbose: number,
): Generator<string> {
  const paint = painter(options.color);
  const isColored = paint('bold', '') !== '';
  const name = (rank: number) => {
    const text = `${rank} ${hosts.nth(rank)}`;
    if (!highlighted.has(rank)) return text;
    return isColored ? paint('boldBlue', text) : `<<${text}>>`;
  };
  const describe = (node: Node) => {
    const status = paint(node.isGhost ? 'gray' : statusStyles[node.status], node.status);
    const time = verbose > 0 && Number(node.duration) > 0 ? ` for ${formatDuration(Number(node.duration))}` : '';
    const elapsed = verbose > 1 && node.elapsedMs !== undefined ? ` (${node.elapsedMs.toFixed(3)} ms)` : '';
    return `${status}${time}${node.error ? ` ${node.error}` : ''}${elapsed}`;
  };
  function* subtree(node: Node, prefix: string, indent: string): Generator<string> {
    yield `${prefix}${name(node.rank)}: ${describe(node)}`;
    for (const [index, child] of node.children.entries()) {
      const isLast = index === node.children.length - 1;
      if (!options.pretty) yield* subtree(child, '', '');
      else yield* subtree(child, `${indent}${isLast ? '└─ ' : '├─ '}`, `${indent}${isLast ? '   ' : '│  '}`);
    }
  }
  if (options.summary) yield describe(root);
  else yield* subtree(root, '', '');
}

function toJson(node: Node, hosts: Hostlist): JsonValue {
  const { rank, status, duration, error, isGhost, elapsedMs, children } = node;
  return {
    rank,
    host: hosts.nth(rank),
    status,
    duration,
    error: error || undefined,
    presumed: isGhost,
    response_ms: elapsedMs,
    children: children.map((child) => toJson(child, hosts)),
  };
}
