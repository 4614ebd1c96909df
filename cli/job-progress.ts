/** A bar on the last line of a terminal that shows how far jobs are. */

import { formatFixed } from '../core/formats/printf.ts';

export type JobPhase = 'pending' | 'running' | 'complete' | 'failed';

export type JobCounts = Readonly<Record<JobPhase, number>>;

export interface BarState {
  readonly counts: JobCounts;
  readonly total: number;
  /** Jobs of which nothing more will come. */
  readonly done: number;
  readonly elapsed: number;
  /** Jobs a second, shown instead of the time. */
  readonly rate?: number | undefined;
}

const parts = ' ▏▎▍▌▋▊▉█';
const UPDATE_MS = 250;

/** The line, as wide as the terminal. */
export function barText({ counts, total, done, elapsed, rate }: BarState, width: number): string {
  const fraction = total ? Math.min(done / total, 1) : 0;
  const { pending, running, complete, failed } = counts;
  const three = (count: number): string => String(count).padEnd(3);
  const before = `PD:${three(pending)} R:${three(running)} CD:${three(complete)} F:${three(failed)} `;
  const end = rate === undefined ? clock(elapsed) : `${formatFixed(rate, 1).padStart(4)} job/s`;
  const after = `${formatFixed(fraction * 100, 1).padStart(5)}% ${end}`;
  const length = Math.max(0, width - before.length - after.length - 2);
  const eighths = Math.floor(length * fraction * (parts.length - 1));
  const full = Math.floor(eighths / (parts.length - 1));
  const rest = eighths % (parts.length - 1);
  const bar = parts.at(-1)!.repeat(full) + (rest ? parts[rest] : '');
  return `${before}│${bar.padEnd(length)}│${after}`;
}

function clock(elapsed: number): string {
  const seconds = Math.max(0, Math.round(elapsed));
  const two = (value: number): string => String(value).padStart(2, '0');
  const days = Math.floor(seconds / 86400);
  const time = `${Math.floor(seconds / 3600) % 24}:${two(Math.floor(seconds / 60) % 60)}:${two(seconds % 60)}`;
  return days ? `${days} day${days === 1 ? '' : 's'}, ${time}` : time;
}

/** Sequences (ECMA-48, DEC) that move the cursor or clear: replayed, they would tear the bar apart. Colours are none. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: it is about them
const movements = /\x1b(?:\[[\d;]*[rHJfABCDt]|\[\?[\d;]*[hl]|[78DMc])/g;

/** Output without what would move the cursor. */
export function withoutMovements(data: Buffer): Buffer {
  return Buffer.from(data.toString('latin1').replace(movements, ''), 'latin1');
}

/** Keeps the bar on the last line, and all other output above it. */
export class ProgressBar {
  readonly #state: () => BarState;
  #size = '';
  #timer: NodeJS.Timeout | undefined;

  constructor(state: () => BarState) {
    this.#state = state;
  }

  start(): void {
    this.draw();
    this.#timer = setInterval(() => this.draw(), UPDATE_MS).unref();
    process.once('exit', () => this.stop());
  }

  draw(): void {
    const { rows = 24, columns = 80 } = process.stdout;
    const size = `${columns}x${rows}`;
    // The last line does not scroll any more; the line that was there moves up.
    const setup = size === this.#size ? '' : `\x1b7\x1b[r\x1b8\x1bD\x1bM\x1b7\x1b[1;${rows - 1}r\x1b8`;
    this.#size = size;
    const bar = barText(this.#state(), columns);
    process.stdout.write(`${setup}\x1b7\x1b[${rows};1H\x1b[2K\x1b[?7l\x1b[0m${bar}\x1b[?7h\x1b8`);
  }

  /** Gives the last line back, and leaves the bar as a line of output. */
  stop(): void {
    if (this.#timer === undefined) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
    const { rows = 24, columns = 80 } = process.stdout;
    process.stdout.write(`\x1b7\x1b[${rows};1H\x1b[K\x1b[r\x1b8${barText(this.#state(), columns)}\n`);
  }
}
