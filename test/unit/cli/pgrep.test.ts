// flux pgrep, flux pkill and flux pstree: which jobs match, and how trees are drawn.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type DrawOptions, drawTree, makeTree, type Tree } from '../../../cli/job-tree.ts';
import { JobInfo } from '../../../cli/listed-job.ts';
import { parseExpressions } from '../../../cli/pgrep-match.ts';

const jobs = ['sleep', 'hostname', 'Sleep-2', ''].map((name, id) => new JobInfo({ id, name }));

test('jobs match a pattern, a range of ids, or both', () => {
  const rows: [string[], number[]][] = [
    [['sleep'], [0]],
    [['name:sleep'], [0]],
    [['(?i)sleep'], [0, 2]],
    [['^(sleep|hostname)$'], [0, 1]],
    [['(?P<x>e)(?P=x)'], [0, 2]],
    [['.'], [0, 1, 2]],
    [[''], [0, 1, 2, 3]],
    [['1..2'], [1, 2]],
    [['f2..0x9'], [1, 2, 3]],
    [['1..9', 'S'], [2]],
    [['st..me'], [1]],
    [['name:1..2'], []],
    [['3..1'], []],
  ];
  for (const [expressions, ids] of rows) {
    const found = jobs.filter(parseExpressions(expressions)).map(({ id }) => Number(id));
    assert.deepEqual(found, ids, expressions.join(' '));
  }
});

test('wrong expressions', () => {
  const rows: [string[], RegExp][] = [
    [['('], /Invalid regular expression/],
    [['a', 'b'], /only one pattern/],
  ];
  for (const [expressions, sentence] of rows) assert.throws(() => parseExpressions(expressions), sentence);
});

function tree(label: string, ...branches: Tree[]): Tree {
  return makeTree(label, '', branches, true);
}

test('trees are drawn in three styles', () => {
  const root = tree('.', tree('a', tree('b'), tree('b'), tree('c', tree('d'))), tree('e'), tree('e'));
  const rows: [DrawOptions, string[]][] = [
    [{ style: 'box' }, ['.', '├── a', '│   ├── 2*[b]', '│   └── c', '│       └── d', '└── 2*[e]']],
    [{ style: 'ascii' }, ['.', '|-- a', '|   |-- 2*[b]', '|   `-- c', '|       `-- d', '`-- 2*[e]']],
    [{ style: 'compact' }, ['.', '├─a', '│ ├─2*[b]', '│ └─c', '│   └─d', '└─2*[e]']],
    [{ style: 'box', skipRoot: true }, ['a', '├── 2*[b]', '└── c', '    └── d', '2*[e]']],
    [{ style: 'compact', width: 5 }, ['.', '├─a', '│ ├─+', '│ └─c', '│   +', '└─2*+']],
  ];
  for (const [options, lines] of rows) assert.deepEqual(drawTree(root, options), lines);
});

test('only leaves that look the same are put together, and only when that is wanted', () => {
  const leaf = (label: string, prefix: string) => makeTree(label, prefix, []);
  const branches = [leaf('a', '1'), leaf('a', '2'), leaf('a', '1'), makeTree('a', '1', [leaf('b', '')])];
  const draw = (combine: boolean) => drawTree(makeTree('.', '', branches, combine), { style: 'compact' });
  assert.deepEqual(draw(true), ['.', '1 ├─2*[a]', '2 ├─a', '1 └─a', '  └─b']);
  assert.deepEqual(draw(false), ['.', '1 ├─a', '2 ├─a', '1 ├─a', '1 └─a', '  └─b']);
});
