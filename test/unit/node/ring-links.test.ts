// The debug ring on simulated wires: processes that stand still, die and come back, and who asks by it all the while.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Clock } from '../../../core/broker/service.ts';
import type { FluxError } from '../../../core/errno.ts';
import { RpcClient } from '../../../core/handle/rpc.ts';
import type { JsonObject, JsonValue } from '../../../core/json.ts';
import { Role } from '../../../core/message/credentials.ts';
import { encodeRingHello } from '../../../core/node/ring-hello.ts';
import { RingLinks } from '../../../core/node/ring-links.ts';
import { shareWires } from '../../../core/node/shared-wires.ts';
import { decodeJsonFrame, encodeJsonFrame, FrameType, frameType } from '../../../core/overlay/node-frames.ts';
import { RingFrameType } from '../../../core/overlay/ring-frames.ts';
import { RingRequests } from '../../../workers/router/ring-requests.ts';
import { refused } from '../../errors.ts';
import { Agenda } from '../../sim/agenda.ts';
import { Network } from '../../sim/network.ts';
import { Pausable } from '../../sim/pausable.ts';
import { SeededRandom } from '../../sim/random.ts';
import { type WireHost, WireNetwork } from '../../sim/wires.ts';

const owner = { userid: 100, rolemask: Role.owner | Role.local };

/** A process with one rank of the same number, which answers `echo`, `fail` and `who`, and to `hang` never. */
class RingProcess extends Pausable implements WireHost {
  readonly index: number;
  readonly requests: RingRequests;
  readonly links: RingLinks;
  readonly log: string[] = [];
  /** Connections of the tree. */
  accepted = 0;
  /** How many requests it has performed. */
  served = 0;
  isAlive = true;
  isCongested = false;
  readonly #world: World;

  constructor(world: World, index: number, hasAddress: boolean) {
    super();
    this.index = index;
    this.#world = world;
    const count = world.count;
    const placement = { own: index, nodes: Array.from({ length: count }, (_, rank) => ({ ranks: String(rank) })) };
    const nodeOfRank = Int32Array.from({ length: count }, (_, rank) => rank);
    const clock = this.#clock();
    const rpc: RpcClient = new RpcClient((request) => {
      this.served++;
      const { topic = '', json, userid, rolemask } = request;
      if (topic === 'hang') return;
      const response =
        topic === 'fail'
          ? request.respondError(2, 'there is none', owner)
          : request.respond(topic === 'who' ? { userid, rolemask } : json, owner);
      rpc.receive(response);
    });
    this.requests = new RingRequests({
      clock,
      random: world.random,
      placement,
      nodeOfRank,
      send: (frame) => this.run(() => this.links.send(Buffer.from(frame))),
      request: (_, topic, payload, options) => rpc.request(topic, payload, options),
      list: async () => this.links.describe(),
    });
    const wires = world.wires.wiresOf(this);
    this.links = new RingLinks(
      {
        clock,
        instanceId: 'ring',
        placement,
        nodeOfRank,
        isCongested: () => this.isCongested,
        deliver: (_, frame) => this.requests.receive(Buffer.from(frame)),
        log: (_, text) => this.log.push(text),
      },
      { wires, ringUri: hasAddress ? `sim://${(index + 1) % count}` : undefined },
    );
    shareWires(wires, this.links.server).serve({
      accept: () => {
        this.accepted++;
        return { onFrame: () => {}, onLost: () => {} };
      },
      probe: () => {},
      subscribed: () => {},
    });
    this.links.start();
  }

  #clock(): Clock {
    const clock = this.#world.agenda.clock(`process ${this.index}`);
    return {
      now: () => clock.now(),
      monotonic: () => clock.monotonic(),
      after: (seconds, callback) => clock.after(seconds, () => this.run(callback)),
    };
  }

  protected override get isGone(): boolean {
    return !this.isAlive;
  }

  crash(): void {
    this.isAlive = false;
    this.#world.wires.crashed(this, 0.1);
  }

  /** Ends in order. */
  end(): void {
    this.links.close();
    this.#world.wires.wiresOf(this).close();
    this.isAlive = false;
  }
}

