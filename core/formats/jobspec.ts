/**
 * Jobspecs of version 1 (RFC 14, RFC 25): the request for a job, built up in the order of keys that flux-core's commands
 * write.
 */

import { FluxError } from '../errno.ts';
import { type JsonValue, Real } from '../json.ts';
import { encodePythonJson } from './python-json.ts';

type Members = { [key: string]: JsonValue };

/** How many tasks a job has, and on what. */
export interface SlotRequest {
  /** Slots in all, a task on each. */
  readonly slots: number;
  readonly cores: number;
  readonly gpus?: number | undefined;
  readonly nodes?: number | undefined;
  readonly exclusive?: boolean | undefined;
}

/** A request for resources as a whole, with tasks for each of them. */
export interface ResourceRequest {
  readonly nodes?: number | undefined;
  readonly cores?: number | undefined;
  readonly gpusPerNode?: number | undefined;
  readonly exclusive?: boolean | undefined;
  readonly tasksPer?: { readonly type: 'node' | 'core'; readonly count: number } | undefined;
}

/** A file that travels in a jobspec (RFC 37). */
export interface JobspecFile {
  readonly mode: number;
  readonly size?: number;
  readonly data: JsonValue;
  readonly encoding?: 'utf-8' | 'base64';
}

const REGULAR_FILE = 0o100000;

export class Jobspec {
  readonly resources: JsonValue;
  readonly #task: Members;
  readonly #attributes: Members;

  private constructor(resource: JsonValue, command: readonly string[], count: JsonValue) {
    this.resources = [resource];
    this.#task = { command, slot: 'task', count };
    this.#attributes = { system: { duration: 0 } };
  }

  /**
   * A job with a task on each slot.
   *
   * @throws FluxError EINVAL: numbers that do not go together
   */
  static forSlots(command: readonly string[], { slots, cores, gpus = 0, nodes, exclusive }: SlotRequest): Jobspec {
    atLeast(1, 'the number of tasks', slots);
    atLeast(1, 'the number of cores of each', cores);
    atLeast(0, 'the number of GPUs of each', gpus);
    const inSlot = [resource('core', cores), ...(gpus ? [resource('gpu', gpus)] : [])];
    const perSlot = { per_slot: 1 };
    if (nodes === undefined) {
      if (exclusive) throw invalid('nodes can be exclusive only when their number is given');
      return new Jobspec(slot(slots, inSlot), command, perSlot);
    }
    atLeast(1, 'the number of nodes', nodes);
    if (nodes > slots) throw invalid(`${nodes} nodes are more than there are tasks for: ${slots}`);
    const node = nodeResource(nodes, slot(Math.ceil(slots / nodes), inSlot), exclusive);
    return new Jobspec(node, command, slots % nodes ? { total: slots } : perSlot);
  }

  /**
   * A job whose tasks are counted by the nodes or cores that it gets.
   *
   * @throws FluxError EINVAL: numbers that do not go together
   */
  static forResources(command: readonly string[], request: ResourceRequest): Jobspec {
    const { nodes, cores, gpusPerNode, exclusive, tasksPer } = request;
    if (cores !== undefined) atLeast(1, 'the number of cores', cores);
    if (gpusPerNode !== undefined) {
      atLeast(0, 'the number of GPUs of each node', gpusPerNode);
      if (!nodes) throw invalid('GPUs of each node need a number of nodes');
    }
    if (nodes !== undefined) atLeast(1, 'the number of nodes', nodes);
    else if (exclusive) throw invalid('nodes can be exclusive only when their number is given');
    if (!nodes && !cores) throw invalid('a number of nodes or of cores must be given');
    if (nodes && cores && cores % nodes)
      throw invalid(`${cores} cores cannot be shared out evenly among ${nodes} nodes`);
    const coresPerSlot = nodes && cores ? cores / nodes : 1;
    const inSlot = [resource('core', coresPerSlot), ...(gpusPerNode ? [resource('gpu', gpusPerNode)] : [])];
    const slots = slot(nodes ? 1 : cores!, inSlot);
    const jobspec = new Jobspec(nodes ? nodeResource(nodes, slots, exclusive) : slots, command, { per_slot: 1 });
    if (tasksPer) jobspec.setShellOption('per-resource', { ...tasksPer });
    return jobspec;
  }

