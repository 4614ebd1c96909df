/** Who may read about a job: the instance owner and the user who submitted it. */

import { FluxError } from '../../core/errno.ts';
import { decodeEventlogEntry } from '../../core/formats/eventlog.ts';
import type { Request } from '../../core/handle/methods.ts';

/** Jobs whose owners are remembered. */
const OWNERS_MAX = 1000;

export class Owners {
  // In the order in which they were last asked for.
  readonly #owners = new Map<bigint, number>();

  /** Whether a user may read about a job; undefined when it is not known whose it is. */
  mayRead(request: Request, id: bigint): boolean | undefined {
    const owner = this.#owners.get(id);
    if (owner === undefined) return undefined;
    this.#owners.delete(id);
    this.#owners.set(id, owner);
    return isOwn(request, owner);
  }

  /**
   * Whether a user may read about a job, by what its event log says.
   *
   * @throws FluxError EPROTO: the log does not begin as one
   */
  learn(request: Request, id: bigint, eventlog: string): boolean {
    const owner = submitter(eventlog);
    this.#owners.set(id, owner);
    if (this.#owners.size > OWNERS_MAX) this.#owners.delete(this.#owners.keys().next().value!);
    return isOwn(request, owner);
  }
}

export function isOwn(request: Request, owner: number): boolean {
  return request.isOwner || request.userid === owner;
}

/**
 * Who has submitted a job: RFC 21 has that in its first event.
 *
 * @throws FluxError EPROTO: there is no such event
 */
export function submitter(eventlog: string): number {
  try {
    const { name, context } = decodeEventlogEntry(eventlog.slice(0, eventlog.indexOf('\n') + 1));
    const userid = context?.userid;
    // C programs write userids as signed integers.
    if (name === 'submit' && typeof userid === 'number' && Number.isInteger(userid)) return userid >>> 0;
  } catch {
    // Told below.
  }
  throw new FluxError('EPROTO', 'error parsing eventlog');
}
