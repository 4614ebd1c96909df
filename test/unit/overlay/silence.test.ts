// Which links have been silent, by looks now and then.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Tracer } from '../../../core/handle/trace.ts';
import { Message } from '../../../core/message/message.ts';
import { Link } from '../../../core/overlay/link.ts';
import { Silence } from '../../../core/overlay/silence.ts';

function makeLink(): Link {
  const events = {
    uuid: 'own',
    onMessage: () => {},
    onControl: () => {},
  };
  return new Link(1, { uuid: 'u', isRemote: true, transmit: () => {} }, events, new Tracer(() => 0));
}

test('a child is torpid after so many seconds in which nothing came, and no more once something did', () => {
  const [silence, link] = [new Silence(), makeLink()];
  const look = (now: number, seconds = 10) => [silence.changes(link, now, seconds), silence.isTorpid(link)];
  assert.deepEqual(look(0), [false, false]);
  link.receive(Message.control(0, 0));
  assert.deepEqual(look(5), [false, false]);
  assert.deepEqual(look(14.9), [false, false]);
  assert.deepEqual(look(15), [true, true]);
  assert.deepEqual(look(20), [false, true]);
  link.receive(Message.control(0, 0));
  assert.deepEqual(look(21), [true, false]);
  assert.deepEqual(look(1000, 0), [false, false]);
  assert.deepEqual(look(1001), [true, true]);
  assert.deepEqual(look(1002, 0), [true, false]);
  assert.deepEqual(look(1003), [true, true]);
  silence.forget(link);
  assert.equal(silence.isTorpid(link), false);
  assert.deepEqual(look(1004), [false, false]);
});

test('who has sent nothing for so long should say that it is there', () => {
  const [silence, link] = [new Silence(), makeLink()];
  assert.equal(silence.sentNothing(link, 0, 5), false);
  link.send(Message.control(0, 0));
  assert.equal(silence.sentNothing(link, 4, 5), false);
  assert.equal(silence.sentNothing(link, 8, 5), false);
  assert.equal(silence.sentNothing(link, 9, 5), true);
  link.send(Message.control(0, 0));
  assert.equal(silence.sentNothing(link, 13, 5), false);
});
