/**
 * Random bytes and random payloads: whatever a client sends, the broker goes on to serve the others, and none of its
 * services has a bug that shows. A failure names the seed and the request that was the last.
 */

import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { Handle } from '../../core/handle/handle.ts';
import { type JsonValue, real, stringifyJson } from '../../core/json.ts';
import { encodeFrame } from '../../core/message/framing.ts';
import { Flag, Message, NODEID_ANY } from '../../core/message/message.ts';
import { isObject } from '../../core/message/unpack.ts';
import { readRecording, recordedNames } from '../conversations/recording.ts';
import { SeededRandom } from '../sim/random.ts';
import { WireClient } from '../wire-client.ts';
import { type Instance, startInstance } from './instance.ts';
import { temporaryFolder, until } from './support.ts';

/** Requests that may do what nobody wants, as they are or changed a little: run programs, end modules or the instance. */
const harmful =
  /^(content-backing\.sweep|rexec\.exec|runat\.|shutdown\.|state-machine\.post|module\.(load|remove|debug|status)|overlay\.disconnect|config\.load|config\.reload|log\.clear|attr\.set|broker\.setenv)/;

interface Base {
  readonly topic: string;
  readonly payload: JsonValue;
}

/** Harmless requests that clients of flux-core have sent. */
function recordedRequests(): Base[] {
  const requests = new Map<string, Base>();
  for (const name of recordedNames()) {
    for (const { dir, type, topic = '', payload = {} } of readRecording(name, '/tmp').lines) {
      if (dir === 'c2s' && type === 'request' && !harmful.test(topic) && JSON.stringify(payload).length < 4000)
        requests.set(`${topic} ${stringifyJson(payload)}`, { topic, payload });
    }
  }
  return [...requests.values()];
}

/** Requests whose payload may change, except for what it would run. */
const command = { cmdline: ['true'], cwd: '/', env: { A: 'b' }, opts: { stdout_LINE_BUFFER: 'true' }, channels: ['c'] };
const requests: Base[] = [
  ...recordedRequests(),
  { topic: 'rexec.exec', payload: { cmd: { ...command, label: 'x' }, flags: 7, local_flags: 0 } },
  { topic: 'rexec.exec', payload: { cmd: command, flags: 16 } },
  { topic: 'barrier.enter', payload: { name: 'b', count: 1, nprocs: 1000 } },
  { topic: 'attr.set', payload: { name: 'test.x', value: 'y' } },
  { topic: 'broker.setenv', payload: { env: { FUZZ: 'a' } } },
  { topic: 'config.load', payload: { fuzz: { a: 1 } } },
  { topic: 'module.status', payload: { status: 1, errnum: 0 } },
  { topic: 'module.debug', payload: { name: 'nosuch', defer: true } },
  { topic: 'module.load', payload: { path: 'nosuch', args: ['a'], name: 'b', exec: false } },
  { topic: 'module.remove', payload: { name: 'nosuch', cancel: true } },
];

const folder = temporaryFolder();
const log = path.join(folder, 'log');
let instance: Instance;
let other: Handle;
before(async () => {
  instance = await startInstance(3, [`-Slog-filename=${log}`, '-Stbon.topo=kary:1']);
  other = await Handle.open(instance.uri);
});
after(async () => {
  await other.close();
  const { exit, stderr } = await instance.stop();
  assert.equal(exit, 0, stderr);
});

/** The broker is as it should be: it answers, and has no bug to tell of; what else it has told is forgotten. */
async function checkHealth(seed: number, last: string): Promise<void> {
  for (const nodeid of [0, 1, 2]) {
    const { rank } = await other.rpc<{ rank: number }>('broker.ping', {}, { nodeid });
    assert.equal(rank, nodeid, `seed ${seed}, after ${last}`);
  }
  const text = fs.readFileSync(log, 'utf8');
  const bug = text.indexOf('bug in ');
  assert.equal(bug, -1, `seed ${seed}, after ${last}: ${text.slice(bug, bug + 2000)}`);
  fs.truncateSync(log);
}

// ---- bytes

const frames = requests
  .filter(({ topic }) => !harmful.test(topic))
  .map(({ topic, payload }) => encodeFrame(Message.request({ topic, payload, matchtag: 1 })));

const mutations: readonly ((bytes: Buffer, random: SeededRandom) => Buffer)[] = [
  (bytes, random) => {
    const copy = Buffer.from(bytes);
    for (let i = random.integer(1, 4); i > 0; i--) copy[random.integer(0, copy.length - 1)] = random.integer(0, 255);
    return copy;
  },
  (bytes, random) => {
    const copy = Buffer.from(bytes);
    copy[random.integer(0, copy.length - 1)]! ^= 1 << random.integer(0, 7);
    return copy;
  },
  (bytes, random) => bytes.subarray(0, random.integer(0, bytes.length)),
  (bytes, random) => bytes.subarray(random.integer(0, bytes.length)),
  (bytes, random) => {
    const at = random.integer(0, bytes.length);
    return Buffer.concat([bytes.subarray(0, at), random.pick(frames), bytes.subarray(at)]);
  },
  (bytes, random) => {
    const [from, to] = [random.integer(0, bytes.length), random.integer(0, bytes.length)];
    return Buffer.concat([bytes.subarray(0, from), bytes.subarray(Math.min(from, to))]);
  },
  // The header alone: all its fields but the magic and the version, under a length that is right.
  (bytes, random) => {
    const copy = Buffer.from(bytes);
    for (let at = copy.length - 18; at < copy.length; at++)
      if (random.chance(0.3)) copy[at] = random.pick([0, 1, 2, 4, 8, 127, 254, 255]);
    return copy;
  },
];

