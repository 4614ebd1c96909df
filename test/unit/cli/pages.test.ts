// Manual pages and --help tell of the same options, for every command and the commands that it has.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import { mock, test } from 'node:test';
import { commands } from '../../../cli/commands.ts';

/** What `flux ARGS… --help` prints. */
async function helpOf(name: string, ...words: string[]): Promise<string> {
  let text = '';
  const mocks = (['stdout', 'stderr'] as const).map((stream) =>
    mock.method(process[stream], 'write', (chunk: string) => {
      text += chunk;
      return true;
    }),
  );
  try {
    assert.equal(await (await commands[name]!.load()).run([...words, '--help']), 0, `flux ${name} ${words} --help`);
  } finally {
    for (const each of mocks) each.mock.restore();
  }
  return text;
}

/** The options of a command and of the commands that it has. */
async function helpOptions(name: string): Promise<Set<string>> {
  const help = await helpOf(name);
  const nested = /^Commands:\n(( {2}.*\n)+)/m.exec(help)?.[1]?.match(/^ {2}[\w-]+(?: [\w-]+)*(?= {2})/gm) ?? [];
  const texts = [help];
  for (const word of nested) texts.push(await helpOf(name, ...word.trim().split(' ')));
  const options = texts.flatMap((text) =>
    [...text.matchAll(/^ {2}(?:-\w, )?(--?[\w-]+)/gm)].map(([, option]) => option!),
  );
  return new Set(options.filter((option) => option !== '--help'));
}

/** The name of the page that tells of a command; some tell of several. */
function pageOf(name: string): string {
  const text = fs.readFileSync(`docs/man/flux-${name}.md`, 'utf8');
  const [, other] = /^# .*\n\nSee flux-([\w-]+)\(\d\)\.\n$/.exec(text) ?? [];
  return other ?? name;
}

/** Options that the items of a page's lists explain. */
function explainedOptions(page: string): string[] {
  const terms = [...page.matchAll(/^- (`-[^`]*`(?:, `-[^`]*`)*)/gm)].map(([, term]) => term!);
  return terms.flatMap((term) => term.match(/--[\w-]+/g) ?? []);
}

const names = Object.keys(commands);

for (const page of new Set(names.map(pageOf))) {
  test(`flux-${page}(1) tells of the options that help lists, and of no others`, async () => {
    const text = fs.readFileSync(`docs/man/flux-${page}.md`, 'utf8');
    const listed = new Set<string>();
    for (const name of names.filter((each) => pageOf(each) === page))
      for (const option of await helpOptions(name)) listed.add(option);
    const missing = [...listed].filter((option) => !text.includes(option));
    assert.deepEqual(missing, [], 'not on the page');
    const refused = [...text.matchAll(/^- `(--[\w-]+)[^`]*` Is refused/gm)].map(([, option]) => option!);
    const unknown = explainedOptions(text).filter((option) => !listed.has(option) && !refused.includes(option));
    assert.deepEqual(unknown, [], 'not in the help');
  });
}
