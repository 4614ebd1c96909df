// The cache in front of a backing store: against a model, with a store that fails at random; and its bounds one by one.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { FluxError } from '../../../core/errno.ts';
import { ContentCache } from '../../../workers/content/cache.ts';
import { type CacheSettings, defaultSettings, parseSettings } from '../../../workers/content/settings.ts';
import { refused, throwsCode } from '../../errors.ts';
import { Agenda } from '../../sim/agenda.ts';
import { MemoryBacking, refOf, turn } from './support.ts';

class Bench {
  readonly agenda = new Agenda();
  readonly backing = new MemoryBacking();
  readonly mapped = new Map<string, Uint8Array>();
  readonly failures: string[] = [];
  readonly cache: ContentCache;

  constructor(settings: Partial<CacheSettings> = {}, isWriteThrough = false) {
    this.cache = new ContentCache({
      clock: this.agenda.clock('cache'),
      settings: { ...defaultSettings, flushDelay: 0, ...settings },
      isWriteThrough,
      mapped: (blobref) => {
        const bytes = this.mapped.get(blobref);
        return bytes && Promise.resolve(bytes);
      },
      failing: (error) => this.failures.push(error.code),
    });
    this.cache.attach(this.backing);
  }

  store(bytes: Uint8Array): void | Promise<void> {
    return this.cache.store(refOf(bytes), bytes);
  }

  /** Lets time pass until nothing is left to happen, or for some seconds. */
  async pass(seconds = Number.POSITIVE_INFINITY): Promise<void> {
    const end = this.agenda.time + seconds;
    await turn();
    while (this.agenda.nextTime <= end && this.agenda.step()) await turn();
    if (Number.isFinite(end)) this.agenda.skipTo(end);
  }
}

const blobs = Array.from({ length: 12 }, (_, number) => Buffer.alloc(number * 50, number));

const actions = fc.array(
  fc.oneof(
    fc.record({ kind: fc.constant('store' as const), blob: fc.integer({ min: 0, max: 11 }) }),
    fc.record({ kind: fc.constant('load' as const), blob: fc.integer({ min: 0, max: 11 }) }),
    fc.record({ kind: fc.constant('go' as const), at: fc.nat(20), fails: fc.boolean() }),
    fc.record({ kind: fc.constantFrom('flush', 'drop', 'pass', 'detach', 'attach') }),
  ),
  { maxLength: 60 },
);

test('whatever the store does, what was stored can be read, what was not cannot, and a flush means stored', async () => {
  await fc.assert(
    fc.asyncProperty(actions, async (steps) => {
      const bench = new Bench({
        dirtySizeLimit: 2000,
        cleanSizeLimit: 2500,
        purgeTargetSize: 1600,
        flushBatchLimit: 3,
      });
      const { cache, backing } = bench;
      backing.holds = true;
      const stored = new Set<string>();
      const checks: Promise<unknown>[] = [];
      let attached = true;
      const store = (bytes: Buffer) => {
        const result = bench.store(bytes);
        stored.add(refOf(bytes));
        // What is refused for want of room may or may not be kept.
        if (result) checks.push(result.catch((error: FluxError) => assert.equal(error.code, 'ENOSPC')));
      };
      const load = async (bytes: Buffer) => {
        const wasStored = stored.has(refOf(bytes));
        try {
          assert.ok(bytes.equals(await cache.load(refOf(bytes))));
        } catch (error) {
          const { code } = error as FluxError;
          assert.ok(code === 'ENOSPC' || (code === 'ENOENT' && (!wasStored || !attached)), `${error}`);
        }
      };
      const flush = async () => {
        const before = [...stored].filter((blobref) => cache.get(blobref));
        try {
          await cache.flush();
          for (const blobref of before) assert.ok(backing.blobs.has(blobref));
        } catch (error) {
          assert.match((error as FluxError).code, /ENOSPC|ENOSYS/);
        }
      };
      for (const step of steps) {
        if (step.kind === 'store') store(blobs[step.blob]!);
        else if (step.kind === 'load') checks.push(load(blobs[step.blob]!));
        else if (step.kind === 'flush') checks.push(flush());
        else if (step.kind === 'drop') cache.drop();
        else if (step.kind === 'pass') await bench.pass(5);
        else if (step.kind === 'detach' && attached) cache.detach();
        else if (step.kind === 'attach' && !attached) cache.attach(backing);
        else if (step.kind === 'go') {
          const [request] = backing.waiting.splice(step.at % (backing.waiting.length || 1), 1);
          request?.go(step.fails ? new FluxError('ENOSPC') : undefined);
          await turn();
        }
        if (step.kind === 'detach' || step.kind === 'attach') attached = step.kind === 'attach';
        const { count, valid, dirty } = cache.stats;
        assert.ok(valid <= count && dirty <= valid);
      }
      // The store works again: nothing is lost.
      backing.holds = false;
      for (const { go } of backing.waiting.splice(0)) go();
      if (!attached) cache.attach(backing);
      await bench.pass();
      await cache.flush();
      assert.equal(cache.stats.dirty, 0);
      cache.drop();
      assert.deepEqual([cache.stats.count, cache.stats.size], [0, 0]);
      await Promise.all(checks);
      for (const bytes of blobs) {
        const loaded = cache.load(refOf(bytes));
        if (backing.blobs.has(refOf(bytes))) assert.ok(bytes.equals(await loaded));
        else await refused(loaded, 'ENOENT');
      }
      cache.stop();
    }),
    { numRuns: 300 },
  );
});

