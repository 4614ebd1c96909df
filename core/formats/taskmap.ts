/**
 * Task maps: which task of a job runs on which of its nodes (RFC 34).
 *
 * A map is a list of blocks. A block hands out tasks, from where the one before stopped: `ppn` tasks to each of `nnodes`
 * nodes in turn, and that `repeat` times over. A map without blocks says that the mapping is unknown.
 */

import { FluxError } from '../errno.ts';
import { IdSet } from './idset.ts';
import { jsonTypeName, parseJson } from './jansson.ts';

/** More tasks or nodes than this are taken for a mistake, since each can be asked for. */
const COUNT_MAX = 2 ** 24;

export interface TaskBlock {
  /** The first node of the block, counted from 0 within the job. */
  readonly nodeid: number;
  readonly nnodes: number;
  /** Tasks per node. */
  readonly ppn: number;
  readonly repeat: number;
}

/** How a map is written: RFC 34 (bare or wrapped), a list of task idsets per node, PMI-1's mapping, a line per task. */
export type TaskMapForm = 'blocks' | 'wrapped' | 'raw' | 'pmi' | 'multiline';

export class TaskMap {
  static readonly unknown = new TaskMap([]);

  readonly blocks: readonly TaskBlock[];

  private constructor(blocks: readonly TaskBlock[]) {
    this.blocks = blocks;
    if (this.taskCount > COUNT_MAX || this.nodeCount > COUNT_MAX) {
      throw new FluxError('EINVAL', `taskmap has more than ${COUNT_MAX} tasks or nodes`);
    }
  }

  /**
   * Reads a map in any form but `multiline`; throws FluxError EINVAL that says what is wrong with it (RFC 34, and
   * RFC 13 for PMI).
   */
  static parse(text: string): TaskMap {
    if (text === '' || text.includes('vector,')) return parsePmi(text);
    if (!/[({[\]})]/.test(text)) return parseRaw(text);
    return TaskMap.fromJson(parseJson(text));
  }

  /** The map in a JSON value: `[[nodeid, nnodes, ppn, repeat], …]`, or that as `map` of an object with `version` 1. */
  static fromJson(value: unknown): TaskMap {
    const type = jsonTypeName(value);
    if (type !== 'object' && type !== 'array') invalid('taskmap must be an object or array');
    const map = type === 'object' ? unwrap(value as Record<string, unknown>) : value;
    if (!Array.isArray(map)) invalid('taskmap must be an array');
    return new TaskMap(map.map(blockFromJson));
  }

  /** The map that gives `ppn` tasks to each of `nnodes` nodes from `nodeid` on, run after run, in few blocks. */
  static of(runs: Iterable<Omit<TaskBlock, 'repeat'>>): TaskMap {
    const blocks: TaskBlock[] = [];
    for (const run of runs) appendRun(blocks, blockOf(run.nodeid, run.nnodes, run.ppn, 1));
    return new TaskMap(blocks);
  }

  get isUnknown(): boolean {
    return this.blocks.length === 0;
  }

  /** One more than the highest node with a task; 0 when the mapping is unknown. */
  get nodeCount(): number {
    return this.blocks.reduce((count, block) => Math.max(count, block.nodeid + block.nnodes), 0);
  }

  /** How many tasks there are in all; 0 when the mapping is unknown. */
  get taskCount(): number {
    return this.blocks.reduce((count, block) => count + tasksIn(block), 0);
  }

  /**
   * The tasks on a node.
   *
   * Throws FluxError ENOENT when the map has no such node or none of its tasks there, EINVAL when the map is unknown.
   */
  taskids(nodeid: number): IdSet {
    const ranges: [first: number, last: number][] = [];
    let first = 0;
    for (const block of this.#known()) {
      const { nnodes, ppn } = block;
      const index = nodeid - block.nodeid;
      if (nnodes === 1 && index === 0) ranges.push([first, first + tasksIn(block) - 1]);
      else if (index >= 0 && index < nnodes) {
        for (let turn = 0; turn < block.repeat; turn++) {
          const start = first + (turn * nnodes + index) * ppn;
          ranges.push([start, start + ppn - 1]);
        }
      }
      first += tasksIn(block);
    }
    if (!ranges.length) throw new FluxError('ENOENT', `no tasks on node ${nodeid}`);
    return IdSet.ofRanges(ranges);
  }

  /** The node a task is on; throws FluxError ENOENT when there is no such task, EINVAL when the map is unknown. */
  nodeid(taskid: number): number {
    let first = 0;
    for (const block of this.#known()) {
      const index = taskid - first;
      if (index >= 0 && index < tasksIn(block)) {
        return block.nodeid + Math.floor((index % (block.nnodes * block.ppn)) / block.ppn);
      }
      first += tasksIn(block);
    }
    throw new FluxError('ENOENT', `no task ${taskid}`);
  }

  #known(): readonly TaskBlock[] {
    if (this.isUnknown) invalid('taskmap is unknown');
    return this.blocks;
  }

  /** The blocks as RFC 34 has them in JSON. */
  toJson(): [nodeid: number, nnodes: number, ppn: number, repeat: number][] {
    return this.blocks.map(({ nodeid, nnodes, ppn, repeat }) => [nodeid, nnodes, ppn, repeat]);
  }

  /** The map as text; throws FluxError ENOENT for the raw form of a map that leaves out a node. */
  encode(form: TaskMapForm = 'blocks'): string {
    switch (form) {
      case 'blocks':
        return JSON.stringify(this.toJson());
      case 'wrapped':
        return JSON.stringify({ version: 1, map: this.toJson() });
      case 'raw':
        return Array.from({ length: this.nodeCount }, (_, nodeid) => this.taskids(nodeid).encode()).join(';');
      case 'pmi':
        return this.isUnknown ? '' : `(vector,${this.blocks.flatMap(pmiBlocks).join(',')})`;
      case 'multiline':
        return Array.from({ length: this.taskCount }, (_, taskid) => `${taskid}: ${this.nodeid(taskid)}`).join('\n');
    }
  }

  toString(): string {
    return this.encode();
  }
}