/** Mutated frames to a connection, and connections for each seed; FLUX_FUZZ_SEEDS=N asks for more. */
const FRAMES = 25;
const CONNECTIONS = 20;
const SEEDS = Number(process.env.FLUX_FUZZ_SEEDS ?? 12);

for (let seed = 1; seed <= SEEDS; seed++) {
  test(`${FRAMES * CONNECTIONS} mutated frames harm nobody but their sender, seed ${seed}`, async () => {
    const random = new SeededRandom(seed);
    let last: Buffer = Buffer.alloc(0);
    for (let connection = 0; connection < CONNECTIONS; connection++) {
      const client = await WireClient.connect(instance.uri);
      for (let i = 0; i < FRAMES && !client.isClosed; i++) {
        last = random.pick(mutations)(random.pick(frames), random);
        client.write(last);
        if (random.chance(0.2)) await new Promise((resolve) => setImmediate(resolve));
      }
      client.close();
    }
    await checkHealth(seed, last.toString('hex'));
  });
}

// ---- payloads

/** Values of every kind, as JSON text. */
const odd: readonly JsonValue[] = [
  ...[null, true, false, 0, 1, -1, 2 ** 31, -(2 ** 31), 2n ** 63n, 1.5, real(0), real(-1), 1e300],
  ...['', 'x', '..', 'a.b', '\u0000', 'ƒ\u{1f600}', '\ud800', '0-3', '-1', '[0-99999]', 'x'.repeat(70_000)],
  ...[[], [1], ['a', 1], [[]], {}, { a: {} }, { __proto__: 1 }, { toString: 'x' }, { length: -1 }],
];

/** A JSON value with one value in it replaced by an odd one, or left out. */
function mutate(value: JsonValue, random: SeededRandom): JsonValue {
  if (random.chance(0.25)) return random.pick(odd);
  if (Array.isArray(value) && value.length) {
    const copy: JsonValue[] = [...(value as JsonValue[])];
    copy[random.integer(0, copy.length - 1)] = random.pick(odd);
    return copy;
  }
  if (!isObject(value) || Object.keys(value).length === 0) return random.pick(odd);
  const key = random.pick(Object.keys(value));
  if (random.chance(0.15)) return Object.fromEntries(Object.entries(value).filter(([name]) => name !== key));
  // What would be run stays as it is.
  const changed = key === 'cmdline' ? value[key] : mutate(value[key]!, random);
  return { ...value, [key]: changed };
}

const PAYLOADS = 500;

for (let seed = 1; seed <= SEEDS; seed++) {
  test(`${PAYLOADS} odd payloads find no bug in a service, seed ${seed}`, async () => {
    const random = new SeededRandom(seed);
    const client = await WireClient.connect(instance.uri);
    let last = '';
    for (let i = 0; i < PAYLOADS; i++) {
      const { topic, payload } = random.pick(requests);
      const flags = random.pick([0, 0, Flag.streaming, Flag.noresponse, Flag.upstream]);
      const nodeid = random.pick([NODEID_ANY, NODEID_ANY, 0, 1, 2, 3, 0xfffffffd]);
      const text = stringifyJson(mutate(payload, random));
      last = `${topic} ${text.slice(0, 300)} flags ${flags} nodeid ${nodeid}`;
      client.write(
        encodeFrame(Message.request({ topic, nodeid, flags, matchtag: i + 1, payload: Buffer.from(`${text}\0`) })),
      );
      if (i % 50 === 0) await checkHealth(seed, last);
    }
    // The last request of all is answered, and so the others were taken up.
    const isLast = (message: Message) => message.matchtag === PAYLOADS + 1;
    client.write(encodeFrame(Message.request({ topic: 'broker.ping', payload: {}, matchtag: PAYLOADS + 1 })));
    assert.ok(await client.take(isLast), `seed ${seed}: no answer after ${last}`);
    client.close();
    await checkHealth(seed, last);
  });
}

test('what the fuzz has left behind goes with its clients', async () => {
  await until(async () => {
    const { server } = await other.rpc<{ server: { clients: unknown[] } }>('connector-local.stats-get');
    return server.clients.length === 1;
  }, 'all clients are gone');
  const { procs } = await other.rpc<{ procs: { label: string }[] }>('rexec.list');
  assert.deepEqual(
    procs.map(({ label }) => label).filter((label) => label !== 'rc2' && label !== ''),
    [],
  );
});
