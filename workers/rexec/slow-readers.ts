/**
 * Clients that do not keep up with what they are sent. The programs whose output goes to them are not read until they do:
 * a program that writes more than its reader reads waits, as it would on a pipe, and nobody stores what it has written.
 *
 * Main sees a client's socket fill up and drain, and its router tells every thread that runs programs; see `client.slow`.
 */

export interface Pausable {
  pause(): void;
  resume(): void;
}

export class SlowReaders {
  // Those whose output goes to a client, by the client's id.
  readonly #writers = new Map<string, Set<Pausable>>();
  readonly #slow = new Set<string>();
  #isHeld = false;

  /** A client can't keep up, or can again. */
  set(client: string, isSlow: boolean): void {
    if (isSlow) this.#slow.add(client);
    else this.#slow.delete(client);
    for (const writer of this.#writers.get(client) ?? []) this.#apply(writer, client);
  }

  /** What this thread sends is not taken fast enough, whoever it is for; or it is again. */
  hold(isHeld: boolean): void {
    this.#isHeld = isHeld;
    for (const [client, writers] of this.#writers) for (const writer of writers) this.#apply(writer, client);
  }

  #apply(writer: Pausable, client: string): void {
    if (this.#isHeld || this.#slow.has(client)) writer.pause();
    else writer.resume();
  }

  /** From now on a writer's output goes to a client. */
  add(client: string, writer: Pausable): void {
    const writers = this.#writers.get(client);
    if (writers) writers.add(writer);
    else this.#writers.set(client, new Set([writer]));
    if (this.#isHeld || this.#slow.has(client)) writer.pause();
  }

  /** Its output goes there no more. */
  remove(client: string, writer: Pausable): void {
    const writers = this.#writers.get(client);
    if (!writers?.delete(writer)) return;
    if (writers.size === 0) this.#writers.delete(client);
    writer.resume();
  }
}
