/**
 * Ranks that are not to be used for a time, and why. That outlives the instance: it is an event when a rank is drained or
 * undrained, and the KVS has the state as it was when the module stopped (`checkpoint.resource`).
 */

import type { ServiceContext } from '../../core/broker/service.ts';
import { asFluxError, FluxError } from '../../core/errno.ts';
import type { EventlogEntry } from '../../core/formats/eventlog.ts';
import { Hostlist } from '../../core/formats/hostlist.ts';
import { IdSet } from '../../core/formats/idset.ts';
import { Kvs, PRIMARY_NAMESPACE } from '../../core/handle/kvs.ts';
import { KvsTransaction } from '../../core/handle/kvs-transaction.ts';
import type { Request } from '../../core/handle/methods.ts';
import { type JsonObject, real } from '../../core/json.ts';
import { isObject, unpack } from '../../core/message/unpack.ts';
import type { Inventory } from './inventory.ts';
import type { Journal } from './journal.ts';

const CHECKPOINT = 'checkpoint.resource';

interface Drained {
  /** Seconds since the epoch. */
  readonly timestamp: number;
  readonly reason: string | undefined;
}

/** What is done with a rank that is drained already: the number stands in events. */
type Overwrite = 0 | 1 | 2;
const overwrites: Readonly<Record<string, Overwrite>> = { update: 0, overwrite: 1, 'force-overwrite': 2 };

export class Drain {
  readonly #context: ServiceContext;
  readonly #kvs: Kvs;
  readonly #journal: Journal;
  readonly #inventory: Inventory;
  readonly #drained = new Map<number, Drained>();
  readonly #exclude: IdSet;
  /** The hosts of all ranks, once they are asked for. */
  #hosts: Hostlist | undefined;

  constructor(context: ServiceContext, journal: Journal, inventory: Inventory, exclude: IdSet) {
    this.#context = context;
    this.#kvs = new Kvs(context, PRIMARY_NAMESPACE);
    this.#journal = journal;
    this.#inventory = inventory;
    this.#exclude = exclude;
  }

  get ranks(): IdSet {
    return IdSet.from(this.#drained.keys());
  }

  /** Ranks by why and since when, as `resource.status` shows them. */
  toJSON(): Record<string, JsonObject> {
    const groups = new Map<string, Drained & { readonly ranks: number[] }>();
    for (const [rank, { timestamp, reason }] of this.#drained) {
      const rounded = Math.round(timestamp);
      const key = `${rounded} ${reason ?? ''}`;
      const group = groups.get(key);
      if (group) group.ranks.push(rank);
      else groups.set(key, { timestamp: rounded, reason, ranks: [rank] });
    }
    return Object.fromEntries(
      [...groups.values()].map(({ timestamp, reason = '', ranks }) => [
        IdSet.from(ranks).encode(),
        { timestamp: real(timestamp), reason },
      ]),
    );
  }

  // ---- what was before

  /**
   * Restores the state of an earlier life: its last checkpoint, and the events behind it.
   *
   * @returns the time of the checkpoint, in seconds since the epoch; 0 when there is none
   */
  async restore(events: readonly EventlogEntry[]): Promise<number> {
    const checkpoint = await this.#loadCheckpoint();
    for (const { timestamp, name, context } of events) {
      if (timestamp < checkpoint || (name !== 'drain' && name !== 'undrain')) continue;
      const fields = { idset: 's', nodelist: 's', reason: 's?', overwrite: 'i?' } as const;
      const { idset, nodelist, reason, overwrite = 1 } = unpack(context, fields);
      const ranks = this.#ranksNow(idset, nodelist);
      if (name === 'drain') this.#set(ranks, { timestamp, reason }, overwrite as Overwrite);
      else this.#clear(ranks);
    }
    this.#undrainExcluded();
    return checkpoint;
  }

  async #loadCheckpoint(): Promise<number> {
    try {
      const state = await this.#kvs.getJson(CHECKPOINT);
      const { timestamp: checkpoint, drain_state } = unpack(state, { timestamp: 'n', drain_state: 'o' });
      for (const [idset, value] of Object.entries(drain_state)) {
        const fields = { timestamp: 'n', nodelist: 's', reason: 's' } as const;
        const { timestamp, nodelist, reason } = unpack(isObject(value) ? value : undefined, fields);
        this.#set(this.#ranksNow(idset, nodelist), { timestamp, reason: reason || undefined }, 0);
      }
      return checkpoint;
    } catch (error) {
      if (asFluxError(error).code === 'ENOENT') return 0;
      throw error;
    }
  }

  /** The ranks that hosts have now; hosts that are gone are left out. */
  #ranksNow(idset: string, nodelist: string): IdSet {
    const hosts = Hostlist.parse(nodelist).expand();
    const own = this.#hostlist();
    const ranks = [...IdSet.parse(idset)].map((rank, index) => {
      const host = hosts[index];
      return host === undefined || own.nth(rank) === host ? rank : own.find(host);
    });
    return IdSet.from(ranks.filter((rank) => rank !== undefined && rank < this.#inventory.size) as number[]);
  }

  #hostlist(): Hostlist {
    this.#hosts ??= Hostlist.parse(this.#context.attribute('hostlist') ?? '');
    return this.#hosts;
  }

  /** What is excluded is not drained; nor is it when it is not excluded any more. */
  #undrainExcluded(): void {
    const ranks = this.ranks.intersect(this.#exclude);
    if (!ranks.count) return;
    this.#clear(ranks);
    void this.#journal.post('undrain', this.#names(ranks), { isKept: true });
  }

