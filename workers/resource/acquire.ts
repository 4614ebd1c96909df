/**
 * `resource.acquire` (RFC 28): a scheduler learns what there is, and from then on which ranks come and go. There is one
 * at a time.
 */

import { FluxError } from '../../core/errno.ts';
import type { IdSet } from '../../core/formats/idset.ts';
import { resourceSetToJson } from '../../core/formats/resource-json.ts';
import type { Request } from '../../core/handle/methods.ts';
import { RequestList } from '../../core/handle/request-list.ts';
import { type JsonObject, real } from '../../core/json.ts';
import { unpack } from '../../core/message/unpack.ts';
import type { Availability } from './availability.ts';

/** Events after which other ranks may be up. */
const moves: ReadonlySet<string> = new Set(['online', 'offline', 'drain', 'undrain', 'torpid', 'lively']);

export class Acquire {
  readonly requests = new RequestList();
  readonly #resources: Availability;
  /** What the scheduler was told last; undefined before it was told anything. */
  #told: { readonly valid: IdSet; readonly up: IdSet } | undefined;
  #isMuted = false;

  constructor(resources: Availability) {
    this.#resources = resources;
  }

  /** Answers as soon as R is known, and then to each change; throws FluxError EBUSY when another one does. */
  add(request: Request): void {
    if (this.requests.count) throw new FluxError('EBUSY');
    // Its answers are a stream, but for the recorded errors nobody checks that it asks for one.
    if (!request.isStreaming) throw new FluxError('EPROTO', 'acquire requires streaming RPC flag');
    this.requests.add(request);
    this.#told = undefined;
    if (this.#resources.inventory.R) this.#tellAll();
  }

  #tellAll(): void {
    const { all, exclude, gone, inventory } = this.#resources;
    const up = this.#resources.upOf(all.ranks);
    this.#told = { valid: all.ranks, up };
    const resources = exclude.count || gone.count ? resourceSetToJson(all) : inventory.R!;
    this.requests.respondAll({ resources, up: up.encode() });
  }

  /** An event of the journal. */
  onEvent(name: string, context: JsonObject): void {
    if (this.#isMuted || !this.requests.count) return;
    if (!this.#told) {
      if (name === 'resource-define') this.#tellAll();
    } else if (name === 'resource-update') {
      const { expiration } = unpack(context, { expiration: 'n?' });
      if (expiration !== undefined) this.requests.respondAll({ expiration: real(expiration) });
    } else if (moves.has(name)) this.#tellChanges();
  }

  #tellChanges(): void {
    const before = this.#told!;
    const shrunk = before.valid.intersect(this.#resources.gone);
    const up = this.#resources.upOf(before.valid);
    const changes = { up: up.difference(before.up), down: before.up.difference(up), shrink: shrunk };
    this.#told = { valid: before.valid.difference(shrunk), up };
    const told = Object.entries(changes).filter(([, ranks]) => ranks.count);
    if (told.length) this.requests.respondAll(Object.fromEntries(told.map(([key, ranks]) => [key, ranks.encode()])));
  }

  /** Tells nothing more: the instance ends. */
  mute(): void {
    this.#isMuted = true;
  }
}
