/** What must hold in every run, whatever happened in it. */

import assert from 'node:assert/strict';
import { MessageType } from '../../core/message/message.ts';
import type { SimulatedClient } from './client.ts';
import type { Simulation } from './simulation.ts';

/** Every request of the clients that are still there has its answers, the last of them once. */
export function checkAnswers(sim: Simulation): void {
  for (const client of sim.clients) {
    assert.deepEqual(client.strays, [], 'answers to what nobody asked');
    for (const { request, answers, finalAnswers } of client.calls) {
      const what = `${request.topic} (nodeid ${request.nodeid}) of a client of rank ${client.rank}`;
      if (!client.isConnected) assert.ok(finalAnswers.length <= 1, `${what} has ${finalAnswers.length} last answers`);
      else assert.equal(finalAnswers.length, 1, `${what} has ${finalAnswers.length} last answers`);
      const last = answers.findIndex((answer) => answer.isLastResponse);
      assert.ok(last < 0 || last === answers.length - 1, `${what} has answers behind its last`);
    }
  }
}

/** The sequence numbers of the events that a client got: rising, and without gaps when it wanted all. */
export function checkSequence(client: SimulatedClient, wantsAll: boolean): void {
  const numbers = client.received.filter(({ type }) => type === MessageType.event).map(({ sequence }) => sequence);
  for (const [index, number] of numbers.entries()) {
    if (index === 0) continue;
    const expected = wantsAll ? numbers[index - 1]! + 1 : undefined;
    const text = `a client of rank ${client.rank} got event ${number} after ${numbers[index - 1]}`;
    assert.ok(expected === undefined ? number > numbers[index - 1]! : number === expected, text);
  }
}

/** All ranks have ended, but for those that crashed, and nothing of what they did is left. */
export async function checkNothingLeft(sim: Simulation, hasCrashed = (_rank: number) => false): Promise<void> {
  await sim.settle();
  const ranks = sim.ranks.filter(({ rank }) => !hasCrashed(rank));
  const ended = sim.ranksIn('exit').filter((rank) => !hasCrashed(rank));
  assert.deepEqual(
    ended,
    ranks.map(({ rank }) => rank),
    'not all ranks have ended',
  );
  assert.deepEqual(sim.agenda.timerOwners(), [], 'timers are left');
  assert.deepEqual(sim.programs.running, [], 'programs are left');
  for (const { rank, broker, overlay, connector, modules } of ranks) {
    const links = [...overlay.children.values(), ...(overlay.parent ? [overlay.parent] : [])];
    const left = {
      tracked: links.reduce((sum, { tracker }) => sum + tracker.count, 0),
      asked: broker.pendingCount,
      subscriptions: sim.node.subscriptionCount(rank),
      clients: connector.clientCount,
      modules: modules.names(),
    };
    assert.deepEqual(
      left,
      { tracked: 0, asked: 0, subscriptions: 0, clients: 0, modules: [] },
      `something is left of rank ${rank}`,
    );
  }
}