test('all who load a blob at one time share one request, and its failure', async () => {
  const { cache, backing } = new Bench();
  backing.blobs.set(refOf(blobs[1]!), blobs[1]!);
  const loads = [1, 1, 2, 2, 1].map((blob) => cache.load(refOf(blobs[blob]!)));
  assert.deepEqual(backing.loads, [refOf(blobs[1]!), refOf(blobs[2]!)]);
  const results = await Promise.allSettled(loads);
  assert.deepEqual(
    results.map(({ status }) => status),
    ['fulfilled', 'fulfilled', 'rejected', 'rejected', 'fulfilled'],
  );
  await cache.load(refOf(blobs[1]!));
  await refused(cache.load(refOf(blobs[2]!)), 'ENOENT', /No such file/);
  assert.equal(backing.loads.length, 3);
});

test('who loads what is stored meanwhile gets it at once, whatever the store says later', async () => {
  const bench = new Bench();
  bench.backing.holds = true;
  const loading = bench.cache.load(refOf(blobs[3]!));
  bench.store(blobs[3]!);
  assert.equal(await loading, blobs[3]);
  for (const { go } of bench.backing.waiting.splice(0)) go(new FluxError('ENOENT'));
  await turn();
  assert.equal(bench.cache.get(refOf(blobs[3]!)), blobs[3]);
});

test('who stores more than may be dirty waits until there is room', async () => {
  const bench = new Bench({ dirtySizeLimit: 500 });
  bench.backing.holds = true;
  assert.equal(bench.store(Buffer.alloc(99)), undefined);
  let done = false;
  const waiting = Promise.resolve(bench.store(Buffer.alloc(50))).then(() => {
    done = true;
  });
  await turn();
  assert.equal(done, false);
  bench.backing.waiting.shift()!.go();
  await waiting;
});

test('a full disk: it is tried again, those who wait are told, memory is bounded, and in the end all is there', async () => {
  const bench = new Bench({ dirtySizeLimit: 800 });
  const { backing, cache } = bench;
  backing.failure = () => new FluxError('ENOSPC', 'no room');
  assert.equal(bench.store(Buffer.alloc(300, 1)), undefined);
  await refused(cache.flush(), 'ENOSPC', /no room/);
  await refused(Promise.resolve(bench.store(Buffer.alloc(600, 2))), 'ENOSPC', /no room/);
  // Nothing more is kept now.
  await refused(Promise.resolve(bench.store(Buffer.alloc(700, 3))), 'ENOSPC', /no room/);
  assert.deepEqual([cache.stats.dirty, cache.stats.size], [2, 900]);
  // What is dirty already is no more.
  assert.equal(bench.store(Buffer.alloc(300, 1)), undefined);
  const before = backing.stores.length;
  await bench.pass(60);
  const tries = backing.stores.length - before;
  assert.ok(tries > 3 && tries < 15, `${tries} tries in a minute`);
  assert.deepEqual([...new Set(bench.failures)], ['ENOSPC']);
  backing.failure = undefined;
  await bench.pass(60);
  assert.equal(cache.stats.dirty, 0);
  assert.equal(backing.blobs.size, 2);
});

