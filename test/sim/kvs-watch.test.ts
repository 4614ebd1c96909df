// Clients of many ranks watch what others commit, and some go: each watch is told what follows from the roots that there
// were since it began.

import assert from 'node:assert/strict';
import { CommitFlag, LookupFlag } from '../../core/formats/kvs-flags.ts';
import type { Treeobj } from '../../core/formats/treeobj.ts';
import { KvsTransaction } from '../../core/handle/kvs-transaction.ts';
import { type Change, expected, type Look, type Watched, wasTold } from '../unit/kvs-watch/expected.ts';
import type { SimulatedClient } from './client.ts';
import type { SeededRandom } from './random.ts';
import { forSeeds, randomShape } from './seeds.ts';
import { Simulation } from './simulation.ts';

const { readdir, treeobj, waitcreate, watch, watchAppend, watchFull, watchUniq, initialSentinel } = LookupFlag;

const keys = ['a', 'a.b', 'a.b.c', 'e.b', 'e', 'l.b', 'l'];

function randomChanges(random: SeededRandom): KvsTransaction {
  const changes = new KvsTransaction();
  for (let i = random.integer(0, 2); i > 0; i--) {
    const key = random.pick(keys);
    const kind = random.number();
    if (kind < 0.7) changes.put(key, random.pick(['1', '2', '3']));
    else if (kind < 0.85) changes.unlink(key);
    // Only this key is ever a link, and never to itself.
    else if (kind < 0.93) changes.symlink('l', random.pick(['a', 'e']));
    else changes.mkdir(key);
  }
  const log = random.number();
  if (log < 0.8) changes.append('log', `${random.integer(0, 99)} `);
  else if (log < 0.82) changes.unlink('log');
  return changes;
}

function beginWatch(random: SeededRandom, client: SimulatedClient): Watched {
  const isLog = random.chance(0.4);
  const key = isLog ? 'log' : random.pick(keys);
  const kind = isLog
    ? watchAppend | random.pick([0, initialSentinel])
    : random.pick([0, watchUniq, watchFull, watchFull]) | random.pick([0, 0, treeobj, readdir]);
  const flags = watch | kind | random.pick([0, waitcreate]);
  return { call: client.stream('kvs-watch.lookup', { namespace: 'primary', key, flags }), key, flags };
}

/** Roots of the primary namespace, as their events told, after the one that there was at first. */
function changesOf(observer: SimulatedClient, first: string): Change[] {
  const changes = observer.events.map(({ json }) => {
    const { rootref, keys: named } = json as { rootref: string; keys: object };
    return { root: { rootref }, keys: Object.keys(named) };
  });
  return [{ root: { rootref: first }, keys: [] }, ...changes];
}

/** Looks everything up once. */
function makeLook(client: SimulatedClient): Look {
  const known = new Map<string, Promise<Treeobj | undefined>>();
  return ({ root }, key, flags) => {
    const wanted = flags & (readdir | treeobj);
    const name = `${root.rootref} ${key} ${wanted}`;
    const there = known.get(name);
    if (there) return there;
    const rootdir = { ver: 1, type: 'dirref', data: [root.rootref] };
    const found = client
      .rpc<{ val: Treeobj }>('kvs.lookup', { key, flags: wanted, rootdir })
      .then(({ val }) => val)
      .catch((error) => {
        if (error.code === 'ENOENT') return undefined;
        throw error;
      });
    known.set(name, found);
    return found;
  };
}

/** Whether a watch was told what follows from one of the roots that may have been the first it looked at. */
async function check(look: Look, watched: Watched, changes: readonly Change[]): Promise<void> {
  const was = wasTold(watched);
  const candidates: unknown[][] = [];
  for (let first = 0; first < changes.length; first++) {
    const wanted = await expected(look, watched, changes.slice(first));
    if (JSON.stringify(wanted) === JSON.stringify(was)) return;
    candidates.push(wanted);
  }
  assert.fail(
    `${watched.key} with flags ${watched.flags} was told ${JSON.stringify(was)}, none of ${JSON.stringify(candidates)}`,
  );
}

forSeeds('watches of many ranks', 25, async (random, seed) => {
  const sim = new Simulation({ seed, ...randomShape(random, random.integer(1, 8)) });
  await sim.start();
  const observer = sim.connect();
  await observer.subscribe('kvs.namespace-primary-setroot');
  const countWatchers = async () => (await observer.rpc<{ watchers: number }>('kvs-watch.stats-get')).watchers;
  const others = await countWatchers();
  const { rootref } = await observer.rpc<{ rootref: string }>('kvs.getroot', { namespace: 'primary' });
  const clients = Array.from({ length: 6 }, () => sim.connect(random.integer(0, sim.size - 1)));
  const watches: { watched: Watched; client: SimulatedClient }[] = [];
  for (const client of clients) {
    for (let i = 0; i < 12; i++) {
      sim.soon(() => {
        if (!client.isConnected) return;
        const flags = random.pick([0, 0, CommitFlag.noMerge]);
        const { operations } = randomChanges(random);
        client.call('kvs.commit', { namespace: 'primary', flags, ops: operations });
      }, 0.2);
    }
    for (let i = 0; i < 3; i++)
      sim.soon(() => {
        if (client.isConnected) watches.push({ watched: beginWatch(random, client), client });
      }, 0.15);
  }
  if (random.chance(0.5)) sim.soon(() => clients[0]!.disconnect(), 0.2);
  await sim.advance(0.3);
  await sim.settle();

  const look = makeLook(observer);
  const changes = changesOf(observer, rootref);
  const connected = watches.filter(({ client }) => client.isConnected).map(({ watched }) => watched);
  for (const watched of connected) await check(look, watched, changes);
  const live = connected.filter(({ call }) => !call.answers.at(-1)?.errnum).length;
  assert.equal((await countWatchers()) - others, live, 'watchers that are left');
});
