// The debug ring on simulated wires: processes that stand still, die and come back, and who asks by it all the while.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { FluxError } from '../../../core/errno.ts';
import { Role } from '../../../core/message/credentials.ts';
import { refused } from '../../errors.ts';
import { type RingProcess, World } from './ring-world.ts';

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