  /** Counts the tasks of the job in all, whatever its slots. */
  setTotalTasks(total: number): void {
    this.#task.count = { total };
  }

  /**
   * Sets a value below `attributes`; dots in its key part levels.
   *
   * @param key one that begins neither with `attributes.` nor `user.` nor `system.` is below `attributes.system`
   * @throws FluxError EINVAL: a level is there already and is no object
   */
  set(key: string, value: JsonValue): void {
    const path = /^(attributes|user|system)\./.test(key) ? key.replace(/^attributes\./, '') : `system.${key}`;
    let members = this.#attributes;
    const levels = path.split('.');
    const last = levels.pop()!;
    for (const level of levels) {
      if (!Object.hasOwn(members, level)) define(members, level, {});
      const inner = members[level];
      if (!isMembers(inner)) throw invalid(`${key} cannot be set: ${level} is ${encodePythonJson(inner!)}`);
      members = inner;
    }
    define(members, last, value);
  }

  setShellOption(key: string, value: JsonValue): void {
    this.set(`system.shell.options.${key}`, value);
  }

  /** Removes a shell option of the first level. */
  removeShellOption(key: string): void {
    const { shell } = this.#system;
    if (isMembers(shell) && isMembers(shell.options)) delete shell.options[key];
  }

  /** The time that the job may take, in seconds; 0 is without end. */
  setDuration(seconds: number): void {
    if (!(seconds >= 0 && seconds < Infinity)) throw invalid('a time limit must be a finite number and not negative');
    // A Python float, whatever its value.
    this.set('system.duration', Number.isInteger(seconds) ? new Real(seconds) : seconds);
  }

  /** Sends a stream of the job to a file, or takes it from there. */
  setFile(stream: 'stdin' | 'stdout' | 'stderr', path: string): void {
    const option = `${stream === 'stdin' ? 'input' : 'output'}.${stream}`;
    this.setShellOption(`${option}.type`, 'file');
    this.setShellOption(`${option}.path`, path);
  }

  /** Has the shell hold no output back. */
  setUnbuffered(): void {
    this.setShellOption('output.stdout.buffer.type', 'none');
    this.setShellOption('output.stderr.buffer.type', 'none');
    this.setShellOption('output.batch-timeout', 0.05);
    this.setShellOption('input.batch-timeout', new Real(0));
  }

  /** Adds a file to extract where the job runs; one of the same name is replaced. */
  addFile(name: string, file: JobspecFile): void {
    const { mode, size, data, encoding } = file;
    const entry: Members = { mode: mode & ~0o7777 ? mode : mode | REGULAR_FILE };
    if (size !== undefined) entry.size = size;
    entry.data = data;
    if (encoding !== undefined) entry.encoding = encoding;
    const system = this.#system;
    if (!isMembers(system.files)) system.files = {};
    define(system.files as Members, name, entry);
  }

  setEnvironment(name: string, value: string): void {
    this.set('system.environment', { ...(this.#system.environment as Members), [name]: value });
  }

  get #system(): Members {
    const { system } = this.#attributes;
    if (!isMembers(system)) throw invalid('attributes.system is no object');
    return system;
  }

  /** The JSON text, byte for byte what flux-core's commands make. */
  encode(): string {
    return encodePythonJson({
      resources: this.resources,
      tasks: [this.#task],
      attributes: this.#attributes,
      version: 1,
    });
  }
}

function invalid(sentence: string): FluxError {
  return new FluxError('EINVAL', sentence);
}

function atLeast(least: number, what: string, value: number): void {
  if (!(value >= least)) throw invalid(`${what} must be at least ${least}, not ${value}`);
}

function resource(type: string, count: number): Members {
  return { type, count };
}

function slot(count: number, inside: JsonValue[]): Members {
  return { ...resource('slot', count), with: inside, label: 'task' };
}

function nodeResource(count: number, inside: Members, exclusive = false): Members {
  return { ...resource('node', count), ...(exclusive && { exclusive }), with: [inside] };
}

function isMembers(value: JsonValue | undefined): value is Members {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Real);
}

/** Sets a member whatever its name; an assignment to `__proto__` would not. */
function define(members: Members, key: string, value: JsonValue): void {
  Object.defineProperty(members, key, { value, writable: true, enumerable: true, configurable: true });
}
