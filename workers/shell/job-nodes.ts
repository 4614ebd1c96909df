/**
 * The nodes of a job as its plugins see them: those of the layout, with the tasks that its task map puts there. Each is made
 * when it is first asked for: a job of a thousand nodes has as many shells, and most ask for their own alone.
 */

import { FluxError } from '../../core/errno.ts';
import { IdSet } from '../../core/formats/idset.ts';
import type { TaskMap } from '../../core/formats/taskmap.ts';
import { type JobLayout, trimmed } from './job-layout.ts';
import type { ShellNode } from './plugin.ts';

export class JobNodes {
  readonly #layout: JobLayout;
  #taskmap: TaskMap;
  #nodes: (ShellNode | undefined)[];

  constructor(layout: JobLayout) {
    this.#layout = layout;
    this.#taskmap = layout.taskmap;
    this.#nodes = new Array(layout.nodes.length);
  }

  get taskmap(): TaskMap {
    return this.#taskmap;
  }

  /** Puts the tasks elsewhere. */
  setTaskmap(taskmap: TaskMap): void {
    this.#taskmap = taskmap;
    this.#nodes = new Array(this.#layout.nodes.length);
  }

  /** The node of the shell of a rank; undefined when there is none. */
  at(shellRank: number): ShellNode | undefined {
    const node = this.#layout.nodes[shellRank];
    if (!node) return undefined;
    this.#nodes[shellRank] ??= this.#make(shellRank);
    return this.#nodes[shellRank];
  }

  #make(shellRank: number): ShellNode {
    const taskids = taskidsOf(this.#taskmap, shellRank);
    const { brokerRank, hostname, cores, gpus } = trimmed(this.#layout, this.#layout.nodes[shellRank]!, taskids.count);
    return { id: shellRank, hostname, brokerRank, taskids, cores, gpus };
  }

  /** All of them, by the ranks of their shells. */
  all(): readonly ShellNode[] {
    return this.#layout.nodes.map((_, shellRank) => this.at(shellRank)!);
  }
}

/** A job may have nodes without tasks. */
function taskidsOf(map: TaskMap, nodeid: number): IdSet {
  try {
    return map.taskids(nodeid);
  } catch (error) {
    if (error instanceof FluxError && error.code === 'ENOENT') return IdSet.empty;
    throw error;
  }
}