  /** Keeps the state for the next life. */
  async checkpoint(): Promise<void> {
    const state = this.toJSON();
    for (const [idset, entry] of Object.entries(state))
      state[idset] = { ...entry, nodelist: this.#names(IdSet.parse(idset)).nodelist };
    const checkpoint = { timestamp: this.#context.clock.now(), drain_state: state };
    const flags = this.#journal.syncFlags;
    await this.#kvs.commit(new KvsTransaction().putJson(CHECKPOINT, checkpoint), { flags }).catch((error: Error) => {
      this.#context.log('err', `failed to checkpoint drain state: ${error.message}`);
    });
  }

  // ---- requests

  /** `resource.drain`: answered when it is in the KVS. */
  drain(request: Request): void {
    const { targets, reason, mode } = request.unpack({ targets: 's', reason: 's?', mode: 's?' });
    const ranks = this.#targets(targets);
    const overwrite = overwriteOf(mode, 'drain');
    if (mode === undefined) this.#checkMayDrain(ranks);
    this.#drain(ranks, reason, overwrite, (error) => (error ? request.fail(error) : request.respond()));
  }

  /** Drains a rank that turned out to be unfit, unless it is drained with a reason already. */
  drainUnfit(rank: number, reason: string): Promise<void> {
    return this.#drain(IdSet.from([rank]), reason, 0, () => {});
  }

  #drain(
    ranks: IdSet,
    reason: string | undefined,
    overwrite: Overwrite,
    done: (error: FluxError | undefined) => void,
  ): Promise<void> {
    const timestamp = this.#context.clock.now();
    this.#set(ranks, { timestamp, reason }, overwrite);
    const names = this.#names(ranks);
    // Without a reason there is none in the event, or it would be one when it is replayed.
    const context = { ...names, ...(reason !== undefined && { reason }), overwrite };
    const { idset, nodelist } = names;
    const text = `drain idset=${idset} nodelist=${nodelist} overwrite=${overwrite} reason=${reason ?? ''}`;
    this.#context.log('info', text);
    return this.#journal.post('drain', context, { timestamp, isKept: true, isSynced: true, done });
  }

  /** `resource.undrain`: answered when it is in the KVS. */
  undrain(request: Request): void {
    const { targets, reason, mode } = request.unpack({ targets: 's', reason: 's?', mode: 's?' });
    const ranks = this.#targets(targets);
    const overwrite = overwriteOf(mode, 'undrain');
    const wrong = ranks.difference(this.ranks);
    if (mode === undefined && wrong.count) throw new FluxError('EEXIST', `${rankText(wrong)} not drained`);
    this.#clear(ranks);
    const names = this.#names(ranks);
    const context = { ...names, overwrite, ...(reason !== undefined && { reason }) };
    const { idset, nodelist } = names;
    const text = `undrain idset=${idset} nodelist=${nodelist} overwrite=${overwrite} reason=${reason ?? ''}`;
    this.#context.log('info', text);
    const done = (error: FluxError | undefined) => (error ? request.fail(error) : request.respond());
    void this.#journal.post('undrain', context, { isKept: true, isSynced: true, done });
  }

  #targets(text: string): IdSet {
    const ranks = this.#inventory.ranksOf(text);
    if (!ranks.count) throw new FluxError('EINVAL', 'idset is empty');
    if (ranks.last! >= this.#inventory.size) throw new FluxError('EINVAL', 'idset is out of range');
    return ranks;
  }

  #checkMayDrain(ranks: IdSet): void {
    const excluded = ranks.intersect(this.#exclude);
    const drained = IdSet.from([...ranks].filter((rank) => this.#drained.get(rank)?.reason !== undefined));
    if (!excluded.count && !drained.count) return;
    const faults = [drained.count ? 'already drained' : '', excluded.count ? 'excluded' : ''].filter(Boolean);
    const text = `${rankText(drained.union(excluded))} ${faults.join(' or ')}`;
    throw new FluxError(drained.count ? 'EEXIST' : 'EINVAL', text);
  }

  #names(ranks: IdSet): { idset: string; nodelist: string } {
    const own = this.#hostlist();
    const known = [...ranks].filter((rank) => rank < own.count);
    return { idset: ranks.encode(), nodelist: own.pick(known).encode() };
  }

  // ---- the state

  #set(ranks: IdSet, { timestamp, reason }: Drained, overwrite: Overwrite): void {
    for (const rank of ranks) {
      const before = this.#drained.get(rank);
      if (before?.reason !== undefined && overwrite === 0) continue;
      const since = before && overwrite < 2 ? before.timestamp : timestamp;
      this.#drained.set(rank, { timestamp: since, reason });
    }
  }

  #clear(ranks: IdSet): void {
    for (const rank of ranks) this.#drained.delete(rank);
  }
}

function overwriteOf(mode: string | undefined, what: string): Overwrite {
  if (mode === undefined) return 0;
  const overwrite = Object.hasOwn(overwrites, mode) ? overwrites[mode] : undefined;
  if (overwrite === undefined) throw new FluxError('EINVAL', `invalid ${what} mode '${mode}' specified`);
  return overwrite;
}

function rankText(ranks: IdSet): string {
  return `rank${ranks.count > 1 ? 's' : ''} ${ranks.encode()}`;
}