class World {
  readonly agenda = new Agenda();
  readonly random: SeededRandom;
  readonly wires: WireNetwork;
  readonly count: number;
  readonly processes: RingProcess[] = [];

  constructor(count: number, seed = 1, started: readonly number[] = Array.from({ length: count }, (_, i) => i)) {
    this.count = count;
    this.random = new SeededRandom(seed);
    this.wires = new WireNetwork(new Network(this.agenda, this.random));
    for (const index of started) this.start(index);
    this.pass(2);
  }

  start(index: number, hasAddress = true): RingProcess {
    const process = new RingProcess(this, index, hasAddress);
    this.processes[index] = process;
    return process;
  }

  /** Lets so many seconds pass. */
  pass(seconds: number): void {
    const end = this.agenda.time + seconds;
    while (this.agenda.nextTime <= end) this.agenda.step();
    this.agenda.skipTo(end);
  }

  /** The same, while ranks do what they are asked: what hangs on promises has its turn each second. */
  async work(seconds: number): Promise<void> {
    for (let second = 0; second < seconds; second++) {
      await new Promise((resolve) => setImmediate(resolve));
      this.pass(1);
    }
  }

  /** Asks, and lets time pass until there is an answer. */
  async ask(from: number, to: number, topic = 'echo', payload?: JsonValue): Promise<JsonObject> {
    return this.settle(this.asks(from, to, topic, payload));
  }

  asks(from: number, to: number, topic = 'echo', payload?: JsonValue): Promise<JsonObject> {
    const asked = (async () => this.processes[from]!.requests.ask(from, { to, topic, payload, credentials: owner }))();
    // Looked at when time has passed.
    asked.catch(() => {});
    return asked;
  }

  async settle<T>(promise: Promise<T>): Promise<T> {
    let isOver = false;
    const over = () => {
      isOver = true;
    };
    promise.then(over, over);
    const start = this.agenda.time;
    for (;;) {
      // What hangs on promises comes before what is next in time.
      await new Promise((resolve) => setImmediate(resolve));
      if (isOver) break;
      assert.ok(this.agenda.time < start + 40, 'nothing is waited for longer than that');
      this.agenda.step();
    }
    return promise;
  }

  status(index: number): unknown[] {
    const { next, previous } = this.processes[index]!.links.describe() as Record<string, JsonObject>;
    return [next!.status, previous!.status];
  }
}

test('all are reached from all, by the shorter way', async () => {
  const world = new World(5);
  for (let from = 0; from < 5; from++)
    for (let to = 0; to < 5; to++) {
      const { payload, way } = await world.ask(from, to, 'echo', { from, to });
      assert.deepEqual(payload, { from, to });
      assert.ok((way as number[]).length <= 3);
    }
  assert.deepEqual((await world.ask(0, 2)).way, [0, 1, 2]);
  assert.deepEqual((await world.ask(0, 3)).way, [0, 4, 3]);
  assert.deepEqual(
    world.processes.map(({ accepted }) => accepted),
    [0, 0, 0, 0, 0],
    'the tree sees no connection of the ring',
  );
});

test('a ring of one, and of two', async () => {
  assert.deepEqual(await new World(1).ask(0, 0, 'echo', 7), { payload: 7, way: [0] });
  const two = new World(2);
  assert.deepEqual(await two.ask(0, 1), { way: [0, 1] });
  assert.deepEqual(await two.ask(1, 0), { way: [1, 0] });
  two.processes[0]!.crash();
  two.pass(1);
  await refused(
    two.ask(1, 0),
    'EHOSTUNREACH',
    /^rank 0 is not reached over the ring: process 1 does not reach process 0$/,
  );
});

test("errors of the service come back as they are, and credentials are the caller's, but not local", async () => {
  const world = new World(3);
  await refused(world.ask(0, 2, 'fail'), 'ENOENT', /^there is none$/);
  assert.deepEqual((await world.ask(0, 2, 'who')).payload, { userid: 100, rolemask: Role.owner });
  assert.deepEqual((await world.ask(0, 0, 'who')).payload, { userid: 100, rolemask: Role.owner | Role.local });
  await refused(world.ask(0, 3), 'EHOSTUNREACH', /there is no rank 3/);
  await refused(world.ask(0, -1), 'EHOSTUNREACH', /there is no rank -1/);
});

