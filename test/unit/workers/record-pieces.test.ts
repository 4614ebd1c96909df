// Records in pieces: whatever is added and removed, the KVS has each record once, and a restart has what was committed.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { FluxError } from '../../../core/errno.ts';
import type { Kvs } from '../../../core/handle/kvs.ts';
import type { JsonValue } from '../../../core/json.ts';
import { type Recorded, RecordPieces } from '../../../workers/record-pieces.ts';

interface Item extends Recorded {
  readonly id: number;
}

const item = (id: number): Item => ({ id, piece: undefined });

const codec = {
  encode: (items: readonly Item[]): JsonValue => items.map(({ id }) => id),
  decode: (value: JsonValue): Item[] => (value as number[]).map(item),
};

/** Keys below `dir.` as a KVS has them. */
class Store {
  readonly values = new Map<string, JsonValue>();

  commit(pieces: RecordPieces<Item>): void {
    for (const { key, value } of pieces.takeChanges()) {
      if (value === undefined) this.values.delete(key);
      else this.values.set(key, value);
    }
  }

  get kvs(): Kvs {
    const readdir = async (key: string) => {
      if (this.values.size === 0) throw new FluxError('ENOENT');
      return new Map([...this.values.keys()].map((name) => [name.slice(key.length + 1), {}]));
    };
    return { readdir, getJson: async (key: string) => this.values.get(key) } as unknown as Kvs;
  }

  get ids(): number[] {
    return [...this.values.values()]
      .flat()
      .map(Number)
      .sort((a, b) => a - b);
  }
}

const ids = (items: Iterable<Item>) => Array.from(items, ({ id }) => id).sort((a, b) => a - b);

const step = fc.oneof(
  { weight: 4, arbitrary: fc.record({ type: fc.constant('add' as const), count: fc.integer({ min: 1, max: 1200 }) }) },
  {
    weight: 4,
    arbitrary: fc.record({
      type: fc.constant('remove' as const),
      count: fc.integer({ min: 1, max: 900 }),
      isOldest: fc.boolean(),
    }),
  },
  { weight: 3, arbitrary: fc.constant({ type: 'close' as const }) },
  { weight: 2, arbitrary: fc.constant({ type: 'crash' as const }) },
);

test('what is committed is each record once, and comes back', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 30 }), async (steps) => {
      const store = new Store();
      let pieces = new RecordPieces<Item>('dir', codec);
      let there: Item[] = [];
      let lastId = 0;
      for (const each of steps) {
        if (each.type === 'add')
          for (let count = 0; count < each.count; count++) {
            const added = item(++lastId);
            there.push(added);
            pieces.add(added);
          }
        else if (each.type === 'remove') {
          const removed = each.isOldest ? there.splice(0, each.count) : there.splice(-each.count);
          for (const gone of removed) pieces.remove(gone);
        } else if (each.type === 'close') pieces.close();
        else {
          pieces = new RecordPieces('dir', codec);
          there = await pieces.load(store.kvs);
        }
        store.commit(pieces);
        const gathered = there.filter((record) => record.piece === 0);
        assert.equal(pieces.gathered, gathered.length);
        assert.deepEqual(store.ids, ids(there.filter((record) => record.piece !== 0)));
        for (const piece of store.values.values()) assert.ok((piece as JsonValue[]).length <= 1000);
        if (each.type !== 'crash') continue;
        const small = [...store.values.values()].filter((piece) => (piece as JsonValue[]).length < 500);
        assert.ok(small.length <= 1, `${small.length} of ${store.values.size} pieces are small`);
      }
    }),
    { numRuns: 60 },
  );
});

test('a piece that is none', async () => {
  const store = new Store();
  store.values.set('dir.1', null);
  await assert.rejects(new RecordPieces<Item>('dir', codec).load(store.kvs), {
    code: 'EINVAL',
    message: /^dir\.1: /,
  });
});