test('one blob that cannot be stored holds up no other, but every flush', async () => {
  const bench = new Bench({ dirtySizeLimit: 500 });
  const bad = Buffer.alloc(10, 9);
  bench.backing.failure = (blobref) => (blobref === refOf(bad) ? new FluxError('EFBIG') : undefined);
  bench.store(bad);
  for (let number = 0; number < 20; number++) await bench.store(Buffer.alloc(400, number));
  await bench.pass(1);
  assert.equal(bench.backing.blobs.size, 20);
  await refused(bench.cache.flush(), 'EFBIG');
});

test('a flush waits for what was dirty when it began, not for what came later', async () => {
  const bench = new Bench();
  const { backing, cache } = bench;
  backing.holds = true;
  bench.store(blobs[1]!);
  const flushed = cache.flush();
  const again = cache.flush();
  bench.store(blobs[2]!);
  backing.waiting.find(({ blobref }) => blobref === refOf(blobs[1]!))!.go();
  await Promise.all([flushed, again]);
  assert.equal(cache.stats.dirty, 1);
});

test('no more stores are under way at one time than allowed', async () => {
  const bench = new Bench({ flushBatchLimit: 4 });
  bench.backing.holds = true;
  for (let number = 0; number < 10; number++) bench.store(Buffer.alloc(10, number));
  assert.deepEqual([bench.cache.stats.dirty, bench.cache.stats.storing], [10, 4]);
  bench.backing.waiting.shift()!.go();
  await turn();
  assert.deepEqual([bench.cache.stats.dirty, bench.cache.stats.storing], [9, 4]);
});

test('few blobs wait for more a moment, many or those that somebody waits for do not', async () => {
  const bench = new Bench({ flushDelay: 5 });
  const { cache, backing } = bench;
  backing.holds = true;
  for (let number = 0; number < 10; number++) bench.store(Buffer.alloc(10, number));
  assert.equal(cache.stats.storing, 0);
  // More came after the first.
  await bench.pass(0.005);
  assert.equal(cache.stats.storing, 0);
  await bench.pass(0.005);
  assert.equal(cache.stats.storing, 10);
  bench.store(Buffer.from('one more'));
  backing.waiting.shift()!.go();
  await turn();
  assert.equal(cache.stats.storing, 9);
  void cache.flush();
  assert.equal(cache.stats.storing, 10);
  for (let number = 0; number < 300; number++) bench.store(Buffer.from(`many ${number}`));
  assert.equal(cache.stats.storing, 310);
});

test('stores that go on coming are gathered for a time, or until they are much', async () => {
  const bench = new Bench({ flushDelay: 5, dirtySizeLimit: 40_000 });
  const { cache, backing } = bench;
  backing.holds = true;
  let count = 0;
  for (; !cache.stats.storing; count++) {
    bench.store(Buffer.from(`small ${count}`));
    await bench.pass(0.004);
  }
  assert.equal(count, 25, 'all of 100 ms go then');
  const { storing } = cache.stats;
  bench.store(Buffer.alloc(10_000, 1));
  assert.equal(cache.stats.storing, storing);
  bench.store(Buffer.alloc(10_000, 2));
  assert.equal(cache.stats.storing, storing + 2);
});