test('where a process is gone, requests turn round; between two that are gone nobody is reached', async () => {
  const world = new World(8);
  world.processes[2]!.crash();
  world.pass(1);
  assert.deepEqual((await world.ask(0, 3)).way, [0, 1, 0, 7, 6, 5, 4, 3]);
  assert.deepEqual((await world.ask(4, 1)).way, [4, 3, 4, 5, 6, 7, 0, 1]);
  assert.deepEqual((await world.ask(3, 1)).way, [3, 4, 5, 6, 7, 0, 1], 'it begins the right way where it knows');
  await refused(world.ask(0, 2), 'EHOSTUNREACH', /neither process 1 nor process 3 reaches process 2$/);
  world.processes[5]!.crash();
  world.pass(1);
  const start = world.agenda.time;
  await refused(world.ask(0, 3), 'EHOSTUNREACH', /process 1 does not reach process 2, and process 6 not process 5$/);
  await refused(world.ask(4, 0), 'EHOSTUNREACH', /process 4 does not reach process 5, and process 3 not process 2$/);
  assert.ok(world.agenda.time < start + 1, 'at once');
  assert.deepEqual((await world.ask(3, 4)).way, [3, 4]);
});

test('who comes late, or comes back, is in the ring then', async () => {
  const world = new World(4, 1, [0, 1, 3]);
  await refused(world.ask(0, 2), 'EHOSTUNREACH');
  // Others have tried and failed long since.
  world.pass(120);
  world.start(2);
  world.pass(10);
  assert.deepEqual((await world.ask(1, 3)).way, [1, 2, 3]);
  for (let life = 0; life < 3; life++) {
    world.processes[2]!.crash();
    world.pass(1);
    assert.deepEqual((await world.ask(1, 3)).way, [1, 0, 3]);
    world.start(2);
    world.pass(10);
    assert.deepEqual((await world.ask(1, 3)).way, [1, 2, 3]);
  }
});

test('an outage is said once, however long it lasts', () => {
  const world = new World(3, 1, [0, 2]);
  const { log } = world.processes[0]!;
  world.pass(1000);
  assert.deepEqual(
    log.map((text) => text.replace(/:.*/, '')),
    ["the ring's wire to process 2, the previous one, works", "the ring's wire to process 1, the next one, fails"],
  );
  world.start(1);
  world.pass(10);
  assert.match(log.at(-1)!, /to process 1, the next one, works/);
});

test('a process without address leaves a gap, and is reached the other way', async () => {
  const world = new World(4, 1, [1, 2, 3]);
  world.start(0, false);
  world.pass(10);
  assert.deepEqual((await world.ask(0, 1)).way, [0, 3, 2, 1]);
  assert.deepEqual((await world.ask(1, 0)).way, [1, 2, 3, 0]);
  assert.match(world.processes[0]!.log.join('\n'), /a gap behind process 0: the next one has no address/);
});

test('one that stands still is passed by after some seconds, and what is on its way there is answered', async () => {
  const world = new World(6);
  world.processes[2]!.pause();
  const start = world.agenda.time;
  await refused(world.ask(0, 3), 'EHOSTUNREACH', /process 1 lost process 2 while the request was on its way/);
  assert.ok(world.agenda.time < start + 5);
  assert.deepEqual((await world.ask(0, 3)).way, [0, 1, 0, 5, 4, 3]);
  assert.deepEqual(world.status(1), ['silent', 'connected']);
  await refused(world.ask(3, 2), 'EHOSTUNREACH', /neither process 1 nor process 3 reaches process 2/);
  world.processes[2]!.resume();
  world.pass(1);
  assert.deepEqual((await world.ask(0, 3)).way, [0, 1, 2, 3]);
  assert.deepEqual(world.status(1), ['connected', 'connected']);
});

test('one that stands still for long has to come again, and does', async () => {
  const world = new World(3);
  world.processes[1]!.pause();
  world.pass(100);
  assert.deepEqual([world.status(0)[0], world.status(2)[1]], ['disconnected', 'disconnected']);
  world.processes[1]!.resume();
  world.pass(40);
  assert.deepEqual((await world.ask(0, 1)).way, [0, 1]);
  assert.deepEqual((await world.ask(2, 1)).way, [2, 1]);
});

