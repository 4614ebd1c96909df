// Which thread a request to the KVS goes to, where it has several.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Module } from '../../../core/broker/module.ts';
import { decodeMessage, encodeMessage } from '../../../core/message/codec.ts';
import { Message } from '../../../core/message/message.ts';
import { kvsShard } from '../../../core/node/plan.ts';
import { dispatcher, namespaceOf, shardOf } from '../../../workers/kvs/shards.ts';

/** A request as it comes over a ring. */
function arrived(topic: string, payload: Uint8Array | object): Message {
  const bytes = payload instanceof Uint8Array ? payload : Buffer.from(`${JSON.stringify(payload)}\0`);
  const encoded = encodeMessage(Message.request({ topic, payload: bytes }));
  return decodeMessage(encoded, 0, encoded.length);
}

for (const [payload, namespace] of [
  [{ namespace: 'n', flags: 0, ops: [] }, 'n'],
  [{ flags: 0, ops: [], namespace: 'late' }, 'late'],
  [{ namespace: '' }, ''],
  [{ namespace: 'a"b\\c' }, 'a"b\\c'],
  [{ ops: [{ dirent: { data: { namespace: 'deep' } } }], namespace: 'top' }, 'top'],
  [{ ops: [{ dirent: { data: { namespace: 'deep' } } }] }, 'primary'],
  [{ namespace: 5 }, 'primary'],
  [{}, 'primary'],
] as const) {
  test(`${JSON.stringify(payload)} is for the namespace '${namespace}'`, () =>
    assert.equal(namespaceOf(arrived('kvs.commit', payload)), namespace));
}

test('whatever a namespace is called, it is found where JSON would find it', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), fc.boolean(), (namespace, isFirst) => {
      const payload = isFirst ? { namespace, ops: [] } : { ops: [], namespace };
      assert.equal(namespaceOf(arrived('kvs.commit', payload)), namespace);
    }),
  );
});

test('a payload that is no JSON is refused by whoever gets it, not on the way', () => {
  const seen: string[] = [];
  const dispatch = dispatcher(2, (name) => ({ send: () => seen.push(name) }) as unknown as Module);
  assert.equal(dispatch(arrived('kvs.commit', Buffer.from('{"namesp'))), true);
  assert.equal(dispatch(arrived('kvs.commit', Buffer.from('{"namespace":"n'))), true);
  assert.equal(seen.length, 2);
});

test('requests go to the thread of their namespace, the end of a client to all, and what is for all to none', () => {
  const shards = 3;
  const seen: [string, string][] = [];
  const find = (name: string) =>
    ({ send: (message: Message) => seen.push([name, message.topic!]) }) as unknown as Module;
  const dispatch = dispatcher(shards, find);
  for (const namespace of ['primary', 'a', 'b', 'c', 'd'])
    assert.equal(dispatch(arrived('kvs.lookup', { namespace })), true);
  assert.deepEqual(
    seen.splice(0),
    ['primary', 'a', 'b', 'c', 'd'].map((namespace) => [kvsShard(shardOf(namespace, shards)), 'kvs.lookup']),
  );
  assert.equal(dispatch(arrived('kvs.disconnect', {})), false);
  assert.deepEqual(
    seen.splice(0),
    [0, 1, 2].map((shard) => [kvsShard(shard), 'kvs.disconnect']),
  );
  for (const topic of ['kvs.namespace-list', 'kvs.ping', 'kvs.stats-get'])
    assert.equal(dispatch(arrived(topic, {})), false);
  assert.deepEqual(seen, []);
});
