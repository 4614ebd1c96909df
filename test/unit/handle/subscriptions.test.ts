// Who wants which topics, against a list of subscriptions that is searched from end to end.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Subscriptions } from '../../../core/handle/subscriptions.ts';

const prefix = fc.string({ unit: fc.constantFrom('a', '.', '😀'), maxLength: 2 });
const who = fc.nat(2);
const step = fc.oneof(
  fc.record({ act: fc.constant('add' as const), who, prefix }),
  fc.record({ act: fc.constant('remove' as const), who, prefix }),
  fc.record({ act: fc.constant('removeAll' as const), who, prefixes: fc.array(prefix, { maxLength: 5 }) }),
);

test('after any course of subscriptions those are told who a list of them would name, each once', () => {
  fc.assert(
    fc.property(
      fc.array(step, { maxLength: 60, size: 'max' }),
      fc.array(prefix, { minLength: 1, maxLength: 8 }),
      (steps, topics) => {
        const subscriptions = new Subscriptions<number>();
        let model: { who: number; prefix: string }[] = [];
        for (const each of steps) {
          if (each.act === 'add') {
            subscriptions.add(each.prefix, each.who);
            model.push(each);
          } else if (each.act === 'remove') {
            const index = model.findIndex((one) => one.who === each.who && one.prefix === each.prefix);
            assert.equal(subscriptions.remove(each.prefix, each.who), index >= 0);
            if (index >= 0) model.splice(index, 1);
          } else {
            subscriptions.removeAll(each.prefixes, each.who);
            model = model.filter((one) => one.who !== each.who || !each.prefixes.includes(one.prefix));
          }
          assert.equal(subscriptions.isEmpty, model.length === 0);
          for (const topic of topics) {
            const told = [...subscriptions.of(topic)];
            const expected = new Set(model.flatMap((one) => (topic.startsWith(one.prefix) ? [one.who] : [])));
            assert.deepEqual(told.toSorted(), [...expected].toSorted(), topic);
          }
          assert.deepEqual([...subscriptions.all()].toSorted(), [...new Set(model.map((one) => one.who))].toSorted());
        }
      },
    ),
    { numRuns: 300 },
  );
});

test('what is told while subscriptions change is who had subscribed before', () => {
  const subscriptions = new Subscriptions<string>();
  for (const name of ['one', 'two', 'three']) subscriptions.add('a', name);
  const told: string[] = [];
  for (const name of subscriptions.of('a.b')) {
    told.push(name);
    subscriptions.remove('a', 'two');
    subscriptions.remove('a', 'three');
    subscriptions.add('a', 'four');
  }
  assert.deepEqual(told, ['one', 'two', 'three']);
  assert.deepEqual([...subscriptions.of('a.b')], ['one', 'four']);
});
