/** Output in lines; the I/O objects that carry it are `core/formats/io.ts`. */

const NEWLINE = 10;
/** Bytes without a newline that are kept back waiting for one. */
const LINE_BYTES_MAX = 64 * 1024;
/** Lines that came at once and go out one by one; more go out together. */
const LINES_MAX = 32;

/** Cuts output into lines, keeping back what has no end yet. */
export class LineCutter {
  #rest: Buffer[] = [];
  #restBytes = 0;

  /** The whole lines that are there now: each for itself, or all in one piece when they are many. */
  push(chunk: Buffer): Buffer[] {
    const last = chunk.lastIndexOf(NEWLINE);
    if (last < 0) {
      this.#keep(chunk);
      return this.#restBytes > LINE_BYTES_MAX ? this.end() : [];
    }
    const lines = Buffer.concat([...this.#rest, chunk.subarray(0, last + 1)]);
    this.#rest = [];
    this.#restBytes = 0;
    if (last + 1 < chunk.length) this.#keep(chunk.subarray(last + 1));
    return cut(lines);
  }

  #keep(bytes: Buffer): void {
    this.#rest.push(bytes);
    this.#restBytes += bytes.length;
  }

  /** What is left without a newline. */
  end(): Buffer[] {
    const rest = this.#rest;
    this.#rest = [];
    this.#restBytes = 0;
    return rest.length ? [Buffer.concat(rest)] : [];
  }
}

function cut(lines: Buffer): Buffer[] {
  const pieces: Buffer[] = [];
  for (let start = 0; start < lines.length; ) {
    const end = lines.indexOf(NEWLINE, start) + 1;
    pieces.push(lines.subarray(start, end));
    if (pieces.length > LINES_MAX) return [lines];
    start = end;
  }
  return pieces;
}
