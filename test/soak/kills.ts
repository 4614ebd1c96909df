/**
 * An instance that is killed again and again, in its start, amid commits, in its end, and started again from what it left
 * on disk. What was answered with SYNC must be there, and all that the same client sent before it; of what it sent later,
 * the first so many commits and no others; and what clients find must be of one root.
 */

import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import type { Handle } from '../../core/handle/handle.ts';
import { Kvs } from '../../core/handle/kvs.ts';
import { SeededRandom } from '../sim/random.ts';
import { readBelow, SoakClient, type Span } from './client.ts';
import { KillableInstance } from './instance.ts';
import { checkStore } from './store-check.ts';

export interface SoakOptions {
  /** The command. */
  readonly flux: string;
  readonly kills: number;
  /** Decides all but how fast the machine is. */
  readonly seed: number;
  /** Told of each life of the instance. */
  readonly report?: (line: string) => void;
}

export interface SoakTotals {
  readonly kills: number;
  readonly commits: number;
  readonly synced: number;
  /** Commits that were answered without SYNC and lost by a kill, as may be. */
  readonly lost: number;
}

/** When a life ends by a kill; `never`: it ends in order. */
type Death = 'in its start' | 'amid commits' | 'in its end' | 'never';

const CLIENTS = 4;
/** The most commits in a life, and the most milliseconds for them. */
const COMMITS_MAX = 600;
const COMMITS_MS_MAX = 2000;
/** How long after its last counted commit the instance is killed, at most. */
const KILL_DELAY_MS_MAX = 10;

/**
 * Kills an instance so often.
 *
 * @throws Error with the seed and what was found, when that may not be
 */
export async function soakKills(options: SoakOptions): Promise<SoakTotals> {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'flux-soak-'));
  try {
    return await new Soak(options, folder).run();
  } finally {
    fs.rmSync(folder, { recursive: true, force: true });
  }
}

