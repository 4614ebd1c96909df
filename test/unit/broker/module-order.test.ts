// Which modules are loaded and removed together and in which order, on a table like that of a whole instance.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ModuleOrder, type ModulePlace } from '../../../core/broker/module-order.ts';
import { chooseProvider, extendTable, type ModuleEntry, runsOn } from '../../../core/broker/module-table.ts';
import { parseToml } from '../../../core/formats/toml.ts';

const toml = `
modules = [
  { name = "heartbeat" },
  { name = "content", requires = ["heartbeat", "content-backing"] },
  { name = "content-files", ranks = "0", after = ["content"], provides = ["content-backing"] },
  { name = "content-sqlite", ranks = "0", after = ["content"], provides = ["content-backing"] },
  { name = "kvs", after = ["content-backing", "content"], requires = ["content", "heartbeat"] },
  { name = "bus", needs-config = ["systemd.enable"] },
  { name = "exec", needs = ["bus"], requires = ["kvs"], after = ["kvs"] },
  { name = "only-here", needs-env = ["HERE"], needs-attrs = ["!there"], ranks = ">0" },
]
`;

const table = extendTable([], parseToml(toml, 'test'));

interface Place {
  readonly rank?: number;
  readonly config?: readonly string[];
  readonly attributes?: readonly string[];
  readonly variables?: readonly string[];
}

function order(entries: readonly ModuleEntry[] = table, given: Place = {}): ModuleOrder {
  const { rank = 0, config = [], attributes = [], variables = [] } = given;
  const place: ModulePlace = {
    rank,
    hasConfig: (key) => config.includes(key),
    hasAttribute: (name) => attributes.includes(name),
    hasVariable: (name) => variables.includes(name),
  };
  return new ModuleOrder(entries, place);
}

test('what a module requires is loaded with it, but for what does not belong on the rank', () => {
  assert.deepEqual(order().requirements(['kvs']), ['kvs', 'content', 'heartbeat', 'content-sqlite']);
  assert.deepEqual(order(table, { rank: 1 }).requirements(['kvs']), ['kvs', 'content', 'heartbeat']);
  assert.deepEqual(order().requirements(['exec']), ['kvs', 'content', 'heartbeat', 'content-sqlite'], 'exec needs bus');
  assert.deepEqual(order(table, { config: ['systemd.enable'] }).requirements(['bus']), ['bus']);
  assert.deepEqual(order().requirements(['bus']), []);
  assert.deepEqual(order().requirements(['bus'], true), ['bus'], 'the user asks for it');
  assert.throws(() => order().requirements(['nosuch']), { code: 'ENOENT' });
});

test('modules belong where their conditions hold', () => {
  const entry = table.at(-1)!;
  const here = { rank: 1, variables: ['HERE'] };
  assert.equal(order(table, here).isEnabled(entry), true);
  assert.equal(order(table, { ...here, rank: 0 }).isEnabled(entry), false);
  assert.equal(order(table, { ...here, attributes: ['there'] }).isEnabled(entry), false);
  assert.equal(order(table, { rank: 1 }).isEnabled(entry), false);
  const rows: [string, number, boolean][] = [
    ['all', 5, true],
    ['0,5', 5, true],
    ['0', 5, false],
    ['<5', 5, false],
    ['>4', 5, true],
  ];
  for (const [ranks, rank, expected] of rows) assert.equal(runsOn(ranks, rank), expected, ranks);
});

test('a service is the provider with the highest priority, the last among equals, or the one chosen', () => {
  assert.equal(order().resolve('content-backing').name, 'content-sqlite');
  const chosen = chooseProvider(table, 'content-backing', 'content-files');
  assert.equal(order(chosen).resolve('content-backing').name, 'content-files');
  const changed = extendTable(table, { 'content-sqlite': { disabled: true } });
  assert.equal(order(changed).resolve('content-backing').name, 'content-files');
  const preferred = extendTable(table, { alternatives: { 'content-backing': 'content-files' } });
  assert.equal(order(preferred).resolve('content-backing').name, 'content-files');
  assert.throws(() => chooseProvider(table, 'content-backing', 'kvs'), /no module 'kvs' provides content-backing/);
});

test('modules are loaded after others, and removed the other way round', () => {
  const names = ['kvs', 'content', 'heartbeat', 'content-sqlite'];
  assert.deepEqual(Object.fromEntries(order().loadOrder(names)), {
    kvs: ['content', 'content-sqlite'],
    content: [],
    heartbeat: [],
    'content-sqlite': ['content'],
  });
  assert.deepEqual(Object.fromEntries(order().removeOrder(names)), {
    kvs: [],
    content: ['kvs', 'content-sqlite'],
    heartbeat: [],
    'content-sqlite': ['kvs'],
  });
  const round = extendTable(table, { heartbeat: { after: ['kvs'] }, content: { after: ['heartbeat'] } });
  assert.throws(() => order(round).loadOrder(names), { code: 'EDEADLK' });
});

test('what is not required any more is removed, too, and what is required stays', () => {
  const loaded = ['heartbeat', 'content', 'content-sqlite', 'kvs', 'stranger'];
  assert.deepEqual(order().removable(['kvs'], loaded), ['kvs', 'content', 'heartbeat', 'content-sqlite']);
  assert.deepEqual(order().removable(loaded.slice(0, 4), loaded), loaded.slice(0, 4));
  assert.throws(() => order().removable(['heartbeat'], loaded), /heartbeat is in use by content, kvs/);
});

test('tables that are wrong are refused', () => {
  const rows: [Parameters<typeof extendTable>[1], RegExp][] = [
    [{ modules: {} }, /not an array/],
    [{ modules: [{}] }, /has no name/],
    [{ modules: [{ name: 'x', args: 'y' }] }, /x\.args is of the wrong type/],
    [{ modules: [{ name: 'x', ranks: 0 }] }, /x\.ranks is of the wrong type/],
    [{ modules: [{ name: 'x', ranks: 'y' }] }, /error parsing range 'y'/],
    [{ modules: [{ name: 'x', frob: 1 }] }, /x has no setting 'frob'/],
    [{ nosuch: {} }, /no module 'nosuch' to change/],
    [{ kvs: 1 }, /kvs is not a table/],
    [{ alternatives: { sched: 'kvs' } }, /no module 'kvs' provides sched/],
  ];
  for (const [settings, sentence] of rows) assert.throws(() => extendTable(table, settings), sentence);
});
