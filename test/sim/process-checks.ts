/** What must hold of an instance of several processes, whatever befell them. */

import assert from 'node:assert/strict';
import { IdSet } from '../../core/formats/idset.ts';
import { checkSequence } from './checks.ts';
import type { Call, SimulatedClient } from './client.ts';
import type { Simulation } from './simulation.ts';
import { type Meeting, VALUE, type Workload } from './workload.ts';

/** The ranks that have to be part of the instance in the end. */
export function memberRanks(sim: Simulation): number[] {
  return [...sim.ranks.keys()].filter((rank) => sim.processes!.isMember(rank));
}

/** Those run that have to, the others have ended in so many seconds, and rank 0 knows it. */
export async function checkMembers(sim: Simulation, seconds = 200): Promise<void> {
  const processes = sim.processes!;
  if (!processes.of(0).hasCrashed) {
    await sim.when(() => sim.processes!.isAtRest, 'that all moves and losses are known', 200);
    // To the main threads: it is told to the ranks.
    await sim.advance(0.1);
  }
  const isSettled = () =>
    [...sim.ranks.keys()].every((rank) => {
      if (processes.of(rank).hasCrashed) return true;
      const hasToBe = processes.hasToBe(rank);
      const runs = sim.stateOf(rank) === 'run' && sim.ranks[rank]!.overlay.parent?.isOnline !== false;
      return (hasToBe !== false && runs) || (hasToBe !== true && sim.stateOf(rank) === 'exit');
    });
  await sim.when(isSettled, 'ranks that run or have ended', seconds);
  const live = memberRanks(sim);
  if (!live.includes(0)) return;
  const client = sim.connect(0);
  const online = client.stream('groups.get', { name: 'broker.online' });
  const expected = IdSet.from(live).encode();
  const isKnown = () => (online.values.at(-1) as { members: string } | undefined)?.members === expected;
  await sim.when(isKnown, `that rank 0 takes ranks ${expected} for online`, 90);
  client.disconnect();
}

/** All processes that are there have the same tree. */
export function checkTree(sim: Simulation): void {
  const { list } = sim.processes!;
  for (const { topology, index, isAlive } of list) {
    if (!isAlive) continue;
    for (const rank of sim.ranks.keys())
      assert.equal(topology.parent(rank), list[0]!.topology.parent(rank), `parent of rank ${rank} in process ${index}`);
  }
}

/** Subscribers have all events since they subscribed, once, in order, as rank 0 published them. */
export function checkEvents(sim: Simulation, { subscribers }: Workload): void {
  const { published } = sim.processes!;
  for (const { client, from } of subscribers) {
    const { events, rank } = client;
    checkSequence(client, true);
    for (const event of events) {
      const original = published[event.sequence - 1];
      assert.ok(original, `a client of rank ${rank} got event ${event.sequence}, which nobody published`);
      assert.equal(event.topic, original.topic, `topic of event ${event.sequence} at rank ${rank}`);
      assert.deepEqual(event.bytes, original.bytes, `payload of event ${event.sequence} at rank ${rank}`);
    }
    const first = events[0]?.sequence;
    if (first !== undefined && from !== undefined)
      assert.ok(
        first <= from,
        `a client of rank ${rank} may miss nothing from event ${from} on, and its first is ${first}`,
      );
    if (from !== undefined && client.isConnected && sim.processes!.isMember(rank))
      assert.equal(events.at(-1)?.sequence ?? from - 1, published.length, `the last event of a client of rank ${rank}`);
  }
}

/** What was published before a request was answered was seen before its answer. */
export function checkAnnouncements({ announcements }: Workload): void {
  for (const { subscriber, call, mark } of announcements) {
    const [answer] = call.finalAnswers;
    if (!answer || answer.errnum) continue;
    const { client } = subscriber;
    const before = client.received.slice(0, client.received.indexOf(answer));
    const isThere = before.some((message) => message.topic === 'test.mark' && isMark(message.json, mark));
    assert.ok(isThere, `a client of rank ${client.rank} got the answer before the event ${mark}`);
  }
}

const isMark = (json: unknown, mark: number) => (json as { mark?: number }).mark === mark;