test('what breaks with a request on it answers it', async () => {
  const world = new World(6);
  for (const [from, to] of [
    [0, 1],
    [1, 0],
  ] as const) {
    const answer = world.asks(from, to);
    world.wires.connection(0, 1)!.break({ client: 0.2, server: 0.2 });
    const start = world.agenda.time;
    // Some comes through before it is over.
    await world.settle(answer).then(
      () => {},
      (error: FluxError) => assert.equal(error.code, 'EHOSTUNREACH'),
    );
    assert.ok(world.agenda.time < start + 5);
    world.pass(10);
    assert.deepEqual((await world.ask(from, to)).way, [from, to]);
  }
});

test('an answer that never comes is not waited for, on either side', async () => {
  const world = new World(3);
  const start = world.agenda.time;
  await refused(world.ask(0, 1, 'hang'), 'ETIMEDOUT', /rank 1 has not answered over the ring in 30s/);
  assert.equal(Math.round(world.agenda.time - start), 30);
});

test('a wire with too much waiting takes no more, and an answer says so', async () => {
  const world = new World(4);
  const payload = 'x'.repeat(1024 * 1024);
  world.processes[1]!.pause();
  const asked = Array.from({ length: 40 }, () => world.asks(0, 1, 'echo', payload));
  const start = world.agenda.time;
  const codes = await world.settle(
    Promise.all(
      asked.map((each) =>
        each.then(
          () => 'ok',
          (error: FluxError) => error.code,
        ),
      ),
    ),
  );
  const count = (code: string) => codes.filter((each) => each === code).length;
  assert.ok(count('EAGAIN') >= 20 && count('EHOSTUNREACH') >= 10, codes.join());
  assert.ok(world.agenda.time < start + 5);
  world.processes[1]!.resume();
  await world.work(10);
  assert.equal(((await world.ask(0, 1, 'echo', payload)).payload as string).length, payload.length);
  // Answers that are too much are refused, too, and nobody waits in vain.
  const large = 'y'.repeat(20 * 1024 * 1024);
  const both = [world.asks(0, 2, 'echo', large), world.asks(1, 2, 'echo', large)];
  for (const each of both)
    await world.settle(
      each.then(
        () => {},
        (error: FluxError) => assert.equal(error.code, 'EAGAIN'),
      ),
    );
});

test('a process whose threads do not keep up refuses', async () => {
  const world = new World(3);
  world.processes[1]!.isCongested = true;
  await refused(world.ask(0, 1), 'EAGAIN', /rank 1 is not reached over the ring: too much waits at process 1/);
  world.processes[1]!.isCongested = false;
  await world.ask(0, 1);
});

/** What a process answers to the first frame of a connection to it, or what it does to a neighbour's second one. */
async function answerTo(world: World, ...frames: Buffer[]): Promise<{ type: number; text: string }> {
  const host = { index: 99, isAlive: true, run: (action: () => void) => action() };
  const answer = new Promise<{ type: number; text: string }>((resolve) => {
    const { send } = world.wires.wiresOf(host).connect('sim://1', {
      onFrame: (frame) => {
        const type = frameType(frame);
        if (type === RingFrameType.welcome || type === RingFrameType.goodbye)
          resolve({ type, text: JSON.stringify(decodeJsonFrame(frame)) });
      },
      onLost: () => {},
    });
    for (const frame of frames) send(frame);
  });
  return world.settle(answer);
}

test('who does not belong before a process is refused, and told why', async () => {
  const world = new World(3);
  const usual = { instance: 'ring', node: 0, ranks: '0' };
  for (const [greeting, text] of [
    [{ ...usual, instance: 'other' }, /another instance/],
    [{ ...usual, ranks: '0-1' }, /ranks 0-1 are not those of process 0/],
    [{ ...usual, node: 7 }, /not those of process 7/],
    [{ ...usual, node: 2, ranks: '2' }, /process 2 is not the one before process 1/],
    [usual, /process 0 is in the ring already/],
  ] as const) {
    const answer = await answerTo(world, encodeRingHello(greeting));
    assert.equal(answer.type, RingFrameType.welcome);
    assert.match(answer.text, text);
  }
  const old = encodeJsonFrame(RingFrameType.hello, { ...usual, version: '0.1.0' });
  assert.match((await answerTo(world, old)).text, /version 0\.1\.0 is not/);
  const none = encodeJsonFrame(RingFrameType.hello, { node: 'zero' });
  assert.equal((await answerTo(world, none)).type, RingFrameType.goodbye);
  assert.deepEqual((await world.ask(0, 1)).way, [0, 1], 'nobody else is disturbed');
  assert.equal(world.processes[1]!.accepted, 0);
});

