/** A screen of text, put together before it is written: characters at places, in colours. */

/** Parameters of the terminal's "select graphic rendition" sequence (ECMA-48), and whether they are a colour. */
const looks = {
  plain: { sgr: '', isColor: false },
  bold: { sgr: '1', isColor: false },
  dim: { sgr: '2', isColor: false },
  reverse: { sgr: '7', isColor: false },
  red: { sgr: '31', isColor: true },
  green: { sgr: '32', isColor: true },
  yellow: { sgr: '33', isColor: true },
  blue: { sgr: '34', isColor: true },
} as const;

export type Look = keyof typeof looks;

interface Cell {
  readonly char: string;
  readonly looks: readonly Look[];
}

export class Canvas {
  readonly #rows: Cell[][];
  readonly #columns: number;

  constructor(rows: number, columns: number) {
    this.#rows = Array.from({ length: rows }, () => []);
    this.#columns = columns;
  }

  /** Puts a text at a place; what is outside of the screen is left out. */
  put(row: number, column: number, text: string, ...looks: readonly Look[]): void {
    const cells = this.#rows[row];
    if (!cells) return;
    for (const [index, char] of [...text].entries()) {
      const at = column + index;
      if (at < 0 || at >= this.#columns) continue;
      while (cells.length < at) cells.push({ char: ' ', looks: [] });
      cells[at] = { char, looks };
    }
  }

  /** The rows as texts without colours. */
  texts(): string[] {
    return this.#rows.map((cells) => cells.map(({ char }) => char).join(''));
  }

  /** What a terminal is to be sent to show it, whatever it shows now. */
  encode(isColored: boolean): string {
    const rows = this.#rows.map((cells) => {
      let text = '';
      let now = '';
      for (const { char, looks } of cells) {
        const sgr = sgrOf(looks, isColored);
        if (sgr !== now) text += `\x1b[0${sgr && `;${sgr}`}m`;
        now = sgr;
        text += char;
      }
      return `${text}${now && '\x1b[0m'}\x1b[K`;
    });
    return `\x1b[H${rows.join('\r\n')}\x1b[J`;
  }
}

function sgrOf(names: readonly Look[], isColored: boolean): string {
  return names
    .map((name) => looks[name])
    .filter(({ sgr, isColor }) => sgr && (isColored || !isColor))
    .map(({ sgr }) => sgr)
    .join(';');
}