test('without a backing store all stays here, and goes there when there is one', async () => {
  const bench = new Bench({ dirtySizeLimit: 10, cleanSizeLimit: 10, purgeTargetSize: 10 });
  const { backing, cache } = bench;
  cache.detach();
  for (let number = 0; number < 10; number++) assert.equal(bench.store(Buffer.alloc(100, number)), undefined);
  await refused(cache.flush(), 'ENOSYS');
  await refused(cache.load(refOf(Buffer.from('x'))), 'ENOENT');
  await bench.pass(100);
  assert.equal(cache.drop(), 0);
  assert.deepEqual(cache.get(refOf(Buffer.alloc(100, 3))), Buffer.alloc(100, 3));
  cache.attach(backing);
  await cache.flush();
  assert.equal(backing.blobs.size, 10);
});

test('what is old goes when there is too much, the least recently used first; what is too much goes at once', async () => {
  const bench = new Bench({ purgeTargetSize: 2500, purgeOldEntry: 10, cleanSizeLimit: 5000 });
  const { cache } = bench;
  const kilobytes = Array.from({ length: 10 }, (_, number) => Buffer.alloc(680, number));
  for (const blob of kilobytes.slice(0, 4)) await bench.store(blob);
  await bench.pass(9);
  assert.equal(cache.stats.count, 4);
  cache.get(refOf(kilobytes[0]!));
  await bench.pass(2);
  assert.deepEqual(kilobytes.map((blob) => cache.get(refOf(blob)) !== undefined).slice(0, 4), [
    true,
    false,
    false,
    true,
  ]);
  for (const blob of kilobytes) await bench.store(blob);
  await turn();
  assert.equal(cache.stats.count, 5);
  await bench.pass(60);
  assert.equal(cache.stats.count, 2);
});

test('many blobs that have become old go a thousand at a time', async () => {
  const bench = new Bench({ purgeTargetSize: 0, purgeOldEntry: 10 });
  for (let number = 0; number < 3500; number++) await bench.store(Buffer.from(`blob ${number}`));
  await bench.pass(9.9);
  assert.equal(bench.cache.stats.count, 3500);
  const counts = [];
  while (bench.agenda.step()) counts.push(bench.cache.stats.count);
  assert.deepEqual(counts, [2500, 1500, 500, 0]);
});

test('where stores are answered when they are done, each has its own answer', async () => {
  const bench = new Bench({}, true);
  bench.backing.failure = (blobref) => (blobref === refOf(blobs[1]!) ? new FluxError('EIO') : undefined);
  const [bad, good, same] = [blobs[1]!, blobs[2]!, blobs[2]!].map((blob) => Promise.resolve(bench.store(blob)));
  await refused(bad!, 'EIO');
  await Promise.all([good, same]);
  assert.ok(bench.backing.blobs.has(refOf(blobs[2]!)));
});

test('what is part of a mapped file is in no store until somebody stores it', async () => {
  const bench = new Bench();
  const { cache, backing } = bench;
  const ref = refOf(blobs[4]!);
  bench.mapped.set(ref, blobs[4]!);
  assert.equal(await cache.load(ref), blobs[4]);
  assert.equal(cache.isEphemeral(ref), true);
  assert.deepEqual(backing.loads, []);
  bench.store(blobs[4]!);
  assert.equal(cache.isEphemeral(ref), false);
  await cache.flush();
  assert.ok(backing.blobs.has(ref));
});

test('blobs beyond the limit are refused, and those at it are not', async () => {
  const bench = new Bench({ blobSizeLimit: 10 });
  await bench.store(Buffer.alloc(10));
  await refused(Promise.resolve(bench.store(Buffer.alloc(11))), 'EFBIG', /at most 10 bytes/);
});

test('arguments', () => {
  assert.deepEqual(parseSettings([]), defaultSettings);
  assert.equal(parseSettings(['purge-target-size=12', 'blob-size-limit=4294967295']).purgeTargetSize, 12);
  for (const odd of [
    'x',
    'x=1',
    'purge-old-entry',
    'purge-old-entry=',
    'purge-old-entry=-1',
    'purge-old-entry=4294967296',
  ])
    throwsCode(() => parseSettings([odd]), 'EINVAL', /module option|error parsing/);
});
