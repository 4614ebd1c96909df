/** Which links have been silent, and for how long: seen by looking at them now and then, so that messages cost nothing. */

import type { Link } from './link.ts';

interface Seen {
  count: number;
  /** When `count` was first seen, seconds of a monotonic clock. */
  since: number;
}

function silentFor(seen: Seen, count: number, now: number): number {
  if (seen.count !== count) {
    seen.count = count;
    seen.since = now;
  }
  return now - seen.since;
}

export class Silence {
  readonly #sent = new Map<Link, Seen>();
  readonly #received = new Map<Link, Seen>();
  readonly #torpid = new Set<Link>();

  /** Whether a child has fallen silent. */
  isTorpid(link: Link): boolean {
    return this.#torpid.has(link);
  }

  /** A neighbour is gone: what it was is of no interest. */
  forget(link: Link): void {
    this.#sent.delete(link);
    this.#received.delete(link);
    this.#torpid.delete(link);
  }

  /** Whether nothing was sent for so many seconds. */
  sentNothing(link: Link, now: number, seconds: number): boolean {
    const seen = this.#sent.get(link) ?? { count: link.sentCount, since: now };
    this.#sent.set(link, seen);
    return silentFor(seen, link.sentCount, now) >= seconds;
  }

  /** Whether a child has fallen silent, or is heard of again, since the last look; after 0 seconds none falls silent. */
  changes(link: Link, now: number, seconds: number): boolean {
    const seen = this.#received.get(link) ?? { count: link.receivedCount, since: now };
    this.#received.set(link, seen);
    const isSilent = silentFor(seen, link.receivedCount, now) >= seconds && seconds > 0;
    if (isSilent === this.#torpid.has(link)) return false;
    if (isSilent) this.#torpid.add(link);
    else this.#torpid.delete(link);
    return true;
  }
}
