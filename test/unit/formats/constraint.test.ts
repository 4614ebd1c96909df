// Job constraints, on a few nodes and against any JSON.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { FluxError } from '../../../core/errno.ts';
import { compileConstraint } from '../../../core/formats/constraint.ts';
import { resourceSetFromConfig } from '../../../core/formats/resource-config.ts';

const set = resourceSetFromConfig([
  { hosts: 'a[0-3]', cores: '0' },
  { hosts: 'a[0-1]', properties: ['big'] },
  { hosts: 'a[1-2]', properties: ['fast'] },
]);

test('constraints pass the nodes they describe', () => {
  const rows: [unknown, string][] = [
    [{}, '0-3'],
    [{ properties: [] }, '0-3'],
    [{ properties: ['big'] }, '0-1'],
    [{ properties: ['big', 'fast'] }, '1'],
    [{ properties: ['^big'] }, '2-3'],
    [{ properties: ['^big', 'fast'] }, '2'],
    [{ properties: ['a3'] }, '3'],
    [{ properties: ['^^big'] }, '0-3'],
    [{ hostlist: ['a[0,3]', 'b', 'a2'] }, '0,2-3'],
    [{ ranks: ['0-1', '3', '9'] }, '0-1,3'],
    [{ and: [{ properties: ['big'] }, { ranks: ['1-3'] }] }, '1'],
    [{ and: [] }, '0-3'],
    [{ or: [{ properties: ['fast'] }, { hostlist: ['a0'] }] }, '0-2'],
    [{ or: [] }, '0-3'],
    [{ not: [{ properties: ['fast'] }] }, '0,3'],
    [{ not: [{ ranks: ['0-2'] }, { ranks: ['2-3'] }] }, '0-1,3'],
    [{ not: [] }, ''],
  ];
  for (const [constraint, ranks] of rows) {
    assert.equal(set.filter(compileConstraint(constraint)).ranks.encode(), ranks, JSON.stringify(constraint));
  }
});

test('errors say what is wrong', () => {
  const rows: [unknown, string][] = [
    [[], 'constraint must be JSON object'],
    [{ and: [1] }, 'constraint must be JSON object'],
    [{ ranks: [], or: [] }, 'constraint must only contain 1 element'],
    [{ xor: [] }, 'unknown constraint operator: xor'],
    [{ properties: 'big' }, 'properties value must be an array'],
    [{ properties: [1] }, 'non-string property specified'],
    [{ properties: ['a|b'] }, `invalid character '|' in property "a|b"`],
    [{ and: {} }, 'and operator value must be an array'],
    [{ ranks: ['0', 'x'] }, `invalid idset 'x' in ["0", "x"]`],
    [{ ranks: [0] }, "invalid idset '0' in [0]"],
    [{ hostlist: ['a['] }, `invalid hostlist 'a[' in ["a["]`],
    [{ hostlist: 'a' }, 'hostlist value must be an array'],
  ];
  for (const [constraint, detail] of rows) {
    assert.throws(() => compileConstraint(constraint), { name: 'FluxError', code: 'EINVAL', detail });
  }
});

test('any JSON is a constraint or EINVAL', () => {
  const { constraint } = fc.letrec((tie) => ({
    constraint: fc.oneof(
      { depthSize: 'small' },
      fc.constantFrom({}, { ranks: ['0-1'] }, { properties: ['^big'] }, { hostlist: ['a[0-1]'] }, { x: [] }, 7),
      fc.dictionary(fc.constantFrom('and', 'or', 'not'), fc.array(tie('constraint'), { maxLength: 3 }), { maxKeys: 2 }),
      fc.jsonValue(),
    ),
  }));
  fc.assert(
    fc.property(constraint, (value) => {
      try {
        assert.ok(set.filter(compileConstraint(value)).ranks.count <= 4);
      } catch (error) {
        assert.ok(error instanceof FluxError && error.code === 'EINVAL', String(error));
      }
    }),
    { numRuns: 500 },
  );
  let nested: unknown = {};
  for (let i = 0; i < 10_000; i++) nested = { not: [nested] };
  assert.throws(() => compileConstraint(nested), { detail: 'constraint is nested too deep' });
});
