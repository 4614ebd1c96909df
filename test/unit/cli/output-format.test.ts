// Tables whose columns a format chooses: headings, columns that are left out or widened, sorting, conversions.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Fields, OutputFormat } from '../../../cli/output-format.ts';
import { Real } from '../../../core/json.ts';

interface Item {
  readonly id: number;
  readonly name: string;
  readonly time: number | '';
}

const fields: Fields<Item> = {
  id: { heading: 'ID', value: ({ id }) => id },
  name: { heading: 'NAME', value: ({ name }) => name },
  time: { heading: 'TIME', value: ({ time }) => (time === '' ? '' : new Real(time)) },
};

const items: Item[] = [
  { id: 10, name: 'b', time: 90 },
  { id: 9, name: '', time: '' },
  { id: 11, name: 'longer', time: 0.5 },
];

function table(format: string, some: readonly Item[] = items, header = true): string[] {
  return new OutputFormat(format, fields).lines(some, { header });
}

test('columns are laid out, and headings with them', () => {
  assert.deepEqual(table('{id:>4} {name:<8}|'), [
    '  ID NAME    |',
    '  10 b       |',
    '   9         |',
    '  11 longer  |',
  ]);
  assert.deepEqual(table('{0.id} {name:.2+}', [items[2]!]), ['ID NAME', '11 l+']);
  assert.deepEqual(table('{name:>3h}', items, false), ['  b', '  -', 'longer']);
  assert.deepEqual(table('{name}', [items[1]!]), ['NAME'], 'an empty line is left out');
  assert.deepEqual(table('{{{id}}}', [items[0]!], false), ['{10}']);
});

test('columns are left out when they are empty, and widened when they ask for it', () => {
  const empty = items.filter(({ name }) => name === '');
  assert.deepEqual(table('{id} ?:{name:>8}', empty), ['ID', '9']);
  assert.deepEqual(table('{id} ?:{name:>3}', items.slice(0, 1)), ['ID NAME', '10   b']);
  assert.deepEqual(table('+:{name:>}|', items), ['  NAME|', '     b|', '      |', 'longer|']);
  assert.deepEqual(table('+:{name:<3.3}|', items, false), ['b     |', '      |', 'longer|']);
  assert.deepEqual(table('?+:{name:<}|{id}', empty), ['|ID', '|9']);
});

test('rows are sorted: what is empty first, then numbers, then texts', () => {
  assert.deepEqual(table('sort:id {id}', items, false), ['9', '10', '11']);
  assert.deepEqual(table('sort:-name,id {id}', items, false), ['11', '10', '9']);
  const format = new OutputFormat('sort:id {id}', fields);
  format.sortBy('-id');
  assert.deepEqual(format.lines(items, { header: false }), ['11', '10', '9']);
});

test('conversions', () => {
  const rows: [string, number | '', string][] = [
    ['{time!F}', 90, '1.5m'],
    ['{time!F:h}', '', '-'],
    ['{time!H}', 90061.4, '1 day, 1:01:01'],
    ['{time!H}', 0.2, '0:00:01'],
    ['{time!P}', 0.5, '50%'],
    ['{time!P}', 0.0005, '0.05%'],
    ['{time!s:>5}', 2, '  2.0'],
    ['{time!D:h}', 0, '-'],
    ['{time!d:%Y::>6}', 86400 * 400, '  1971'],
  ];
  for (const [format, time, expected] of rows)
    assert.deepEqual(table(format, [{ id: 1, name: '', time }], false), [expected], format);
});

test('long lines are cut', () => {
  assert.deepEqual(new OutputFormat('{name}', fields).lines(items, { header: false, width: 4 }), ['b', 'lon+']);
});

test('wrong formats are refused', () => {
  const rows: [string, RegExp][] = [
    ['{nosuch}', /no field 'nosuch'.*there are id, name, time/],
    ['sort:nosuch {id}', /no field 'nosuch' to sort by/],
    ['{id', /a single '{'/],
    ['{id:>>>}', /no format specification/],
  ];
  for (const [format, sentence] of rows) assert.throws(() => table(format), sentence);
  assert.throws(() => table('{id!Z}'), /no conversion '!Z'/);
});
