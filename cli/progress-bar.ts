/** A bar on the last line of a terminal that shows how far jobs have come. */

import { formatFixed } from '../core/formats/printf.ts';

/** Blocks that grow by eighths. */
const blocks = [' ', '▏', '▎', '▍', '▌', '▋', '▊', '▉', '█'];
const REDRAW_MS = 250;

/** A bar of a width, filled by a part of 1. */
function drawBar(part: number, width: number): string {
  const eighths = Math.floor(Math.max(0, Math.min(1, part)) * width * 8);
  const full = Math.floor(eighths / 8);
  const bar = blocks[8]!.repeat(full) + (full < width ? blocks[eighths % 8]! : '');
  return bar.padEnd(width);
}

/** A line at the bottom of the terminal; what the command prints scrolls above it. */
class BottomLine {
  readonly #text: (width: number) => string;
  #rows = 0;
  readonly #timer: NodeJS.Timeout;

  constructor(text: (width: number) => string) {
    this.#text = text;
    this.#timer = setInterval(() => this.draw(), REDRAW_MS);
    this.#timer.unref();
    process.once('exit', () => this.#end());
    this.draw();
  }

  draw(): void {
    const { rows = 24, columns = 80 } = process.stdout;
    // Save the cursor, let the lines above scroll by themselves, and put it back.
    if (rows !== this.#rows) process.stdout.write(`\x1b7\x1b[r\x1b8\x1bD\x1bM\x1b7\x1b[1;${rows - 1}r\x1b8`);
    this.#rows = rows;
    process.stdout.write(`\x1b7\x1b[${rows};1H\x1b[2K\x1b[?7l\x1b[0m${this.#text(columns)}\x1b[?7h\x1b8`);
  }

  #end(): void {
    clearInterval(this.#timer);
    process.stdout.write(`\x1b7\x1b[${this.#rows};1H\x1b[K\x1b[r\x1b8${this.#text(process.stdout.columns ?? 80)}\n`);
  }
}

export type JobState = 'pending' | 'running' | 'complete' | 'failed';

/** Counts jobs by their state, and shows them on the last line. */
export class JobCounts {
  readonly #before: (counts: Readonly<Record<JobState, number>>) => string;
  readonly #showsRate: boolean;
  readonly #counts = { pending: 0, running: 0, complete: 0, failed: 0 };
  readonly #started = Date.now();
  readonly #line: BottomLine;
  #total: number;
  #finished = 0;

  /**
   * @param total how many jobs there will be; 0: as many as are added
   * @param before what stands in front of the bar
   */
  constructor(total: number, showsRate: boolean, before: (counts: Readonly<Record<JobState, number>>) => string) {
    this.#total = total;
    this.#showsRate = showsRate;
    this.#before = before;
    this.#line = new BottomLine((width) => this.#text(width));
  }

  /** A job changes its state; from undefined: it is new. */
  change(from: JobState | undefined, to: JobState): void {
    if (from) this.#counts[from]--;
    else this.#total++;
    this.#counts[to]++;
    this.#line.draw();
  }

  /** A job is done with. */
  finish(): void {
    this.#finished++;
    this.#line.draw();
  }

  #text(width: number): string {
    const seconds = (Date.now() - this.#started) / 1000;
    const rate = seconds ? this.#finished / seconds : 0;
    const part = this.#total ? this.#finished / this.#total : 0;
    return barText(
      this.#before(this.#counts),
      part,
      this.#showsRate ? `${formatFixed(rate, 1).padStart(4)} job/s` : elapsed(seconds),
      width,
    );
  }
}

/** A line as wide as the terminal: what stands in front, a bar filled by a part of 1, and what stands behind. */
export function barText(before: string, part: number, end: string, width: number): string {
  const after = `${formatFixed(part * 100, 1).padStart(5)}% ${end}`;
  return `${before}│${drawBar(part, Math.max(0, width - before.length - after.length - 2))}│${after}`;
}

/** A time as `1:02:03`, with days when there are some. */
export function elapsed(seconds: number): string {
  const whole = Math.round(seconds);
  const two = (number: number): string => String(number).padStart(2, '0');
  const days = Math.floor(whole / 86400);
  const time = `${Math.floor(whole / 3600) % 24}:${two(Math.floor(whole / 60) % 60)}:${two(whole % 60)}`;
  return days ? `${days} day${days === 1 ? '' : 's'}, ${time}` : time;
}

/** Sequences (ECMA-48, DEC) that move the cursor or clear: replayed, they would tear the bar apart. Colours are none. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: it is about them
const movements = /\x1b(?:\[[\d;]*[rHJfABCDt]|\[\?[\d;]*[hl]|[78DMc])/g;

/** Output without what would move the cursor. */
export function withoutMovements(data: Buffer): Buffer {
  return Buffer.from(data.toString('latin1').replace(movements, ''), 'latin1');
}

/** A bar for jobs that are waited for. */
export function jobsBar(showsRate: boolean): JobCounts {
  const three = (number: number): string => String(number).padEnd(3);
  return new JobCounts(
    0,
    showsRate,
    ({ pending, running, complete, failed }) =>
      `PD:${three(pending)} R:${three(running)} CD:${three(complete)} F:${three(failed)} `,
  );
}

/** A bar for jobs that are only submitted. */
export function submissionsBar(total: number, showsRate: boolean): JobCounts {
  return new JobCounts(total, showsRate, () => `Submitting ${total} jobs: `);
}