function tasksIn(block: TaskBlock): number {
  return block.nnodes * block.ppn * block.repeat;
}

function pmiBlocks({ nodeid, nnodes, ppn, repeat }: TaskBlock): string[] {
  return new Array(repeat).fill(`(${nodeid},${nnodes},${ppn})`);
}

function invalid(sentence: string): never {
  throw new FluxError('EINVAL', sentence);
}

function unwrap(wrapper: Record<string, unknown>): unknown {
  if (!Object.hasOwn(wrapper, 'version')) invalid('Object item not found: version');
  if (!Number.isInteger(wrapper.version)) invalid(`Expected integer, got ${jsonTypeName(wrapper.version)}`);
  if (!Object.hasOwn(wrapper, 'map')) invalid('Object item not found: map');
  if (wrapper.version !== 1) invalid(`expected version=1, got ${wrapper.version}`);
  return wrapper.map;
}

function blockFromJson(entry: unknown, index: number): TaskBlock {
  if (!Array.isArray(entry)) invalid(`entry ${index} in taskmap is not an array`);
  for (let i = 0; i < 4; i++) {
    if (i >= entry.length) invalid(`error in taskmap entry: Array index ${i} out of range`);
    if (!Number.isInteger(entry[i])) {
      invalid(`error in taskmap entry: Expected integer, got ${jsonTypeName(entry[i])}`);
    }
  }
  return blockOf(entry[0], entry[1], entry[2], entry[3]);
}

function blockOf(nodeid: number, nnodes: number, ppn: number, repeat: number): TaskBlock {
  if (!(nodeid >= 0 && nnodes > 0 && ppn > 0 && repeat > 0)) {
    invalid(`invalid entry [${nodeid},${nnodes},${ppn},${repeat}]`);
  }
  return { nodeid, nnodes, ppn, repeat };
}

/** Adds tasks behind the others, growing the last block when that says the same (RFC 34 leaves the choice open). */
function appendRun(blocks: TaskBlock[], run: TaskBlock): void {
  const last = blocks.pop();
  if (!last) {
    blocks.push(run);
  } else if (last.repeat === 1 && run.nodeid === last.nodeid + last.nnodes && run.ppn === last.ppn) {
    pushOrRepeat(blocks, { ...last, nnodes: last.nnodes + run.nnodes });
  } else if (last.repeat === 1 && run.nodeid === last.nodeid && run.nnodes === 1 && last.nnodes === 1) {
    pushOrRepeat(blocks, { ...last, ppn: last.ppn + run.ppn });
  } else {
    blocks.push(last);
    pushOrRepeat(blocks, run);
  }
}

function pushOrRepeat(blocks: TaskBlock[], block: TaskBlock): void {
  const last = blocks.at(-1);
  if (last?.nodeid === block.nodeid && last.nnodes === block.nnodes && last.ppn === block.ppn) {
    blocks[blocks.length - 1] = { ...last, repeat: last.repeat + block.repeat };
  } else blocks.push(block);
}

/** `(vector,(nodeid,nnodes,ppn),…)`; empty text is the unknown map (RFC 13). */
function parsePmi(text: string): TaskMap {
  const runs: TaskBlock[] = [];
  let begun = false;
  for (const part of text.split('(').map((part) => part.trimStart())) {
    if (part.startsWith('vector,')) begun = true;
    else if (part !== '') {
      if (!begun) invalid('vector prefix must precede blocklist');
      const match = /^([+-]?\d+),\s*([+-]?\d+),\s*([+-]?\d+)\)/.exec(part);
      if (!match) invalid(`unable to parse block: (${part}`);
      const [nodeid, nnodes, ppn] = match.slice(1).map(Number) as [number, number, number];
      if (nodeid < 0 || nnodes <= 0 || ppn <= 0) invalid(`invalid number in block: (${part}`);
      runs.push({ nodeid, nnodes, ppn, repeat: 1 });
    }
  }
  return TaskMap.of(runs);
}

/** Idsets of tasks between semicolons, one for each node in order. */
function parseRaw(text: string): TaskMap {
  const nodes = text.split(';').filter((ids) => ids !== '');
  const ranges = nodes.flatMap((ids, nodeid) => Array.from(IdSet.parse(ids).ranges(), (range) => ({ nodeid, range })));
  ranges.sort((a, b) => a.range[0] - b.range[0]);
  let next = 0;
  for (const { range } of ranges) {
    const [first, last] = range;
    if (first < next) invalid(spellOut('duplicate taskid specified', first, Math.min(last, next - 1)));
    if (first > next) invalid(spellOut('missing taskid', next, first - 1));
    next = last + 1;
  }
  return TaskMap.of(ranges.map(({ nodeid, range: [first, last] }) => ({ nodeid, nnodes: 1, ppn: last - first + 1 })));
}

function spellOut(sentence: string, first: number, last: number): string {
  return first === last ? `${sentence}: ${first}` : `${sentence.replace('taskid', 'taskids')}: ${first}-${last}`;
}
