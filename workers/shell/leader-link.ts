/**
 * How a shell tells its leader things: in order, several in one request, and no more than the leader takes. An answer comes
 * when the leader has room again.
 */

import type { Timer } from '../../core/broker/service.ts';
import { asFluxError } from '../../core/errno.ts';
import { LATER, type Request } from '../../core/handle/methods.ts';
import type { JsonObject, JsonValue } from '../../core/json.ts';
import { isObject } from '../../core/message/unpack.ts';
import type { Shell } from './plugin.ts';

const METHOD = 'tell';
/** Seconds that something waits for more to come along. */
const DELAY = 0.005;
/** Bytes that do not wait. */
const BATCH_BYTES = 256 * 1024;
/** Bytes of the leader's backlog from which on it answers only once some are gone. */
const LEADER_BACKLOG_MAX = 4 * 1024 * 1024;
/** What an entry counts beside its data. */
const ENTRY_BYTES = 64;

export class LeaderLink {
  readonly #shell: Shell;
  readonly #onTaken: () => void;
  #entries: JsonValue[] = [];
  #gatheredBytes = 0;
  #sentBytes = 0;
  #timer: Timer | undefined;
  #leave: (() => void) | undefined;

  /** @param onTaken called when the leader has taken something */
  constructor(shell: Shell, onTaken: () => void) {
    this.#shell = shell;
    this.#onTaken = onTaken;
  }

  /** Bytes that the leader has not taken yet. */
  get backlog(): number {
    return this.#gatheredBytes + this.#sentBytes;
  }

  tell(name: string, payload: JsonObject): void {
    this.#leave ??= this.#shell.hold();
    this.#entries.push([name, payload]);
    this.#gatheredBytes += ENTRY_BYTES + (typeof payload.data === 'string' ? payload.data.length : 0);
    if (this.#sentBytes > 0) return;
    if (this.#gatheredBytes >= BATCH_BYTES) void this.#send();
    else this.#timer ??= this.#shell.context.clock.after(DELAY, () => void this.#send());
  }

  async #send(): Promise<void> {
    this.#timer?.cancel();
    this.#timer = undefined;
    while (this.#entries.length > 0) {
      const entries = this.#entries;
      this.#entries = [];
      this.#sentBytes = this.#gatheredBytes;
      this.#gatheredBytes = 0;
      try {
        await this.#shell.rpc(0, METHOD, { shell_rank: this.#shell.rank, entries });
      } catch (error) {
        this.#shell.context.log('debug', `${this.#shell.service}: the leader is gone: ${asFluxError(error).message}`);
      }
      this.#sentBytes = 0;
      this.#onTaken();
    }
    this.#leave?.();
    this.#leave = undefined;
  }
}

/** Has the leader take what its shells tell it. */
export function answerTold(shell: Shell, take: (name: string, payload: JsonObject, shellRank: number) => void): void {
  let waiting: Request[] = [];
  shell.onRoom(() => {
    if (shell.backlog >= LEADER_BACKLOG_MAX) return;
    const requests = waiting;
    waiting = [];
    for (const request of requests) request.respond();
  });
  shell.register(METHOD, {
    handler(request) {
      const { shell_rank: shellRank, entries } = request.unpack({ shell_rank: 'i', entries: 'a' });
      for (const entry of entries) {
        const [name, payload] = Array.isArray(entry) ? entry : [];
        if (typeof name === 'string' && isObject(payload)) take(name, payload, shellRank);
      }
      if (shell.backlog < LEADER_BACKLOG_MAX) return undefined;
      waiting.push(request);
      return LATER;
    },
  });
}
