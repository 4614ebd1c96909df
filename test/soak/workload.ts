/** What a client commits: transactions that follow from a seed, over values small and large, directories narrow and wide. */

import type { SeededRandom } from '../sim/random.ts';
import type { Change } from './tree.ts';

/** Names in the wide directory: more than a plain directory holds. */
const WIDE = 1500;
const LETTERS = 'abcdefghijklmnopqrstuvwxyz';

export interface Transaction {
  readonly changes: readonly Change[];
  /** Wait until it is on disk. */
  readonly sync: boolean;
  /** Do not merge it with others. */
  readonly alone: boolean;
}

/** How often a client asks for what, and how many commits it has under way. */
export interface Habits {
  readonly window: number;
  readonly sync: number;
  readonly alone: number;
}

export function randomHabits(random: SeededRandom): Habits {
  return {
    window: random.pick([1, 1, 4, 32]),
    sync: random.pick([0, 0.02, 0.1, 0.5]),
    alone: random.pick([0, 0, 0.3]),
  };
}

/** Most are inline in their directory, some are blobs, a few are large. */
function value(random: SeededRandom): string {
  const kind = random.number();
  const length =
    kind < 0.7 ? random.integer(0, 40) : kind < 0.97 ? random.integer(41, 4000) : random.integer(4000, 100_000);
  return random.pick([...LETTERS]).repeat(length) + random.integer(0, 2 ** 31);
}

function narrow(random: SeededRandom): Change {
  const directory = random.pick(['a', 'b', 'c.d', 'c.e.f']);
  const kind = random.number();
  if (kind < 0.03) return { kind: 'unlink', key: directory, value: '' };
  const key = `${directory}.${random.pick([...LETTERS])}`;
  if (kind < 0.2) return { kind: 'unlink', key, value: '' };
  return { kind: kind < 0.5 ? 'append' : 'put', key, value: value(random) };
}

function wide(random: SeededRandom): Change[] {
  if (random.chance(0.05)) return [{ kind: 'unlink', key: 'wide', value: '' }];
  const kind = random.chance(0.7) ? 'put' : 'unlink';
  return Array.from({ length: random.integer(1, 150) }, () => {
    const number = random.integer(0, WIDE - 1);
    return { kind, key: `wide.name${number}`, value: String(random.integer(0, 2 ** 31)) };
  });
}

export function randomTransaction(random: SeededRandom, habits: Habits): Transaction {
  const changes = random.chance(0.1)
    ? wide(random)
    : Array.from({ length: random.integer(1, 5) }, () => narrow(random));
  return { changes, sync: random.chance(habits.sync), alone: random.chance(habits.alone) };
}
