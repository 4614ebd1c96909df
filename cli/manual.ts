/**
 * Lays out manual pages, which are kept in Markdown, for terminals: headings, paragraphs, lists and examples.
 *
 * A list item that begins with code is an option: it stands on a line of its own, what it does below it.
 */

import type { Painter } from './terminal.ts';

const INDENT = 4;
const WIDTH_MIN = 40;

type Block =
  | { readonly kind: 'heading'; readonly level: number; readonly text: string }
  | { readonly kind: 'paragraph'; readonly text: string }
  | { readonly kind: 'item'; readonly text: string }
  | { readonly kind: 'code'; readonly lines: readonly string[] };

/** The text of a page in lines of `width` characters at most, as far as words allow. */
export function layOutManual(markdown: string, width: number, paint: Painter): string {
  const lines: string[] = [];
  let last: Block['kind'] | undefined;
  for (const block of blocksOf(markdown)) {
    const isList = block.kind === 'item' && last === 'item';
    const isJoined = last === undefined || (isList && !startsWithCode(block.text));
    if (!isJoined && (last !== 'heading' || block.kind === 'heading')) lines.push('');
    lines.push(...layOut(block, Math.max(width, WIDTH_MIN), paint));
    last = block.kind;
  }
  return `${lines.join('\n')}\n`;
}

function* blocksOf(markdown: string): Generator<Block> {
  const lines = markdown.split('\n');
  for (let at = 0; at < lines.length; ) {
    const line = lines[at]!;
    const [, marks, heading] = /^(#+) (.*)$/.exec(line) ?? [];
    if (heading !== undefined) {
      yield { kind: 'heading', level: marks!.length, text: heading };
      at++;
    } else if (line.startsWith('```')) {
      const end = lines.findIndex((each, index) => index > at && each.startsWith('```'));
      const last = end < 0 ? lines.length : end;
      yield { kind: 'code', lines: lines.slice(at + 1, last) };
      at = last + 1;
    } else if (line.trim() === '') at++;
    else {
      const end = lines.findIndex((each, index) => index > at && /^(\s*$|- |#+ |```)/.test(each));
      const last = end < 0 ? lines.length : end;
      const text = lines
        .slice(at, last)
        .map((each) => each.trim())
        .join(' ');
      yield text.startsWith('- ') ? { kind: 'item', text: text.slice(2) } : { kind: 'paragraph', text };
      at = last;
    }
  }
}

function startsWithCode(text: string): boolean {
  return text.startsWith('`');
}

function layOut(block: Block, width: number, paint: Painter): string[] {
  switch (block.kind) {
    case 'heading':
      return [`${' '.repeat(block.level > 2 ? 2 : 0)}${paint('bold', inline(block.text, plain))}`];
    case 'code':
      return block.lines.map((line) => `${' '.repeat(INDENT * 2)}${line}`.trimEnd());
    case 'paragraph':
      return wrap(block.text, INDENT, width, paint);
    case 'item':
      return layOutItem(block.text, width, paint);
    default:
      return block satisfies never;
  }
}

function layOutItem(text: string, width: number, paint: Painter): string[] {
  // Several options may share what they do: `-a`, `-b` What they do.
  const [term] = /^`[^`]*`(, `[^`]*`)*/.exec(text) ?? [];
  if (term === undefined) {
    const [first = '', ...rest] = wrap(text, INDENT * 2, width, paint);
    return [`${' '.repeat(INDENT + 2)}- ${first.trimStart()}`, ...rest];
  }
  const description = text.slice(term.length).replace(/^[\s—–:-]+/, '');
  return [...wrap(term, INDENT, width, paint), ...wrap(description, INDENT * 2, width, paint)];
}

const plain: Painter = (_, text) => text;

/** Takes the marks of code, strong and emphasized text away, and paints what they marked. */
function inline(text: string, paint: Painter): string {
  return text
    .replace(/`([^`]*)`/g, (_, code: string) => paint('bold', code.replaceAll('*', '\u0001')))
    .replace(/\*\*([^*]+)\*\*/g, (_, strong: string) => paint('bold', strong))
    .replace(/\*([^*\s][^*]*)\*/g, (_, emphasized: string) => paint('cyan', emphasized))
    .replaceAll('\u0001', '*')
    .replace(/\[([^\]]*)\]\([^)]*\)/g, '$1');
}

function wrap(text: string, indent: number, width: number, paint: Painter): string[] {
  const lines: string[] = [];
  let line = '';
  // A piece of code is kept in one line, and its marks do not count.
  for (const word of text.match(/(?:`[^`]*`|[^\s`])+/g) ?? []) {
    const length = inline(`${line} ${word}`, plain).length;
    if (line && indent + length > width) {
      lines.push(line);
      line = word;
    } else line = line ? `${line} ${word}` : word;
  }
  if (line) lines.push(line);
  return lines.map((each) => ' '.repeat(indent) + inline(each, paint));
}
