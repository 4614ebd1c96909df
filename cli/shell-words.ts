/**
 * Lines split into words as Python's `shlex` does with `punctuation_chars`: `flux multi-prog` reads its files so.
 *
 * Blanks separate words, `#` begins a comment, quotes of both kinds hold words together; in both of them a backslash
 * takes the meaning from a quote of that kind and from itself. Characters that mean something to a shell, `();<>|&`, are
 * words of their own, as many as stand together.
 */

import { FluxError } from '../core/errno.ts';

const blanks = ' \t\r\n';
const punctuation = '();<>|&';

/**
 * The words of a line.
 *
 * @throws FluxError EINVAL: a quote that is not closed, or a backslash at the end
 */
export function splitWords(line: string): string[] {
  const words: string[] = [];
  let word: string | undefined;
  const end = () => {
    if (word !== undefined) words.push(word);
    word = undefined;
  };
  for (let at = 0; at < line.length; ) {
    const character = line[at]!;
    if (character === '#') {
      const next = line.indexOf('\n', at);
      at = next < 0 ? line.length : next;
    } else if (blanks.includes(character)) {
      end();
      at++;
    } else if (punctuation.includes(character)) {
      end();
      const [run] = /^[();<>|&]+/.exec(line.slice(at))!;
      words.push(run);
      at += run.length;
    } else if (character === '\\') {
      if (at + 1 === line.length) throw new FluxError('EINVAL', 'there is nothing behind a backslash');
      word = (word ?? '') + line[at + 1];
      at += 2;
    } else if (character === '"' || character === "'") {
      const quoted = readQuoted(line, at);
      word = (word ?? '') + quoted.text;
      at = quoted.end;
    } else {
      word = (word ?? '') + character;
      at++;
    }
  }
  end();
  return words;
}

function readQuoted(line: string, start: number): { readonly text: string; readonly end: number } {
  const quote = line[start]!;
  let text = '';
  for (let at = start + 1; at < line.length; at++) {
    const character = line[at]!;
    if (character === quote) return { text, end: at + 1 };
    const next = line[at + 1];
    if (character === '\\' && (next === quote || next === '\\')) at++;
    text += line[at];
  }
  throw new FluxError('EINVAL', `a quote ${quote} is not closed`);
}

/** A word as a shell reads it back: quoted unless there is no need. */
export function quoteWord(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'"'"'`)}'`;
}