/** Ranks that were there all the time have answered each other. */
export function checkPrompt(sim: Simulation, { prompt }: Workload): void {
  for (const { call, from, to } of prompt) {
    const [answer] = call.finalAnswers;
    if (!answer || !sim.processes!.isReachable(from) || !sim.processes!.isReachable(to)) continue;
    assert.equal(answer.errnum, 0, `echo.now from rank ${from} to rank ${to}, which both were there all the time`);
    assert.deepEqual(answer.json, call.request.json, `what rank ${to} echoes to rank ${from}`);
  }
}

/** Whoever looked up what was committed found it, and so does one who looks now. */
export async function checkCommits(sim: Simulation, { commits }: Workload, client: SimulatedClient): Promise<void> {
  const acknowledged = commits.filter(({ call }) => call.finalAnswers[0]?.errnum === 0);
  const found = acknowledged.map(({ key }) => client.call('kvs.lookup', { namespace: 'primary', key, flags: 0 }));
  await sim.when(() => found.every(({ finalAnswers }) => finalAnswers.length), 'answers to lookups');
  for (const [index, { key, lookups }] of acknowledged.entries()) {
    assertValue(found[index]!, `${key} in the end`);
    for (const lookup of lookups) {
      const [answer] = lookup.finalAnswers;
      if (answer && answer.errnum !== EHOSTUNREACH && answer.errnum !== ENOSYS)
        assertValue(lookup, `${key} after its commit`);
    }
  }
}

const EHOSTUNREACH = 113;
const ENOSYS = 38;

function assertValue({ finalAnswers: [answer] }: Call, what: string): void {
  assert.equal(answer!.errnum, 0, `${what}: error ${answer!.errnum}`);
  assert.equal((answer!.json as { val: { data: string } }).val.data, VALUE, what);
}

const hasPassed = ({ call }: Meeting['calls'][number]) => call.finalAnswers[0]?.errnum === 0;

/** What all who met committed together is there. */
export async function checkFences(sim: Simulation, { fences }: Workload, client: SimulatedClient): Promise<void> {
  const keys = fences.flatMap(({ name, calls }) =>
    calls.some(hasPassed) ? calls.map((_, index) => `test.${name}.${index}`) : [],
  );
  const found = keys.map((key) => client.call('kvs.lookup', { namespace: 'primary', key, flags: 0 }));
  await sim.when(() => found.every(({ finalAnswers }) => finalAnswers.length), 'answers to lookups');
  for (const [index, key] of keys.entries()) assertValue(found[index]!, key);
}

/** All who are still there are let go, or none is; and all are when all had come and stayed. */
export function checkMeetings(sim: Simulation, meetings: readonly Meeting[]): void {
  for (const { name, nprocs, calls } of meetings) {
    const present = calls.filter(({ client }) => client.isConnected && sim.processes!.isReachable(client.rank));
    const errors = present.map(({ call }) => call.finalAnswers[0]?.errnum);
    const passed = errors.filter((errnum) => errnum === 0).length;
    assert.ok(passed === 0 || passed === present.length, `${name} let ${passed} of ${present.length} go: ${errors}`);
    if (present.length === nprocs) assert.equal(passed, nprocs, `all ${nprocs} of ${name} came: ${errors}`);
    if (calls.length < nprocs)
      assert.equal(passed, 0, `${name} let go ${passed}, and only ${calls.length} of ${nprocs} came`);
  }
}

/** Of those who wait in vain one goes, and the others are told. */
export function breakMeetings(meetings: readonly Meeting[]): void {
  for (const { calls } of meetings)
    if (!calls.some(hasPassed))
      calls.find(({ client, call }) => client.isConnected && !call.finalAnswers.length)?.client.disconnect();
}

/** What processes have sent each other by now over connections that are there is taken in the end. */
export async function checkFrames(sim: Simulation): Promise<void> {
  const awaited = sim.processes!.wires.connections.flatMap((connection) => [
    { connection, bytes: connection.toServer.recordBytes, answers: connection.toClient },
    { connection, bytes: connection.toClient.recordBytes, answers: connection.toServer },
  ]);
  const isTaken = () =>
    awaited.every(({ connection, bytes, answers }) => !connection.isUp || ((answers.saidTaken - bytes) | 0) >= 0);
  await sim.when(isTaken, 'that all frames are taken', 60);
}
