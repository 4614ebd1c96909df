// Namespaces of the KVS come and go while owners and guests on many ranks use them: events tell each one's life in order,
// nobody gets into what is not his, and every request is answered once.

import assert from 'node:assert/strict';
import { errno } from '../../core/errno.ts';
import { checkAnswers, checkNothingLeft } from './checks.ts';
import { type Call, guest, owner, type SimulatedClient } from './client.ts';
import type { SeededRandom } from './random.ts';
import { forSeeds, randomShape } from './seeds.ts';
import { Simulation } from './simulation.ts';

const EMPTY = 'sha1-c0a9faf907dda6216fd73bf81d0b3b21a1a8cb91';
const users = [1000, 1001];
/** Whose a namespace is shows in its name. */
const namespaces = users.flatMap((user) => [`a${user}`, `b${user}`]);

interface Commit {
  readonly call: Call;
  readonly namespace: string;
  readonly userid: number;
}

interface Root {
  readonly rootref: string;
  readonly rootseq: number;
}

/** Sends one request at random. */
function act(random: SeededRandom, client: SimulatedClient, commits: Commit[]): void {
  if (!client.isConnected) return;
  const namespace = random.pick(namespaces);
  const userid = Number(namespace.slice(1));
  const method = random.pick(['commit', 'commit', 'commit', 'lookup', 'wait-version', 'create', 'create', 'remove']);
  if (method === 'create')
    client.call('kvs.namespace-create', { namespace, rootref: EMPTY, owner: userid, flags: 0 }, { nodeid: 0 });
  else if (method === 'remove') client.call('kvs.namespace-remove', { namespace }, { nodeid: 0 });
  else if (method === 'lookup') client.call('kvs.lookup', { namespace, key: 'k1', flags: 0 });
  else if (method === 'wait-version') client.call('kvs.wait-version', { namespace, rootseq: random.integer(0, 9) });
  else {
    const dirent = { ver: 1, type: 'val', data: Buffer.from(String(random.number())).toString('base64') };
    const ops = [{ key: `k${random.integer(1, 3)}`, flags: 0, dirent }];
    const call = client.call('kvs.commit', { namespace, flags: random.integer(0, 1), ops });
    commits.push({ call, namespace, userid: client.credentials.userid });
  }
}

/** The roots that events told of each namespace, by its lives. */
function livesOf(watcher: SimulatedClient): Map<string, Root[][]> {
  const lives = new Map<string, Root[][]>(namespaces.map((name) => [name, []]));
  const alive = new Set<string>();
  for (const { topic, json } of watcher.events) {
    const { namespace, ...root } = json as unknown as Root & { namespace: string };
    const known = lives.get(namespace);
    if (!known) continue;
    const what = topic!.slice(`kvs.namespace-${namespace}-`.length);
    assert.equal(alive.has(namespace), what !== 'created', `${topic} of a namespace that is or is not there`);
    if (what === 'created') {
      alive.add(namespace);
      known.push([]);
      assert.equal(root.rootseq, 0);
    } else if (what === 'removed') alive.delete(namespace);
    else if (what === 'setroot') {
      known.at(-1)!.push(root);
      assert.equal(root.rootseq, known.at(-1)!.length, `version of ${namespace}`);
    }
  }
  return lives;
}

forSeeds('namespaces of the KVS come and go', 40, async (random, seed) => {
  const sim = new Simulation({ seed, ...randomShape(random, random.integer(1, 8)) });
  await sim.start();
  const watcher = sim.connect(random.integer(0, sim.size - 1));
  await watcher.subscribe('kvs.namespace');
  await sim.settle();
  const commits: Commit[] = [];
  const clients = [owner, owner, ...users.map((user) => guest(user))].map((credentials) =>
    sim.connect(random.integer(0, sim.size - 1), credentials),
  );
  for (const client of clients) for (let i = 0; i < 30; i++) sim.soon(() => act(random, client, commits), 0.3);
  if (random.chance(0.3)) sim.soon(() => clients.at(-1)!.disconnect(), 0.3);
  await sim.advance(0.4);
  await sim.settle();
  // Who still waits for a version hears of the end.
  for (const namespace of namespaces) await watcher.rpc('kvs.namespace-remove', { namespace });
  await sim.settle();
  checkAnswers(sim);

  const lives = livesOf(watcher);
  for (const { call, namespace, userid } of commits) {
    const [answer] = call.finalAnswers;
    if (!answer) continue;
    const mayUse = userid === owner.userid || userid === Number(namespace.slice(1));
    if (answer.errnum) assert.ok([errno.EOPNOTSUPP, ...(mayUse ? [] : [errno.EPERM])].includes(answer.errnum));
    else {
      assert.ok(mayUse, `${userid} has changed ${namespace}`);
      const { rootref, rootseq } = answer.json as unknown as Root;
      assert.ok(
        lives.get(namespace)!.some((roots) => roots[rootseq - 1]?.rootref === rootref),
        `no event told version ${rootseq} of ${namespace}`,
      );
    }
  }
  const { namespaces: left } = await watcher.rpc<{ namespaces: unknown[] }>('kvs.namespace-list');
  assert.equal(left.length, 1);
  await sim.stop();
  await checkNothingLeft(sim);
});
