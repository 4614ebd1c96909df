/** A client that commits to its part of the KVS, and knows in which states that may be found after a kill. */

import { FluxError } from '../../core/errno.ts';
import { CommitFlag } from '../../core/formats/kvs-flags.ts';
import { valBytes } from '../../core/formats/treeobj.ts';
import type { Kvs } from '../../core/handle/kvs.ts';
import { KvsTransaction } from '../../core/handle/kvs-transaction.ts';
import type { SeededRandom } from '../sim/random.ts';
import { Tree } from './tree.ts';
import { randomHabits, randomTransaction, type Transaction } from './workload.ts';

interface Sent {
  readonly sync: boolean;
  /** Of the tree with this transaction and all before it. */
  readonly fingerprint: number;
  /** What it was answered with; undefined when it was not. */
  rootseq?: number;
}

/** The roots, from the first to before the last, that hold what was found. */
export interface Span {
  readonly from: number;
  readonly to: number;
}

export interface Settled {
  readonly spans: readonly Span[];
  /** Commits that were answered and are not there. */
  readonly lost: number;
}

export class SoakClient {
  readonly prefix: string;
  /** Commits that were answered since the last restart, and those of them with SYNC. */
  answered = 0;
  synced = 0;
  #tree = new Tree();
  #sent: Sent[] = [];
  // The fingerprint and the root at the last restart.
  #start = { fingerprint: 0, rootseq: 0 };

  constructor(index: number) {
    this.prefix = `soak.client${index}`;
  }

  /** Commits as long as `goOn` says so, and resolves when all is answered; rejects when something fails. */
  async run(kvs: Kvs, random: SeededRandom, goOn: () => boolean): Promise<void> {
    const habits = randomHabits(random);
    const lane = async () => {
      while (goOn()) await this.#commit(kvs, randomTransaction(random, habits));
    };
    await Promise.all(Array.from({ length: habits.window }, lane));
  }

  async #commit(kvs: Kvs, { changes, sync, alone }: Transaction): Promise<void> {
    for (const change of changes) this.#tree.apply(change);
    const sent: Sent = { sync, fingerprint: this.#tree.fingerprint };
    this.#sent.push(sent);
    const transaction = new KvsTransaction();
    for (const { kind, key, value } of changes) transaction[kind](`${this.prefix}.${key}`, value);
    const flags = (sync ? CommitFlag.sync : 0) | (alone ? CommitFlag.noMerge : 0);
    const { rootseq } = await kvs.commit(transaction, { flags });
    sent.rootseq = rootseq;
    this.answered++;
    if (sync) this.synced++;
  }

  /**
   * Compares what was found after a restart with what may be there, and goes on from it.
   *
   * @param found values by their keys below the prefix
   * @param rootseq of the root that was found
   * @param isWhole whether all that was sent must be there, for the instance ended in order
   * @throws Error when it is in no state that is allowed
   */
  settle(found: ReadonlyMap<string, string>, rootseq: number, isWhole: boolean): Settled {
    const sent = this.#sent;
    this.#checkOrder();
    const lastSynced = sent.findLastIndex((each) => each.sync && each.rootseq !== undefined);
    if (lastSynced >= 0 && rootseq < sent[lastSynced]!.rootseq!)
      throw new Error(`root ${sent[lastSynced]!.rootseq} was answered with SYNC, but it starts with ${rootseq}`);
    const least = isWhole ? sent.length : lastSynced + 1;
    const tree = new Tree(found);
    const fingerprints = [this.#start.fingerprint, ...sent.map(({ fingerprint }) => fingerprint)];
    const matches = [...fingerprints.keys()].filter((count) => fingerprints[count] === tree.fingerprint);
    const allowed = matches.filter((count) => count >= least);
    if (!allowed.length) {
      const is = matches.length ? `as after ${matches.at(-1)} of them` : 'as it never was';
      throw new Error(`${this.prefix}: of ${sent.length} commits ${least} must be there, but it is ${is}`);
    }
    const spans = allowed.map((count) => this.#span(count));
    const lost = sent.slice(allowed.at(-1)).filter((each) => each.rootseq !== undefined).length;
    this.#tree = tree;
    this.#sent = [];
    this.#start = { fingerprint: tree.fingerprint, rootseq };
    this.answered = 0;
    this.synced = 0;
    return { spans, lost };
  }

  /** Commits of one client are done in the order in which it sent them, and none is in the root that was there before. */
  #checkOrder(): void {
    let last = this.#start.rootseq + 1;
    for (const { rootseq } of this.#sent) {
      if (rootseq === undefined) continue;
      if (rootseq < last) throw new Error(`${this.prefix}: root ${rootseq} was answered where ${last} is the least`);
      last = rootseq;
    }
  }

  /** The roots that hold the first `count` commits and no others. */
  #span(count: number): Span {
    const roots = (list: readonly Sent[]) => list.flatMap(({ rootseq }) => rootseq ?? []);
    return {
      from: roots(this.#sent.slice(0, count)).at(-1) ?? this.#start.rootseq,
      to: roots(this.#sent.slice(count))[0] ?? Number.POSITIVE_INFINITY,
    };
  }
}

/** All values below a key, by what their keys have after it. */
export async function readBelow(kvs: Kvs, prefix: string): Promise<Map<string, string>> {
  const values = new Map<string, string>();
  try {
    for await (const { key, value } of kvs.walk(prefix)) {
      if (value.type === 'dirref') continue;
      const text = value.type === 'val' ? String(valBytes(value)) : await kvs.getText(key);
      values.set(key.slice(prefix.length + 1), text);
    }
  } catch (error) {
    // A client that has not put anything yet.
    if (!(error instanceof FluxError && error.code === 'ENOENT')) throw error;
  }
  return values;
}
