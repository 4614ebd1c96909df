// What becomes of references on their way to the backing store: when they are told, in which order, and when never.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FluxError } from '../../../core/errno.ts';
import { type ReferenceChange, ReferenceWriter, readReferences } from '../../../workers/content/reference-changes.ts';
import { References } from '../../../workers/content/references.ts';
import { Agenda } from '../../sim/agenda.ts';
import { refOf, turn } from './support.ts';

const [a, b, c] = ['a', 'b', 'c'].map((text) => refOf(Buffer.from(text))) as [string, string, string];
const value = (blobref: string) => ({ blobref, isDirectory: false });
const directory = (blobref: string) => ({ blobref, isDirectory: true });

class Bench {
  readonly agenda = new Agenda();
  readonly told: ReferenceChange[][] = [];
  readonly reasons: string[] = [];
  flushError: FluxError | undefined;
  tellError: FluxError | undefined;
  readonly references = new References({
    hash: 'sha1',
    clock: this.agenda.clock('references'),
    flush: async () => {
      if (this.flushError) throw this.flushError;
    },
    abandoned: (reason) => this.reasons.push(reason),
  });

  constructor() {
    this.references.grace = 60;
    this.attach();
  }

  attach(): void {
    this.references.attach(async (changes) => {
      if (this.tellError) throw this.tellError;
      this.told.push([...readReferences('sha1', changes)]);
    });
  }

  async pass(seconds: number): Promise<void> {
    const end = this.agenda.time + seconds;
    await turn();
    while (this.agenda.nextTime <= end && this.agenda.step()) await turn();
    this.agenda.skipTo(end);
  }
}

test('new references are told soon, garbage after the time of grace, and what came first is told first', async () => {
  const bench = new Bench();
  const { references } = bench;
  references.use();
  references.replace([{ old: a, removed: [value(b), directory(c)] }]);
  references.release(c);
  references.add([value(a), directory(b)]);
  references.addStored(c);
  references.doubt([a]);
  await bench.pass(2);
  const added: ReferenceChange[] = [
    { kind: 'addition', blobref: a },
    { kind: 'link', blobref: b },
    { kind: 'addition', blobref: c },
    { kind: 'doubt', blobref: a },
  ];
  assert.deepEqual(bench.told, [added]);
  await bench.pass(57);
  assert.equal(bench.told.length, 1);
  await bench.pass(4);
  const garbage: ReferenceChange[] = [
    { kind: 'replacement', old: a, removed: [value(b), directory(c)] },
    { kind: 'release', blobref: c },
  ];
  assert.deepEqual(bench.told, [added, garbage]);
  assert.equal(bench.agenda.nextTime, Infinity);
});

test('what is no blobref of the hash is left out', () => {
  const writer = new ReferenceWriter('sha1');
  const odd = ['', 'sha1-', `sha1-${'z'.repeat(40)}`, `${a}0`, a.slice(0, -1), `sha256-${'0'.repeat(64)}`];
  for (const blobref of odd) {
    writer.link(blobref);
    writer.release(blobref);
    writer.replacement({ old: blobref, removed: [value(a)] });
  }
  writer.replacement({ old: a, removed: [...odd.map(directory), value(b)] });
  assert.deepEqual([...readReferences('sha1', writer.take())], [{ kind: 'replacement', old: a, removed: [value(b)] }]);
  assert.throws(() => [...readReferences('sha1', Buffer.alloc(20))], /cut off/);
  assert.throws(() => [...readReferences('sha1', Buffer.alloc(21, 9))], /kind 9/);
});

test('all garbage that there is can be asked for', async () => {
  const bench = new Bench();
  bench.references.use();
  bench.references.release(a);
  await bench.pass(2);
  bench.references.release(b);
  await bench.references.collect();
  assert.deepEqual(bench.told, [[{ kind: 'release', blobref: a }], [{ kind: 'release', blobref: b }]]);
});

test('nothing is told before all blobs are stored, and nothing is lost by that', async () => {
  const bench = new Bench();
  bench.references.use();
  bench.flushError = new FluxError('ENOSPC');
  bench.references.add([value(a)]);
  bench.references.release(b);
  await assert.rejects(bench.references.collect());
  await bench.pass(500);
  assert.deepEqual(bench.told, []);
  bench.flushError = undefined;
  bench.references.add([value(c)]);
  await bench.pass(100);
  assert.deepEqual(bench.told.flat(), [
    { kind: 'addition', blobref: a },
    { kind: 'addition', blobref: c },
    { kind: 'release', blobref: b },
  ]);
});

test('before they are used, and after something was missed, nothing is told', async () => {
  const bench = new Bench();
  const { references } = bench;
  references.release(a);
  await bench.pass(100);
  references.use();
  bench.tellError = new FluxError('EIO');
  references.release(b);
  await bench.pass(100);
  bench.tellError = undefined;
  references.use();
  references.release(c);
  references.add([value(c)]);
  await bench.pass(100);
  assert.deepEqual(bench.told, []);
  assert.equal(bench.reasons.length, 1);
});

test('a backing store that cannot collect garbage is not told of it, and that is no fault', async () => {
  const bench = new Bench();
  bench.references.use();
  bench.tellError = new FluxError('ENOSYS');
  bench.references.release(b);
  await bench.pass(100);
  assert.deepEqual(bench.reasons, []);
});

test('a backing store that comes back is told of nothing, since it has forgotten what it counted', async () => {
  const bench = new Bench();
  bench.references.use();
  bench.references.release(a);
  bench.references.detach();
  assert.deepEqual(bench.reasons, []);
  bench.attach();
  bench.references.release(b);
  await bench.pass(100);
  assert.deepEqual(bench.told, []);
  assert.equal(bench.reasons.length, 1);
});

test('where too much waits the time of grace is cut short', async () => {
  const bench = new Bench();
  bench.references.use();
  const removed = Array.from({ length: 1_000_000 }, () => value(a));
  for (let i = 0; i < 4; i++) {
    bench.references.replace([{ old: b, removed }]);
    await bench.pass(2);
  }
  assert.equal(bench.told.length, 1);
  await bench.pass(100);
  assert.equal(bench.told.length, 4);
});
