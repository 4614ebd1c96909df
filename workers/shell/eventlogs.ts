/**
 * What a shell appends to the event logs of its job's namespace: `exec.eventlog` (RFC 21), `output` and `input` (RFC 24).
 */

import type { ServiceContext } from '../../core/broker/service.ts';
import type { JsonObject } from '../../core/json.ts';
import { EventWriter, type LogText } from './event-writer.ts';

const EXEC = 'exec.eventlog';
const OUTPUT = 'output';

/** Events of the leader that plugins add to. */
export type LifeEvent = 'shell.init' | 'shell.start';

export class Eventlogs {
  readonly #context: ServiceContext;
  readonly #writer: EventWriter;
  readonly #lifeContexts = new Map<LifeEvent, JsonObject>();
  #held: [name: string, context: JsonObject | undefined][] | undefined;
  #hasOutput = false;
  #isOver = false;

  /** @param onTaken called when some of the backlog was taken */
  constructor(context: ServiceContext, namespace: string, onTaken: () => void) {
    this.#context = context;
    this.#writer = new EventWriter(context, namespace, onTaken);
  }

  /** Appends an event; those that come when the shell is over, such as what killed tasks still write, go nowhere. */
  append(log: string, name: string, context?: JsonObject): void {
    if (this.#isOver) return;
    if (log === EXEC && this.#held) this.#held.push([name, context]);
    else this.#writer.append(log, { timestamp: this.#context.clock.now(), name, ...(context && { context }) });
  }

  // ---- exec.eventlog

  /** Adds members to the context of an event that is still to come. */
  addContext(event: LifeEvent, context: JsonObject): void {
    this.#lifeContexts.set(event, { ...this.#lifeContexts.get(event), ...context });
  }

  /** Appends an event with the context that was added to it. */
  appendLifeEvent(event: LifeEvent): void {
    this.append(EXEC, event, this.#lifeContexts.get(event));
  }

  /** Keeps further events of `exec.eventlog` back: a task may end while others start, and that is told after `shell.start`. */
  hold(): void {
    this.#held = [];
  }

  /** Appends what was kept back, after `first`. */
  release(first?: LifeEvent): void {
    const held = this.#held ?? [];
    this.#held = undefined;
    if (first) this.appendLifeEvent(first);
    for (const [name, context] of held) this.append(EXEC, name, context);
  }

  // ---- output

  /** Appends the header of `output`, unless it is there. */
  beginOutput(taskCount: number): void {
    if (this.#hasOutput) return;
    this.#hasOutput = true;
    this.append(OUTPUT, 'header', {
      version: 1,
      encoding: { stdout: 'UTF-8', stderr: 'UTF-8' },
      count: { stdout: taskCount, stderr: taskCount },
      options: {},
    });
  }

  // ---- commits

  /** Characters that the KVS has not taken yet. */
  get backlog(): number {
    return this.#writer.backlog;
  }

  /** Sets for how many seconds events wait for others. */
  setDelay(seconds: number): void {
    this.#writer.setDelay(seconds);
  }

  /** The shell is over: takes what is not committed; see `EventWriter.takeRest`. */
  async takeRest(): Promise<LogText[]> {
    const rest = await this.#writer.takeRest();
    this.#isOver = true;
    return rest;
  }
}
