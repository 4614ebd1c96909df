/**
 * Options in batch scripts (RFC 36): lines with `flux:` behind a prefix of no letters, as in `#flux: -N4 --exclusive`.
 *
 * A text over several lines stands between triple quotes at the ends of lines; each of its lines has the prefix, too.
 */

import { FluxError } from '../core/errno.ts';
import { quoteShellWord, splitShellWords } from '../core/formats/shell-words.ts';

export interface Directive {
  /** Of the script, from 1. */
  readonly line: number;
  readonly options: readonly string[];
}

const sentinelPattern = /^([^\p{L}\p{N}_]*)(flux:|FLUX:)(.*)$/su;

/**
 * The directives of a script, in their order.
 *
 * @throws FluxError EINVAL: what is wrong, and in which line
 */
export function parseDirectives(script: string): Directive[] {
  const reader = new DirectiveReader();
  const lines = script.split('\n');
  if (lines.at(-1) === '') lines.pop();
  for (const [index, line] of lines.entries()) reader.take(line, index + 1);
  return reader.directives;
}

interface Multiline {
  readonly quotes: string;
  readonly line: number;
  readonly indent: string;
  readonly start: string;
  readonly parts: string[];
}

class DirectiveReader {
  readonly directives: Directive[] = [];
  /** What stands before each directive, the first one's: `#flux:`. */
  #sentinel: string | undefined;
  #prefix = '';
  /** The last line that could have been one, when the script has gone on behind it. */
  #lastLine: number | undefined;
  #multiline: Multiline | undefined;

  take(line: string, number: number): void {
    const [, prefix = '', tag = '', rest = ''] = sentinelPattern.exec(line) ?? [];
    if (!tag) {
      this.#takeOther(line, number);
      return;
    }
    if (this.#lastLine !== undefined)
      throw invalid(number, `orphan '${tag}': there are no directives behind line ${this.#lastLine}`);
    const value = escapeTripleQuotes(rest, number);
    const sentinel = prefix + tag;
    if (this.#sentinel === undefined) {
      this.#sentinel = sentinel;
      this.#prefix = prefix.trimEnd();
    } else if (sentinel !== this.#sentinel) {
      const fix = `to disable a directive put a '#' behind '${this.#sentinel}'`;
      throw invalid(number, `sentinel changed from '${this.#sentinel}' to '${sentinel}'; ${fix}`);
    }
    this.#takeValue(value, number);
  }

  #takeOther(line: string, number: number): void {
    if (this.#multiline) {
      const { line: begin, start } = this.#multiline;
      throw invalid(number, `unterminated multi-line quote at line ${begin}: \`${start}'`);
    }
    const isStarted = this.#sentinel !== undefined && this.#lastLine === undefined;
    if (isStarted && line.trim() && !line.startsWith(this.#prefix)) this.#lastLine = number - 1;
  }

  #takeValue(value: string, number: number): void {
    const quotes = value.slice(-3);
    const isQuote = quotes === '"""' || quotes === "'''";
    if (!this.#multiline) {
      if (isQuote) this.#begin(value, quotes, number);
      else if (value) this.#add(value, number);
      return;
    }
    const { indent, parts, line } = this.#multiline;
    const closes = quotes === this.#multiline.quotes;
    const text = closes ? value.slice(0, -3) : value;
    parts.push(text.startsWith(indent) ? text.slice(indent.length) : text);
    if (closes) this.#add(this.#finish(this.#multiline), line);
  }

  #begin(value: string, quotes: string, line: number): void {
    const start = value.trimStart();
    const indent = value.slice(0, value.length - start.length);
    this.#multiline = { quotes, line, indent, start, parts: [start.slice(0, -3)] };
  }

  #finish({ parts, quotes, start, line }: Multiline): string {
    this.#multiline = undefined;
    const [first = '', ...rest] = parts;
    const text = first + quoteShellWord(rest.join('\n'));
    if (text.includes(quotes)) throw invalid(line, `improperly terminated triple quoted string at: \`${start}'`);
    return text;
  }

  #add(value: string, line: number): void {
    let options: string[];
    try {
      options = splitShellWords(value);
    } catch (error) {
      throw invalid(line, `${value}: ${(error as Error).message}`);
    }
    if (!options.length) return;
    if (!options[0]!.startsWith('-')) throw invalid(line, `unknown directive: ${value}`);
    this.directives.push({ line, options });
  }
}

/** Makes what stands between triple quotes on one line a word of its own. */
function escapeTripleQuotes(value: string, line: number): string {
  const isPaired = ['"""', "'''"].some((quotes) => {
    const count = value.split(quotes).length - 1;
    return count > 0 && count % 2 === 0;
  });
  if (isPaired) return value.replace(/(["']{3})(.*)\1/g, (_, __, inner: string) => quoteShellWord(inner));
  if (/["']{3}./.test(value)) throw invalid(line, `unclosed triple quote: ${value.trim()}`);
  return value;
}

function invalid(line: number, sentence: string): FluxError {
  return new FluxError('EINVAL', `line ${line}: ${sentence}`);
}
