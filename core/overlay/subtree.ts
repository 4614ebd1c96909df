/**
 * The health of subtrees: what a rank knows of its children's, and what follows for its own.
 */

export const subtreeStatuses = ['unknown', 'full', 'partial', 'degraded', 'lost', 'offline'] as const;

export type SubtreeStatus = (typeof subtreeStatuses)[number];

/** The number of a status in control messages. */
export function statusNumber(status: SubtreeStatus): number {
  return subtreeStatuses.indexOf(status);
}

/** Whether a rank with this status can be talked to. */
export function isOnlineStatus(status: SubtreeStatus): boolean {
  return status === 'full' || status === 'partial' || status === 'degraded';
}

interface ChildStatus {
  status: SubtreeStatus;
  /** When it became so, seconds of a monotonic clock. */
  since: number;
  error: string;
}

/** The statuses of a rank's children, counted, so that the rank's own costs the same however many there are. */
export class SubtreeHealth {
  #children = new Map<number, ChildStatus>();
  // How many children have each status, by its number.
  readonly #counts = subtreeStatuses.map(() => 0);
  status: SubtreeStatus;
  since: number;

  constructor(children: Iterable<number>, now: number) {
    for (const rank of children) this.#children.set(rank, { status: 'offline', since: now, error: '' });
    this.#counts[statusNumber('offline')] = this.#children.size;
    this.since = now;
    this.status = this.#derive();
  }

  get onlineCount(): number {
    return this.#count('full') + this.#count('partial') + this.#count('degraded');
  }

  get childCount(): number {
    return this.#children.size;
  }

  #count(status: SubtreeStatus): number {
    return this.#counts[statusNumber(status)]!;
  }

  #derive(): SubtreeStatus {
    if (this.#count('degraded') + this.#count('lost')) return 'degraded';
    if (this.#count('partial') + this.#count('offline')) return 'partial';
    return 'full';
  }

  child(rank: number): Readonly<ChildStatus> | undefined {
    return this.#children.get(rank);
  }

  /** A child that is yet to say that it is here; returns whether the rank's own status changed with it. */
  addChild(rank: number, now: number): boolean {
    const added: [number, ChildStatus] = [rank, { status: 'offline', since: now, error: '' }];
    this.#children = new Map([...this.#children, added].sort(([a], [b]) => a - b));
    this.#counts[statusNumber('offline')]!++;
    return this.#changed(now);
  }

  /** It is a child no more; returns as `addChild`. */
  removeChild(rank: number, now: number): boolean {
    this.#counts[statusNumber(this.#children.get(rank)!.status)]!--;
    this.#children.delete(rank);
    return this.#changed(now);
  }

  /** Children in order of rank. */
  entries(): IterableIterator<[number, Readonly<ChildStatus>]> {
    return this.#children.entries();
  }

  /** Sets a child's status; returns whether the rank's own changed with it. */
  setChild(rank: number, status: SubtreeStatus, now: number, error = ''): boolean {
    const child = this.#children.get(rank)!;
    child.error = error;
    if (child.status === status) return false;
    this.#counts[statusNumber(child.status)]!--;
    this.#counts[statusNumber(status)]!++;
    child.status = status;
    child.since = now;
    return this.#changed(now);
  }

  #changed(now: number): boolean {
    const own = this.#derive();
    if (own === this.status) return false;
    this.status = own;
    this.since = now;
    return true;
  }
}
