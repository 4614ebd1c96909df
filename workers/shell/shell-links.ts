/** How a shell reaches the other shells of its job: by requests, by what it tells the leader, and by events for all. */

import { FluxError } from '../../core/errno.ts';
import type { Responses } from '../../core/handle/rpc.ts';
import type { JsonObject, JsonValue } from '../../core/json.ts';
import { Flag, type Message } from '../../core/message/message.ts';
import type { JobLayout } from './job-layout.ts';
import { answerTold, LeaderLink } from './leader-link.ts';
import type { Shell } from './plugin.ts';

/** Takes what a shell has told the leader. */
type Taker = (payload: JsonObject, shellRank: number) => void;

export class ShellLinks {
  readonly #shell: Shell;
  readonly #layout: JobLayout;
  readonly #leader: LeaderLink;
  readonly #takers = new Map<string, Taker>();
  readonly #subscriptions: [topic: string, take: (event: Message) => void][] = [];

  /** @param onTaken called when the leader has taken something */
  constructor(shell: Shell, layout: JobLayout, onTaken: () => void) {
    this.#shell = shell;
    this.#layout = layout;
    this.#leader = new LeaderLink(shell, onTaken);
    if (shell.isLeader && shell.size > 1)
      answerTold(shell, (name, payload, shellRank) => this.#told(name, payload, shellRank));
  }

  // ---- requests

  /** @throws FluxError EINVAL: there is no shell of this rank */
  #address(shellRank: number, method: string): { topic: string; nodeid: number } {
    const node = this.#layout.nodes[shellRank];
    if (!node) throw new FluxError('EINVAL', `the job has no shell of rank ${shellRank}`);
    return { topic: `${this.#shell.service}.${method}`, nodeid: node.brokerRank };
  }

  /** See `Shell.rpc`. */
  async rpc(shellRank: number, method: string, payload: JsonValue): Promise<JsonValue | undefined> {
    const { topic, nodeid } = this.#address(shellRank, method);
    return this.#shell.context.rpc(topic, payload, { nodeid });
  }

  /** See `Shell.request`. */
  request(shellRank: number, method: string, payload: JsonValue): Responses {
    const { topic, nodeid } = this.#address(shellRank, method);
    return this.#shell.context.request(topic, payload, { nodeid, flags: Flag.streaming });
  }

  /** See `Shell.notify`. */
  notify(shellRank: number, method: string, payload: JsonValue): void {
    const { topic, nodeid } = this.#address(shellRank, method);
    this.#shell.context.notify(topic, payload, { nodeid });
  }

  // ---- the leader

  /** Bytes that the leader has not taken yet. */
  get backlog(): number {
    return this.#leader.backlog;
  }

  /** See `Shell.tellLeader`. */
  tellLeader(name: string, payload: JsonObject): void {
    if (this.#shell.isLeader) this.#told(name, payload, 0);
    else this.#leader.tell(name, payload);
  }

  /** See `Shell.onTold`. */
  onTold(name: string, take: Taker): void {
    this.#takers.set(name, take);
  }

  #told(name: string, payload: JsonObject, shellRank: number): void {
    this.#takers.get(name)?.(payload, shellRank);
  }

  // ---- events

  /** See `Shell.onEvent`. */
  onEvent(name: string, callback: (payload: JsonValue | undefined) => void): void {
    const topic = `shell-${this.#shell.jobid}.${name}`;
    const take = (event: Message) => {
      if (event.topic === topic) callback(event.json);
    };
    this.#shell.context.subscribe(topic, take);
    this.#subscriptions.push([topic, take]);
  }

  /** Hears no more events. */
  unsubscribe(): void {
    for (const [topic, take] of this.#subscriptions) this.#shell.context.unsubscribe(topic, take);
  }
}
