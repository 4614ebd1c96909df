/**
 * Lines split into words as a shell does, for directives in scripts (RFC 36); what Python's shlex does where shells differ.
 *
 * Inside either kind of quotes a backslash takes the meaning from a backslash and from that quote alone. A `#` begins a
 * comment wherever it stands outside of quotes. Runs of `();<>|&` are words of their own.
 */

import { FluxError } from '../errno.ts';

const PUNCTUATION = '();<>|&';

/**
 * Splits a text into words.
 *
 * @throws FluxError EINVAL: a quote that is not closed, or a backslash at the end
 */
export function splitShellWords(text: string): string[] {
  const words: string[] = [];
  let word: string | undefined;
  const finish = () => {
    if (word !== undefined) words.push(word);
    word = undefined;
  };
  for (let i = 0; i < text.length; i++) {
    const character = text[i]!;
    if (/[ \t\r\n]/.test(character)) finish();
    else if (character === '#') {
      finish();
      const end = text.indexOf('\n', i);
      i = end < 0 ? text.length : end;
    } else if (PUNCTUATION.includes(character)) {
      finish();
      const [run] = /^[();<>|&]+/.exec(text.slice(i))!;
      words.push(run);
      i += run.length - 1;
    } else if (character === '\\') {
      const escaped = text[++i];
      if (escaped === undefined) throw new FluxError('EINVAL', 'there is nothing behind a backslash');
      word = (word ?? '') + escaped;
    } else if (character === '"' || character === "'") {
      const { value, end } = readQuoted(text, i);
      word = (word ?? '') + value;
      i = end;
    } else word = (word ?? '') + character;
  }
  finish();
  return words;
}

function readQuoted(text: string, start: number): { value: string; end: number } {
  const quote = text[start]!;
  let value = '';
  for (let i = start + 1; i < text.length; i++) {
    const character = text[i]!;
    if (character === quote) return { value, end: i };
    if (character === '\\') {
      const escaped = text[++i];
      if (escaped === undefined) throw new FluxError('EINVAL', 'there is nothing behind a backslash');
      value += escaped === quote || escaped === '\\' ? escaped : character + escaped;
    } else value += character;
  }
  throw new FluxError('EINVAL', `a quote ${quote} is not closed`);
}

/** A text as a word that a shell reads back. */
export function quoteShellWord(text: string): string {
  if (text === '') return "''";
  return /[^\w@%+=:,./-]/.test(text) ? `'${text.replaceAll("'", `'"'"'`)}'` : text;
}