function sleep(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

class Soak {
  readonly #options: SoakOptions;
  readonly #folder: string;
  readonly #statedir: string;
  readonly #random: SeededRandom;
  readonly #clients = Array.from({ length: CLIENTS }, (_, index) => new SoakClient(index));
  readonly #totals = { kills: 0, commits: 0, synced: 0, lost: 0 };
  #lives = 0;
  /** Milliseconds that a start took, and an end. */
  #startMs = 300;
  #endMs = 100;
  /** Whether the instance has ended in order since clients committed. */
  #endedInOrder = false;

  constructor(options: SoakOptions, folder: string) {
    this.#options = options;
    this.#folder = folder;
    this.#statedir = path.join(folder, 'state');
    this.#random = new SeededRandom(options.seed);
    fs.mkdirSync(this.#statedir);
  }

  async run(): Promise<SoakTotals> {
    while (this.#totals.kills < this.#options.kills) await this.#live(this.#nextDeath());
    // What the last kill has left is looked at, too.
    await this.#live('never');
    return this.#totals;
  }

  #nextDeath(): Death {
    const number = this.#random.number();
    if (number < 0.1) return 'in its start';
    if (number < 0.25) return 'in its end';
    return number < 0.3 ? 'never' : 'amid commits';
  }

  async #live(death: Death): Promise<void> {
    const life = ++this.#lives;
    const { flux, seed, report } = this.#options;
    const checkpointSeconds = this.#random.pick([undefined, 0.01, 0.1, 1]);
    const place = { flux, statedir: this.#statedir, folder: this.#folder };
    const instance = new KillableInstance({ ...place, checkpointSeconds });
    try {
      const found = death === 'in its start' ? await this.#killStarting(instance) : await this.#work(instance, death);
      checkStore(this.#statedir, this.#folder);
      report?.(`life ${life}, killed ${death}: ${found}`);
    } catch (error) {
      const message = `seed ${seed}, life ${life}, killed ${death}: ${(error as Error).message}`;
      throw new Error(message, { cause: error });
    } finally {
      await instance.kill();
    }
    if (death !== 'never') this.#totals.kills++;
  }

  async #killStarting(instance: KillableInstance): Promise<string> {
    const milliseconds = this.#random.number() * this.#startMs;
    await sleep(milliseconds);
    await instance.kill();
    return `after ${Math.round(milliseconds)} ms`;
  }

  /** A life from its start to its end. */
  async #work(instance: KillableInstance, death: Death): Promise<string> {
    const start = performance.now();
    await instance.ready();
    this.#startMs = performance.now() - start;
    const handles = await Promise.all(this.#clients.map(() => instance.connect()));
    const found = await this.#settle(new Kvs(handles[0]!));
    if (death === 'never') await instance.command('fsck');
    const commits = await this.#commit(instance, handles, death === 'amid commits');
    await Promise.all(handles.map((handle) => handle.close()));
    if (death !== 'amid commits') await this.#end(instance, death === 'in its end');
    return `${found}; ${commits}`;
  }

  /** Reads what is there, checks that it may be so, and takes it as what clients go on from. */
  async #settle(kvs: Kvs): Promise<string> {
    const { rootseq } = await kvs.getroot();
    const spans: (readonly Span[])[] = [];
    let keys = 0;
    let lost = 0;
    for (const client of this.#clients) {
      const values = await readBelow(kvs, client.prefix);
      const settled = client.settle(values, rootseq, this.#endedInOrder);
      keys += values.size;
      lost += settled.lost;
      spans.push(settled.spans);
    }
    // A root that all have in one of their spans begins one of them.
    const candidates = spans.flat().map(({ from }) => from);
    const isPossible = (root: number) =>
      root <= rootseq && spans.every((list) => list.some(({ from, to }) => from <= root && root < to));
    if (!candidates.some(isPossible))
      throw new Error(`what clients find is of no one root: ${JSON.stringify(spans)}, now ${rootseq}`);
    this.#endedInOrder = false;
    this.#totals.lost += lost;
    return `root ${rootseq}, ${keys} keys, ${lost} answered commits lost`;
  }

  /** All clients commit until so many are answered; then the instance is killed under way, or all is waited for. */
  async #commit(instance: KillableInstance, handles: readonly Handle[], isToBeKilled: boolean): Promise<string> {
    const count = this.#random.integer(0, COMMITS_MAX);
    const delay = this.#random.number() * KILL_DELAY_MS_MAX;
    const end = performance.now() + COMMITS_MS_MAX;
    const answered = () => this.#clients.reduce((sum, client) => sum + client.answered, 0);
    let enough = () => {};
    const isEnough = new Promise<void>((resolve) => {
      enough = resolve;
    });
    let isKilled = false;
    const goOn = (): boolean => {
      const isDone = answered() >= count || performance.now() > end;
      if (isDone) enough();
      return isToBeKilled ? !isKilled : !isDone;
    };
    const runs = this.#clients.map(async (client, index) => {
      const random = new SeededRandom(this.#random.integer(0, 2 ** 31));
      try {
        await client.run(new Kvs(handles[index]!), random, goOn);
      } catch (error) {
        enough();
        if (!isKilled) throw error;
      }
    });
    const all = Promise.all(runs);
    if (isToBeKilled) {
      await Promise.race([isEnough, all]);
      await sleep(delay);
      isKilled = true;
      await instance.kill();
    }
    await all;
    const synced = this.#clients.reduce((sum, client) => sum + client.synced, 0);
    this.#totals.commits += answered();
    this.#totals.synced += synced;
    return `${answered()} commits answered, ${synced} of them with SYNC`;
  }

  async #end(instance: KillableInstance, isToBeKilled: boolean): Promise<void> {
    const start = performance.now();
    instance.end();
    if (isToBeKilled) {
      await sleep(this.#random.number() * this.#endMs);
      await instance.kill();
      return;
    }
    await instance.ended();
    this.#endMs = performance.now() - start;
    this.#endedInOrder = true;
  }
}
