// Moves of ranks: as events tell of them, as another process lists them, in whatever order, and those that can't be.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { FluxError } from '../../../core/errno.ts';
import { type Credentials, Role } from '../../../core/message/credentials.ts';
import { Message } from '../../../core/message/message.ts';
import { Moves, REPARENT_EVENT } from '../../../core/overlay/moves.ts';
import { Topology } from '../../../core/overlay/topology.ts';

const owner: Credentials = { userid: 1000, rolemask: Role.owner };

function event(sequence: number, rank: number, parent: number, credentials = owner): Message {
  const message = Message.event(REPARENT_EVENT, { rank, parent }, 0, credentials);
  message.word1 = sequence;
  return message;
}

function make(size: number, isWhole: boolean) {
  const topology = Topology.create('kary:2', size);
  const moves = new Moves({ topology, overlay: () => undefined }, isWhole);
  return { topology, moves, parents: () => Array.from({ length: size }, (_, rank) => topology.parent(rank) ?? -1) };
}

test('who comes later has the same tree, whatever it heard of first', async () => {
  const size = 12;
  const move = fc.tuple(fc.nat(size - 1), fc.nat(size - 1));
  await fc.assert(
    fc.asyncProperty(fc.array(move, { maxLength: 30 }), fc.nat(30), fc.nat(30), async (tries, first, asked) => {
      const [leader, late] = [make(size, true), make(size, false)];
      const told: Message[] = [];
      for (const [rank, parent] of tries) {
        const next = event(told.length + 1, rank, parent);
        try {
          leader.moves.takeEvent(next);
          told.push(next);
        } catch (error) {
          assert.equal((error as FluxError).code, 'EINVAL');
        }
      }
      // The late one is there from some event on, and has asked at a later one.
      const start = Math.min(first, told.length);
      const until = Math.min(start + asked, told.length);
      const before = make(size, true);
      for (const each of told.slice(0, until)) before.moves.takeEvent(each);
      const list = before.moves.list();
      for (const each of told.slice(start, until)) late.moves.takeEvent(each);
      await late.moves.complete(async () => list);
      for (const each of told.slice(until)) late.moves.takeEvent(each);
      assert.deepEqual(late.parents(), leader.parents());
    }),
    { numRuns: 500 },
  );
});

test('only the owner moves ranks, and not below themselves or what is no rank', () => {
  const { moves, parents } = make(5, true);
  const guest = { userid: 1001, rolemask: Role.user };
  for (const [message, code] of [
    [event(1, 3, 2, guest), 'EPERM'],
    [event(1, 0, 2), 'EINVAL'],
    [event(1, 1, 3), 'EINVAL'],
    [event(1, 1, 7), 'EINVAL'],
    [event(1, -1, 0), 'EINVAL'],
    [Message.event(REPARENT_EVENT, { rank: '1' }, 0, owner), 'EPROTO'],
  ] as const)
    assert.throws(() => moves.takeEvent(message), { code });
  assert.deepEqual(parents(), [-1, 0, 0, 1, 1]);
  assert.equal(moves.isEmpty, true);
});

test('a list is asked for once, and again when that failed', async () => {
  const { moves, parents } = make(5, false);
  await assert.rejects(
    moves.complete(async () => [5]),
    { code: 'EPROTO' },
  );
  let asked = 0;
  const ask = async () => {
    asked++;
    return [{ rank: 3, parent: 2, sequence: 9 }];
  };
  await Promise.all([moves.complete(ask), moves.complete(ask)]);
  await moves.complete(ask);
  assert.equal(asked, 1);
  moves.takeEvent(event(4, 3, 0));
  assert.deepEqual(parents(), [-1, 0, 0, 2, 1], 'an older move of the same rank counts no more');
});
