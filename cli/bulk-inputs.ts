/** The inputs of `flux bulksubmit`: lists behind `:::` on the command line, in files behind `::::`, or on stdin. */

import fs from 'node:fs';
import { about, FluxError } from '../core/errno.ts';

export interface Template {
  readonly words: readonly string[];
  /** For each job, what stands for `{0}`, `{1}`, … */
  readonly inputs: readonly (readonly string[])[];
}

interface InputList {
  /** Linked to the others: not combined with them, but gone through beside them, again and again. */
  readonly isLinked: boolean;
  readonly values: readonly string[];
}

const DELIMITER = ':::';

/**
 * Splits a command line into the command and its inputs, and combines the lists.
 *
 * @param separator of what is read; undefined: blanks
 * @throws FluxError what is wrong with the lists, or with reading them
 */
export function readTemplate(line: readonly string[], separator: string | undefined): Template {
  const starts = line.flatMap((word, index) => (word.startsWith(DELIMITER) ? [index] : []));
  const words = line.slice(0, starts[0] ?? line.length);
  const lists = starts
    .map((start, index) => readList(line.slice(start, starts[index + 1] ?? line.length), separator))
    .filter(({ values, isLinked }) => isLinked || values.length);
  if (lists.every(({ isLinked }) => isLinked))
    lists.unshift({ isLinked: false, values: splitInputs(readInput('-'), separator) });
  return { words: words.length ? words : ['{}'], inputs: combine(lists) };
}

function readList([delimiter = '', ...values]: readonly string[], separator: string | undefined): InputList {
  const isLinked = delimiter.endsWith('+');
  if (!delimiter.startsWith('::::')) return { isLinked, values };
  const [file, ...more] = values;
  if (file === undefined || more.length) throw new FluxError('EINVAL', `one file is needed behind ${delimiter}`);
  return { isLinked, values: splitInputs(readInput(file), separator) };
}

function readInput(file: string): string {
  try {
    return fs.readFileSync(file === '-' ? 0 : file, 'utf8');
  } catch (error) {
    throw about(file === '-' ? 'stdin' : file, error);
  }
}

function splitInputs(text: string, separator: string | undefined): string[] {
  return text.split(separator ?? /\s+/).filter(Boolean);
}

/** All combinations of the lists, the last one the fastest, and the linked ones at their places. */
function combine(lists: readonly InputList[]): string[][] {
  let rows: string[][] = [[]];
  for (const { isLinked, values } of lists)
    if (!isLinked) rows = rows.flatMap((row) => values.map((value) => [...row, value]));
  for (const [place, { isLinked, values }] of lists.entries()) {
    if (!isLinked) continue;
    if (!values.length) throw new FluxError('EINVAL', 'a list of linked inputs is empty');
    for (const [index, row] of rows.entries()) row.splice(place, 0, values[index % values.length]!);
  }
  return rows;
}

/**
 * What `--sep` says: escape sequences are read, and `none` is blanks.
 *
 * @throws FluxError EINVAL: nothing at all
 */
export function parseSeparator(text: string): string | undefined {
  if (!text) throw new FluxError('EINVAL', '--sep must not be empty');
  const escapes: Record<string, string> = { n: '\n', t: '\t', r: '\r', '\\': '\\', "'": "'", '"': '"', '0': '\0' };
  const plain = text.replace(/\\(?:x([0-9a-f]{2})|u([0-9a-f]{4})|(.))/gi, (whole, hex, unicode, letter) =>
    letter === undefined ? String.fromCharCode(Number.parseInt(hex ?? unicode, 16)) : (escapes[letter] ?? whole),
  );
  return plain.toLowerCase() === 'none' ? undefined : plain;
}
