// Programs wait for whoever their output goes to, and for all on the way there.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Request } from '../../../core/handle/methods.ts';
import { Role } from '../../../core/message/credentials.ts';
import { Message } from '../../../core/message/message.ts';
import { SlowReaders } from '../../../workers/rexec/slow-readers.ts';

class Writer {
  isPaused = false;
  pause(): void {
    this.isPaused = true;
  }
  resume(): void {
    this.isPaused = false;
  }
}

function requestOf(...route: readonly string[]): Request {
  const credentials = { userid: 0, rolemask: Role.owner };
  const message = Message.request({ topic: 'rexec.exec', payload: undefined, matchtag: 1, flags: 0, credentials });
  for (const id of route) message.routes.push(id);
  return new Request(message, credentials, () => {});
}

test('a writer waits while somebody on its way is slow, or all are held', () => {
  const readers = new SlowReaders();
  const [one, other] = [new Writer(), new Writer()];
  readers.add(requestOf('client', 'proxy', 'rank 0'), one);
  readers.add(requestOf('another', 'rank 0'), other);
  const waiting = () => [one.isPaused, other.isPaused];
  for (const [act, expected] of [
    [() => readers.set('proxy', true), [true, false]],
    [() => readers.set('client', true), [true, false]],
    [() => readers.set('proxy', false), [true, false]],
    [() => readers.set('client', false), [false, false]],
    [() => readers.set('nobody', true), [false, false]],
    [() => readers.hold(true), [true, true]],
    [() => readers.set('another', true), [true, true]],
    [() => readers.hold(false), [false, true]],
    [() => readers.remove(other), [false, false]],
    [() => readers.set('another', false), [false, false]],
  ] as [() => void, boolean[]][]) {
    act();
    assert.deepEqual(waiting(), expected, String(act));
  }
});

test('a writer for one who is slow already waits from the beginning', () => {
  const readers = new SlowReaders();
  readers.set('proxy', true);
  const writer = new Writer();
  readers.add(requestOf('client', 'proxy'), writer);
  assert.ok(writer.isPaused);
  readers.remove(writer);
  assert.ok(!writer.isPaused);
});
