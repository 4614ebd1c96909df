// Two ends of a link between processes: order, windows, and records that wait for the events before them.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { FluxError } from '../../../core/errno.ts';
import { frameType } from '../../../core/overlay/node-frames.ts';
import { NodeLink } from '../../../core/overlay/node-link.ts';

/** One end, with what is around it. */
class End {
  sequence = 0;
  congested = false;
  /** Frames that are on their way to the other end. */
  readonly sent: Buffer[] = [];
  readonly got: string[] = [];
  readonly wanted: number[] = [];
  readonly link = new NodeLink({
    sequence: () => this.sequence,
    isCongested: () => this.congested,
    transmit: (frame) => this.sent.push(Buffer.from(frame)),
    deliver: (to, from, source, start, end) => this.got.push(`${from}>${to} ${source.toString('utf8', start, end)}`),
    wantEvents: (sequence) => this.wanted.push(sequence),
    release: () => {},
  });

  add(text: string, to = 1, from = 2): void {
    const source = Buffer.from(`<${text}>`);
    this.link.add({ to, from, source, start: 1, end: source.length - 1 });
  }
}

function pair(): [End, End] {
  const ends: [End, End] = [new End(), new End()];
  for (const { link } of ends) link.open();
  return ends;
}

/** Carries what is under way, both ways, until nothing is. */
function carry(a: End, b: End): void {
  while (a.sent.length + b.sent.length) {
    for (const frame of a.sent.splice(0)) b.link.receive(frame);
    for (const frame of b.sent.splice(0)) a.link.receive(frame);
  }
}

test('what was added before the link is open goes when it is', () => {
  const [a, b] = [new End(), new End()];
  a.add('early', 7, 3);
  a.link.flush();
  assert.equal(a.sent.length, 0);
  for (const { link } of [a, b]) link.open();
  carry(a, b);
  assert.deepEqual(b.got, ['3>7 early']);
});

test('records wait for the events that their sender had seen', () => {
  const [a, b] = pair();
  a.sequence = 3;
  a.add('after event 3');
  a.link.flush();
  a.add('later');
  a.link.flush();
  carry(a, b);
  assert.deepEqual([b.got, b.wanted, b.link.heldCount], [[], [3, 3], 2]);
  b.sequence = 2;
  b.link.release();
  assert.deepEqual(b.got, []);
  b.sequence = 3;
  b.link.release();
  assert.deepEqual(b.got, ['2>1 after event 3', '2>1 later']);
});

test('at most a window is under way, however much waits, and it goes on as the other side takes it', () => {
  const [a, b] = pair();
  const text = 'x'.repeat(1024 * 1024);
  for (let i = 0; i < 32; i++) a.add(`${i} ${text}`);
  a.link.flush();
  assert.ok(a.sent.length <= 5, `${a.sent.length} frames`);
  assert.ok(a.link.waitingBytes > 26e6);
  b.congested = true;
  for (const frame of a.sent.splice(0)) b.link.receive(frame);
  b.link.keepAlive();
  carry(a, b);
  assert.ok(b.got.length === 0 && a.link.waitingBytes > 26e6, 'nothing is taken while threads do not keep up');
  b.congested = false;
  b.link.release();
  carry(a, b);
  assert.deepEqual(
    b.got.map((each) => each.slice(0, 6).trim().split(' ')[1]),
    Array.from({ length: 32 }, (_, i) => String(i)),
  );
  assert.equal(a.link.waitingBytes, 0);
});

test('frames that are no frames are refused', () => {
  const refused = (bytes: number[]) =>
    assert.throws(
      () => pair()[0].link.receive(Buffer.from(bytes)),
      (error: FluxError) => error.code === 'EPROTO',
    );
  refused([5, 0, 0, 0]);
  refused([5, 0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0]);
  refused([5, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 200, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
  refused([5, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 200, 0]);
  assert.equal(frameType(Buffer.alloc(2)), 0);
});

test('whatever comes in whichever batches, it arrives once and in order', () => {
  const step = fc.record({
    kind: fc.constantFrom('add', 'flush', 'carry', 'event', 'seen', 'congest', 'relieve'),
    bytes: fc.integer({ min: 0, max: 400_000 }),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const [a, b] = pair();
      let count = 0;
      const seen = () => {
        b.sequence = a.sequence;
        b.link.release();
      };
      for (const { kind, bytes } of steps) {
        if (kind === 'add') a.add(`${count++} ${'y'.repeat(bytes)}`);
        else if (kind === 'flush') a.link.flush();
        else if (kind === 'carry') carry(a, b);
        else if (kind === 'event') a.sequence++;
        else if (kind === 'seen') seen();
        else b.congested = kind === 'congest';
      }
      b.congested = false;
      a.link.flush();
      seen();
      carry(a, b);
      seen();
      carry(a, b);
      assert.deepEqual(
        b.got.map((each) => Number(each.split(' ')[1])),
        Array.from({ length: count }, (_, i) => i),
      );
      assert.equal(a.link.waitingBytes, 0);
    }),
    { numRuns: 60 },
  );
});
