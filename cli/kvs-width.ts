/** How many columns there are to write to; 0 is no limit. */

import { Option } from 'commander';
import { count } from './command.ts';

/** Where nothing tells. */
const WIDTH_DEFAULT = 80;

export function widthOption(): Option {
  return new Option('-w, --width <COLUMNS>', 'Write to so many columns; 0 is no limit.').argParser(count);
}

/** What was wanted, or what the terminal has, or what COLUMNS says. */
export function outputWidth(wanted: number | undefined): number {
  if (wanted !== undefined) return wanted;
  if (process.stdout.isTTY) return process.stdout.columns;
  const columns = Number.parseInt(process.env.COLUMNS ?? '', 10);
  return columns >= 0 ? columns : WIDTH_DEFAULT;
}

/** How many columns a text takes, one for each character. */
export function columnsOf(text: string): number {
  let columns = 0;
  for (const _ of text) columns++;
  return columns;
}

/** The first characters of a text. */
export function firstColumns(text: string, columns: number): string {
  return [...text.slice(0, 2 * columns)].slice(0, columns).join('');
}
