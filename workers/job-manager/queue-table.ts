/**
 * Queues and their state (RFC 33): those of [queues] of the configuration, or else one without a name.
 *
 * A queue with a parent is a virtual one: its jobs are scheduled as the parent's, and only while both are started.
 */

import { FluxError } from '../../core/errno.ts';
import type { JsonObject, JsonValue } from '../../core/json.ts';
import { isObject, unpack } from '../../core/message/unpack.ts';

export class Queue {
  /** Undefined: the one without a name. */
  readonly name: string | undefined;
  /** Jobs may be submitted to it. */
  isEnabled = true;
  disableReason: string | undefined;
  /** Its jobs may have resources; those of a virtual queue only when its parent is started, too. */
  isStarted: boolean;
  stopReason: string | undefined;
  /** Whether it is started after a restart. */
  startsAgain: boolean;
  /** Properties of the nodes that are its own. */
  ownRequires: readonly string[] | undefined;
  parent: Queue | undefined;

  constructor(name: string | undefined) {
    this.name = name;
    this.isStarted = name === undefined;
    this.startsAgain = this.isStarted;
  }

  /** The queue that its jobs are scheduled in. */
  get root(): Queue {
    return this.parent ?? this;
  }

  get isRunning(): boolean {
    return this.isStarted && this.root.isStarted;
  }

  /** Properties that its jobs' nodes must have; undefined: any nodes. */
  get requires(): readonly string[] | undefined {
    return this.root.ownRequires;
  }

  enable(): void {
    this.isEnabled = true;
    this.disableReason = undefined;
  }

  disable(reason: string | undefined): void {
    this.isEnabled = false;
    this.disableReason = reason;
  }

  /** @param isKept it is so after a restart, too */
  start(isKept: boolean): void {
    this.isStarted = true;
    if (isKept) this.startsAgain = true;
    this.stopReason = undefined;
  }

  stop(reason: string | undefined, isKept: boolean): void {
    this.isStarted = false;
    if (isKept) this.startsAgain = false;
    this.stopReason = reason;
  }

  /** What `queue-status` tells. */
  status(isSchedulerReady: boolean): JsonObject {
    const isRunning = isSchedulerReady && this.isRunning;
    const isBlocked = this.isStarted && !isRunning;
    const parent = this.parent?.name;
    let stopReason = this.stopReason;
    if (!isSchedulerReady) stopReason = 'Scheduler is offline';
    else if (isBlocked) stopReason = `parent queue '${parent}' is stopped`;
    return {
      enable: this.isEnabled,
      start: isRunning,
      ...(parent !== undefined && { parent }),
      ...(isBlocked && { blocked: isSchedulerReady ? 'parent' : 'scheduler' }),
      ...(!this.isEnabled && this.disableReason !== undefined && { disable_reason: this.disableReason }),
      ...(!isRunning && stopReason !== undefined && { stop_reason: stopReason }),
    };
  }

  /** What is to be known after a restart. */
  save(): JsonObject {
    return {
      enable: this.isEnabled,
      start: this.startsAgain,
      ...(this.name !== undefined && { name: this.name }),
      ...(!this.isEnabled && this.disableReason !== undefined && { disable_reason: this.disableReason }),
      ...(!this.startsAgain && this.stopReason !== undefined && { stop_reason: this.stopReason }),
    };
  }
}

interface QueueSettings {
  readonly requires: readonly string[] | undefined;
  readonly parent: string | undefined;
}

function invalid(sentence: string): never {
  throw new FluxError('EINVAL', sentence);
}

/** @throws FluxError EINVAL: no table of queues; a parent that can't be one */
function readSettings(queues: JsonValue): Map<string, QueueSettings> {
  if (!isObject(queues)) invalid('queues: configuration must be a table');
  const settings = new Map<string, QueueSettings>();
  for (const [name, table] of Object.entries(queues)) {
    if (!isObject(table)) invalid(`queue ${name}: configuration must be a table`);
    const { requires, parent } = table;
    if (parent !== undefined && typeof parent !== 'string') invalid(`queue '${name}': 'parent' must be a string`);
    if (requires !== undefined && !(Array.isArray(requires) && requires.every((each) => typeof each === 'string')))
      invalid(`queue '${name}': 'requires' must be an array of strings`);
    settings.set(name, { requires: requires as readonly string[] | undefined, parent });
  }
  for (const [name, { parent }] of settings) {
    if (parent === undefined) continue;
    if (parent === name) invalid(`queue '${name}': parent queue is itself`);
    const above = settings.get(parent) ?? invalid(`queue '${name}': parent queue '${parent}' is not configured`);
    if (above.parent !== undefined) invalid(`queue '${name}': parent queue '${parent}' is itself a virtual queue`);
  }
  return settings;
}

export class QueueTable {
  #anonymous: Queue | undefined = new Queue(undefined);
  #named = new Map<string, Queue>();

  get hasNames(): boolean {
    return this.#anonymous === undefined;
  }

  /** Names in the order of the configuration. */
  get names(): string[] {
    return [...this.#named.keys()];
  }

  get all(): Queue[] {
    return this.#anonymous ? [this.#anonymous] : [...this.#named.values()];
  }

  find(name: string | undefined): Queue | undefined {
    return name === undefined ? this.#anonymous : this.#named.get(name);
  }

  /** @throws FluxError EINVAL: there is no such queue */
  get(name: string | undefined): Queue {
    const queue = this.find(name);
    if (queue) return queue;
    throw new FluxError('EINVAL', name === undefined ? 'a named queue is required' : `'${name}' is not a valid queue`);
  }

  /** Those that an administrator names: one, or all of them. */
  select(name: string | undefined): Queue[] {
    return name === undefined && this.hasNames ? this.all : [this.get(name)];
  }

  /**
   * Takes [queues] of a configuration. A queue that stays keeps its state.
   *
   * @throws FluxError EINVAL, and nothing is changed
   */
  configure(queues: JsonValue): void {
    const settings = readSettings(queues);
    const before = this.#named;
    this.#named = new Map(Array.from(settings.keys(), (name) => [name, before.get(name) ?? new Queue(name)]));
    for (const [name, { requires, parent }] of settings) {
      const queue = this.#named.get(name)!;
      queue.ownRequires = requires;
      queue.parent = parent === undefined ? undefined : this.#named.get(parent);
    }
    if (settings.size) this.#anonymous = undefined;
    else this.#anonymous ??= new Queue(undefined);
  }

  save(): JsonObject[] {
    return this.all.map((queue) => queue.save());
  }

  /**
   * Puts queues in the state that they had; those that are not there any more are passed over.
   *
   * @param version 0: what was saved before queues could be stopped; 1
   * @throws FluxError EINVAL: it is not what `save` makes
   */
  restore(version: number, saved: JsonValue): void {
    if ((version !== 0 && version !== 1) || !Array.isArray(saved))
      invalid(`queues of version ${version} are not known`);
    const states = (saved as readonly JsonValue[]).map((entry) =>
      unpack(entry, {
        name: 's?',
        enable: 'b',
        start: version === 0 ? 'b?' : 'b',
        reason: 's?',
        disable_reason: 's?',
        stop_reason: 's?',
      }),
    );
    for (const { name, enable, start, reason, disable_reason = reason, stop_reason } of states) {
      const queue = this.find(name);
      if (!queue) continue;
      if (enable) queue.enable();
      else queue.disable(disable_reason);
      if (start === true) queue.start(true);
      else if (start === false) queue.stop(stop_reason, true);
    }
  }
}
