// Tables of modules: what entries are by default, how files and the configuration change them, and what is refused.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  builtinModules,
  bundledEntries,
  chooseProvider,
  extendTable,
  initialModules,
  type ModuleEntry,
  provides,
  runsOn,
} from '../../../core/broker/module-table.ts';
import type { JsonObject } from '../../../core/json.ts';
import { throwsCode } from '../../errors.ts';

const entry = (table: readonly ModuleEntry[], name: string) => table.find((each) => each.name === name)!;

const table = extendTable([], {
  modules: [{ name: 'a' }, { name: 'b', provides: ['s'] }, { name: 'c', provides: ['s', 't'], priority: 7 }],
});

test('an entry that says only its name is that module, on all ranks, and needs nothing', () => {
  assert.deepEqual(entry(table, 'a'), {
    name: 'a',
    module: 'a',
    args: [],
    exec: false,
    ranks: 'all',
    provides: [],
    priority: 100,
    disabled: false,
    requires: [],
    after: [],
    needs: [],
    needsConfig: [],
    needsAttrs: [],
    needsEnv: [],
  });
});

const full = {
  module: './x.js',
  args: ['y=1'],
  exec: true,
  ranks: '>0',
  provides: ['p'],
  priority: -5,
  disabled: true,
  requires: ['r'],
  after: ['f'],
  needs: ['n'],
  'needs-config': ['k.l'],
  'needs-attrs': ['!m'],
  'needs-env': ['E'],
};

test('each setting of an entry can be set, by an entry or by a change', () => {
  const added = entry(extendTable([], { modules: [{ name: 'a', ...full }] }), 'a');
  const { module, args, exec, ranks, priority, disabled, requires, after, needs } = full;
  assert.deepEqual(added, {
    ...{ name: 'a', module, args, exec, ranks, provides: ['p'], priority, disabled, requires, after, needs },
    ...{ needsConfig: ['k.l'], needsAttrs: ['!m'], needsEnv: ['E'] },
  });
  assert.deepEqual(entry(extendTable(table, { a: full }), 'a'), added);
});

test('a change keeps what it does not name, an entry of the same name replaces all', () => {
  const changed = extendTable(table, { c: { disabled: true } });
  assert.deepEqual(entry(changed, 'c'), { ...entry(table, 'c'), disabled: true });
  assert.deepEqual(
    changed.map(({ name }) => name),
    ['a', 'b', 'c'],
  );
  const replaced = extendTable(table, { modules: [{ name: 'c', exec: true }] });
  assert.deepEqual(entry(replaced, 'c'), { ...entry(table, 'a'), name: 'c', module: 'c', exec: true });
  assert.equal(entry(table, 'c').disabled, false, 'the old table is changed');
});

test('a change may be for a module that the same file adds', () => {
  assert.equal(entry(extendTable(table, { modules: [{ name: 'new' }], new: { exec: true } }), 'new').exec, true);
});

test('a module answers for its name and for what it provides', () => {
  const c = entry(table, 'c');
  assert.deepEqual(
    ['c', 's', 't', 'a'].map((service) => provides(c, service)),
    [true, true, true, false],
  );
});

test('the provider that is chosen has the highest priority, and one without rivals needs none', () => {
  for (const name of ['b', 'c']) {
    const chosen = chooseProvider(table, 's', name);
    const others = chosen.filter((each) => provides(each, 's') && each.name !== name);
    for (const other of others) assert.ok(entry(chosen, name).priority > other.priority);
  }
  assert.deepEqual(chooseProvider(table, 't', 'c'), table);
  throwsCode(() => chooseProvider(table, 't', 'b'), 'EINVAL', /^no module 'b' provides t$/);
  throwsCode(() => chooseProvider(table, 'nosuch', 'b'), 'EINVAL');
});

for (const [settings, text] of [
  [{ modules: 5 }, /modules is not an array/],
  [{ modules: ['a'] }, /has no name/],
  [{ modules: [null] }, /has no name/],
  [{ modules: [{ name: 5 }] }, /has no name/],
  [{ alternatives: [] }, /alternatives is not a table/],
  [{ alternatives: { s: 'a' } }, /no module 'a' provides s/],
  [{ alternatives: { s: 5 } }, /no module '5' provides s/],
  [{ constructor: {} }, /no module 'constructor' to change/],
  [{ a: [] }, /^a is not a table$/],
  [{ a: { constructor: 1 } }, /a has no setting 'constructor'/],
  [{ a: { name: 'x' } }, /a has no setting 'name'/],
  ...Object.keys(full).map((key) => [{ a: { [key]: { wrong: 1 } } }, new RegExp(`^a\\.${key} is of the wrong type$`)]),
  [{ a: { args: ['x', 5] } }, /^a\.args is of the wrong type$/],
  [{ a: { priority: 1.5 } }, /^a\.priority is of the wrong type$/],
  [{ a: { ranks: '>x' } }, /./],
] as [JsonObject, RegExp][]) {
  test(`refused: ${JSON.stringify(settings)}`, () => throwsCode(() => extendTable(table, settings), 'EINVAL', text));
}

for (const [ranks, inside, outside] of [
  ['all', [0, 1, 99], []],
  ['0', [0], [1]],
  ['1-3,7', [1, 2, 3, 7], [0, 4, 8]],
  ['>0', [1, 99], [0]],
  ['>2', [3], [0, 1, 2]],
  ['<2', [0, 1], [2, 3]],
  ['', [], [0, 1]],
] as [string, number[], number[]][]) {
  test(`'${ranks}' holds ${inside.join(', ') || 'no rank'}`, () => {
    for (const rank of inside) assert.equal(runsOn(ranks, rank), true, `${rank}`);
    for (const rank of outside) assert.equal(runsOn(ranks, rank), false, `${rank}`);
  });
}

test('what an instance loads comes with the broker, and is no part of it', () => {
  for (const service of initialModules)
    assert.ok(
      bundledEntries.some((entry) => provides(entry, service)),
      service,
    );
  for (const { name } of bundledEntries) assert.ok(!builtinModules.includes(name), name);
});
