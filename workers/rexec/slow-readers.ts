/**
 * Clients that do not keep up with what they are sent. The programs whose output goes to them are not read until they do:
 * a program that writes more than its reader reads waits, as it would on a pipe, and nobody stores what it has written.
 *
 * A client may be a proxy with clients of its own: all on the way of an answer have to keep up.
 *
 * Main sees a client's socket fill up and drain, and its router tells every thread that runs programs; see `client.slow`.
 */

import type { Request } from '../../core/handle/methods.ts';
import { SetMap } from '../../core/set-map.ts';

export interface Pausable {
  pause(): void;
  resume(): void;
}

export class SlowReaders {
  // Those whose output goes a way, and the ids on the way of each.
  readonly #writers = new SetMap<string, Pausable>();
  readonly #ways = new Map<Pausable, readonly string[]>();
  readonly #slow = new Set<string>();
  #isHeld = false;

  /** A client can't keep up, or can again. */
  set(client: string, isSlow: boolean): void {
    if (isSlow) this.#slow.add(client);
    else this.#slow.delete(client);
    for (const writer of this.#writers.of(client)) this.#apply(writer);
  }

  /** What this thread sends is not taken fast enough, whoever it is for; or it is again. */
  hold(isHeld: boolean): void {
    this.#isHeld = isHeld;
    for (const writer of this.#ways.keys()) this.#apply(writer);
  }

  #apply(writer: Pausable): void {
    if (this.#isPaused(writer)) writer.pause();
    else writer.resume();
  }

  #isPaused(writer: Pausable): boolean {
    return this.#isHeld || (this.#slow.size > 0 && this.#ways.get(writer)!.some((id) => this.#slow.has(id)));
  }

  /** From now on a writer's output goes to who sent a request, by the ids of its route, or another way. */
  add(request: Request, writer: Pausable, way: readonly string[] = request.message.routes.ids()): void {
    this.#ways.set(writer, way);
    for (const id of way) this.#writers.add(id, writer);
    if (this.#isPaused(writer)) writer.pause();
  }

  /** Its output goes there no more. */
  remove(writer: Pausable): void {
    const way = this.#ways.get(writer);
    if (!way) return;
    this.#ways.delete(writer);
    for (const id of way) this.#writers.delete(id, writer);
    writer.resume();
  }
}
