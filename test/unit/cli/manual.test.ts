// Manual pages in Markdown, laid out for a terminal.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import { test } from 'node:test';
import { layOutManual } from '../../../cli/manual.ts';

const page = `# flux-thing(1)

## NAME

flux-thing - do \`things\`

## OPTIONS

- \`-a, --all=X\` Do **all** of it, with [a link](https://example.org) and *emphasis* that
  goes on in a second line.
- \`-b\`, \`-c\` Both.
- plain item

### part

\`\`\`
$ flux thing   '*'
\`\`\`
`;

const expected = `flux-thing(1)

NAME
    flux-thing - do things

OPTIONS
    -a, --all=X
        Do all of it, with a link and
        emphasis that goes on in a
        second line.

    -b, -c
        Both.
      - plain item

  part
        $ flux thing   '*'
`;

test('headings, options, paragraphs and examples', () => {
  assert.equal(
    layOutManual(page, 40, (_, text) => text),
    expected,
  );
});

test('marks become styles, and do not count for the width', () => {
  const painted = layOutManual(page, 40, (style, text) => (style ? `<${style}>${text}</>` : text));
  assert.match(painted, /^<bold>flux-thing\(1\)<\/>\n/);
  assert.match(painted, / {4}<bold>-a, --all=X<\/>\n {8}Do <bold>all<\/> of it/);
  assert.match(painted, /<cyan>emphasis<\/>/);
  const plain = painted.replace(/<[^>]*>/g, '');
  assert.equal(plain, expected);
});

test('the lines of all pages fit a terminal', () => {
  for (const name of fs.readdirSync('docs/man')) {
    const lines = layOutManual(fs.readFileSync(`docs/man/${name}`, 'utf8'), 80, (_, text) => text).split('\n');
    // Examples and long words stay as they are.
    const long = lines.find((line) => line.length > 80 && !line.startsWith('        ') && /\s\S+\s/.test(line.trim()));
    assert.equal(long, undefined, name);
  }
});