test('who sends before it greets was lost, and is told; who sends what is no frame is cut off', async () => {
  const world = new World(3);
  assert.equal((await answerTo(world, Buffer.from([20, 0, 0, 0, 0, 0, 0, 0]))).type, RingFrameType.goodbye);
  world.processes[0]!.crash();
  world.pass(1);
  const hello = encodeRingHello({ instance: 'ring', node: 0, ranks: '0' });
  for (const bytes of [[19, 0, 0, 0], [20, 0, 0, 0], [99, 0, 0, 0], []]) {
    const first = answerTo(world, hello);
    await first;
    world.wires.connection(99, 1)!.wire.send(Buffer.from(bytes));
    world.pass(1);
    assert.equal(world.status(1)[1], 'disconnected');
  }
  world.start(0);
  world.pass(10);
  assert.deepEqual((await world.ask(0, 1)).way, [0, 1]);
});

test('who ends in order says so, and what came with the tree goes to the tree', async () => {
  const world = new World(3);
  world.processes[1]!.end();
  world.pass(1);
  assert.match(world.processes[2]!.log.at(-1)!, /to process 1, the previous one, fails: process 1 has ended/);
  assert.deepEqual((await world.ask(0, 2)).way, [0, 2]);
  const host = { index: 99, isAlive: true, run: (action: () => void) => action() };
  const wire = world.wires.wiresOf(host).connect('sim://2', { onFrame: () => {}, onLost: () => {} });
  wire.send(encodeJsonFrame(FrameType.hello, {}));
  world.pass(1);
  assert.equal(world.processes[2]!.accepted, 1);
});

test('whatever befalls it, each request is answered in time and performed once at most, and in the end all is well', async () => {
  const step = fc.record({
    kind: fc.constantFrom('ask', 'ask', 'ask', 'pause', 'resume', 'crash', 'start', 'break', 'pass'),
    process: fc.nat(4),
    to: fc.nat(4),
    seconds: fc.double({ min: 0, max: 8, noNaN: true }),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 40 }), fc.nat(1000), async (steps, seed) => {
      const world = new World(5, seed);
      const asked: { readonly by: RingProcess; isOver: boolean }[] = [];
      const performed = () => world.processes.reduce((sum, { served }) => sum + served, 0);
      let performedBefore = 0;
      for (const { kind, process: index, to, seconds } of steps) {
        const process = world.processes[index]!;
        if (kind === 'ask' && process.isAlive) {
          const request = { by: process, isOver: false };
          const over = () => {
            request.isOver = true;
          };
          asked.push(request);
          world.asks(index, to).then(over, over);
        } else if (kind === 'pause') process.pause();
        else if (kind === 'resume') process.resume();
        else if (kind === 'crash' && process.isAlive) process.crash();
        else if (kind === 'start' && !process.isAlive) {
          performedBefore += process.served;
          world.start(index);
        } else if (kind === 'break') {
          const next = (index + 1) % 5;
          world.wires.connection(index, next)?.break({ client: seconds / 8, server: seconds / 4 });
        } else if (kind === 'pass') world.pass(seconds);
      }
      for (const process of world.processes) {
        process.resume();
        if (!process.isAlive) {
          performedBefore += process.served;
          world.start(process.index);
        }
      }
      await world.work(100);
      assert.ok(performed() + performedBefore <= asked.length);
      for (const { by, isOver } of asked) assert.ok(isOver || !by.isAlive);
      for (let from = 0; from < 5; from++)
        for (let to = 0; to < 5; to++) assert.ok(((await world.ask(from, to)).way as number[]).length <= 3);
    }),
    { numRuns: 100 },
  );
});
