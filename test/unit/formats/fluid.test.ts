// Job ids in all notations against the recorded vectors, and the generator against a clock that is told what to say.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { FluxError } from '../../../core/errno.ts';
import { emojiDigits } from '../../../core/formats/emoji-digits.ts';
import { encodeFluid, FluidGenerator, fluidForms, fluidTimestamp, parseFluid } from '../../../core/formats/fluid.ts';
import { mnemonicWords } from '../../../core/formats/mnemonic-words.ts';
import { golden } from '../../golden.ts';

interface Vectors {
  readonly encode: readonly {
    readonly dec: string;
    readonly hex: string;
    readonly dothex: string;
    readonly kvs: string;
    readonly words: string;
    readonly f58: string;
  }[];
  readonly decode: readonly { readonly in: string; readonly dec?: string; readonly error?: string }[];
}

const vectors = golden<Vectors>('vectors/fluid.json');

const isEinval = (error: unknown) => error instanceof FluxError && error.code === 'EINVAL' && !!error.detail;

test('encode vectors, and back', () => {
  for (const row of vectors.encode) {
    const id = BigInt(row.dec);
    for (const form of ['dec', 'hex', 'dothex', 'kvs', 'words', 'f58'] as const) {
      assert.equal(encodeFluid(id, form), row[form]);
      assert.equal(parseFluid(row[form]), id, row[form]);
    }
    assert.equal(encodeFluid(id, 'f58plain'), row.f58.replace('ƒ', 'f'));
  }
});

test('decode vectors', async (t) => {
  for (const row of vectors.decode) {
    await t.test(JSON.stringify(row.in), () => {
      if (row.dec === undefined) assert.throws(() => parseFluid(row.in), isEinval);
      else assert.equal(parseFluid(row.in), BigInt(row.dec));
    });
  }
});

test('the examples of RFC 19', () => {
  assert.equal(encodeFluid(6731191091817518n), 'ƒuZZybuNNy');
  assert.equal(parseFluid('ƒuZZybuNNy'), parseFluid('reform-remote-galileo--heart-package-academy'));
  assert.equal(parseFluid('🚹💂🙌😳💱🏃'), 32031603597246464n);
  assert.equal(parseFluid('😄😹🎇📥🏧🙉🔞'), 39601885002334208n);
  assert.equal(encodeFluid(6731191091817518n, 'emoji'), '👩💅📓😸👑🚓');
  assert.equal(encodeFluid(2n ** 64n - 1n, 'emoji'), '🚹💗💧👗😷📷📚');
});

test('digits and words are all different', () => {
  assert.equal(new Set(mnemonicWords).size, 1626);
  assert.equal(new Set(emojiDigits).size, 576);
});

test('words that stand for more than 32 bits are refused', () => {
  const largest = encodeFluid(2n ** 64n - 1n, 'words');
  assert.equal(largest, 'natural-analyze-verbal--natural-analyze-verbal');
  assert.throws(() => parseFluid('nectar-analyze-verbal--academy-academy-academy'), isEinval);
  assert.equal(parseFluid('  NATURAL analyze-verbal / natural-analyze-verbal '), 2n ** 64n - 1n);
});

test('only 64 bits are written', () => {
  for (const id of [-1n, 2n ** 64n]) assert.throws(() => encodeFluid(id, 'hex'), isEinval);
});

test('every form of every id reads back', () => {
  fc.assert(
    fc.property(fc.bigInt(0n, 2n ** 64n - 1n), fc.constantFrom(...fluidForms), (id, form) => {
      assert.equal(parseFluid(encodeFluid(id, form)), id);
    }),
  );
});

test('any text is an id or EINVAL', () => {
  const unit = fc.constantFrom(...'01aAf.x-ƒzj ob\t', '😃', '\ud83d', 'academy', '0x');
  fc.assert(
    fc.property(fc.oneof(fc.string({ unit }), fc.string({ unit: 'binary' })), (text) => {
      try {
        const id = parseFluid(text);
        assert.ok(id >= 0n && id < 2n ** 64n);
      } catch (error) {
        assert.ok(isEinval(error), String(error));
      }
    }),
  );
});

test('an id holds timestamp, generator and sequence', () => {
  let now = 1000.5;
  const generator = new FluidGenerator(5, () => now, 7);
  assert.equal(generator.generate(), (7n << 24n) | (5n << 10n));
  assert.equal(generator.generate(), (7n << 24n) | (5n << 10n) | 1n);
  now += 3;
  assert.equal(generator.timestamp(), 10);
  assert.equal(generator.generate(), (10n << 24n) | (5n << 10n));
  assert.equal(fluidTimestamp(generator.generate()), 10);
});

test('ids ascend whatever the clock does, and are of one generator', () => {
  fc.assert(
    fc.property(fc.array(fc.record({ tick: fc.integer({ min: -3, max: 3 }), ids: fc.nat(1500) })), (steps) => {
      let now = 0;
      let last = -1n;
      const generator = new FluidGenerator(16383, () => now);
      for (const { tick, ids } of steps) {
        now += tick;
        for (let i = 0; i < ids; i++) {
          const id = generator.generate();
          assert.ok(id > last && fluidTimestamp(id) >= now && ((id >> 10n) & 0x3fffn) === 16383n);
          last = id;
        }
      }
    }),
    { numRuns: 30 },
  );
});

test('a generator has 14 bits for its id and 40 for time', () => {
  let now = 0;
  for (const id of [-1, 16384, 0.5]) assert.throws(() => new FluidGenerator(id, () => 0), isEinval);
  for (const start of [-1, 2 ** 40, 0.5]) assert.throws(() => new FluidGenerator(0, () => 0, start), isEinval);
  const generator = new FluidGenerator(0, () => now, 2 ** 40 - 1);
  generator.generate();
  now = 1;
  assert.throws(() => generator.generate(), { code: 'EOVERFLOW' });
});
