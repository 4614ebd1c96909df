// Options in batch scripts (RFC 36).

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseDirectives } from '../../../cli/batch-directives.ts';

test('directives of scripts', () => {
  const rows: readonly (readonly [script: string, options: readonly string[][] | RegExp])[] = [
    ['#!/bin/sh\necho\n', []],
    ['#!/bin/sh\n#flux: -N4 -x\n# flux: is great\n', /line 3: sentinel changed/],
    [
      '#!/bin/sh\n#flux: -N4 -x\n# a comment\n#flux: --job-name="a b" # why\n\necho\n',
      [['-N4', '-x'], ['--job-name=a b']],
    ],
    ['#!/bin/sh\n#FLUX:-n1\n', [['-n1']]],
    ['-- flux: -n1\n-- flux: -t 5\n', [['-n1'], ['-t', '5']]],
    ['foo flux: -n1\n', []],
    ['#flux:\n#flux: # nothing\n#flux: -n1\n', [['-n1']]],
    ['#flux: -n1\necho\n#flux: -n2\n', /line 3: orphan 'flux:'.* behind line 1/],
    ['#flux: -n1\n#FLUX: -n2\n', /line 2: sentinel changed from '#flux:' to '#FLUX:'/],
    ['#flux: foo\n', /line 1: unknown directive/],
    ['#flux: --x="a\n', /line 1: .*a quote " is not closed/],
    ['#flux: -S a="""x "y" z"""\n', [['-S', 'a=x "y" z']]],
    ['#flux: -S a="""x\n', /line 1: unclosed triple quote/],
    ['# flux: -S a="""\n# flux: one\n# flux:   two "2"\n# flux: """\n', [['-S', 'a=one\n  two "2"\n']]],
    ["#flux: --x='''\n#flux: a\n#flux: '''\n#flux: -n1\n", [['--x=a\n'], ['-n1']]],
    ['#flux: --x="""\n#flux: a\necho\n', /line 3: unterminated multi-line quote at line 1/],
  ];
  for (const [script, expected] of rows) {
    if (expected instanceof RegExp) assert.throws(() => parseDirectives(script), expected, script);
    else
      assert.deepEqual(
        parseDirectives(script).map(({ options }) => options),
        expected,
        script,
      );
  }
});
