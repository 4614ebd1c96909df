/** The files of `flux multi-prog`: which ranks of a job run which program. */

import { about, FluxError } from '../core/errno.ts';
import { IdSet } from '../core/formats/idset.ts';
import { splitShellWords } from '../core/formats/shell-words.ts';

interface Line {
  /** undefined: any rank that no other line has. */
  readonly ranks: IdSet | undefined;
  readonly words: readonly string[];
}

export class MultiProg {
  readonly #lines: readonly Line[];
  readonly #rest: Line | undefined;

  private constructor(lines: readonly Line[]) {
    this.#lines = lines.filter(({ ranks }) => ranks);
    this.#rest = lines.findLast(({ ranks }) => !ranks);
  }

  /**
   * Reads a file: a line is an idset of ranks, or `*`, and the program with its arguments. A line without a program is
   * none.
   *
   * @throws FluxError EINVAL: a line that is wrong
   */
  static parse(text: string): MultiProg {
    const lines = text.split(/(?<=\n)/).map((line, index) => readLine(line, index + 1));
    return new MultiProg(lines.filter(({ words }) => words.length));
  }

  /**
   * The program of a rank, and its arguments: `%t` in them is the rank, `%o` how many ranks of its line are before it.
   *
   * @throws FluxError ENOENT: no line is for this rank
   */
  wordsOf(rank: number): string[] {
    const line = this.#lines.find(({ ranks }) => ranks?.has(rank)) ?? this.#rest;
    if (!line) throw new FluxError('ENOENT', `no line is for rank ${rank}`);
    const offset = rank > 0 && line.ranks ? line.ranks.intersect(IdSet.range(0, rank - 1)).count : 0;
    const values: Readonly<Record<string, number>> = { '%t': rank, '%o': offset };
    return line.words.map((word) => word.replace(/%[to]/g, (sign) => String(values[sign])));
  }
}

function readLine(line: string, number: number): Line {
  try {
    const [ranks = '', ...words] = splitShellWords(line);
    return { ranks: ranks === '*' ? undefined : IdSet.parse(ranks), words };
  } catch (error) {
    throw about(`line ${number}`, error);
  }
}
