/** `flux lptest`: lines of a regular pattern, to test what is done with output. */

import { Readable } from 'node:stream';
import { finished } from 'node:stream/promises';
import { count, runCommand, subcommand } from './command.ts';

/** Printable characters, from `!` to `~`. */
const FIRST = 0x21;
const CHARACTERS = 0x5e;
/** Lines written at once. */
const BATCH = 1024;

/** `flux lptest [LENGTH [COUNT]]` */
export function run(args: readonly string[]): Promise<number> {
  const command = subcommand('lptest', 'Print lines of a regular pattern, to test what is done with output.')
    .argument('[length]', 'characters of a line', count, 79)
    .argument('[count]', 'lines', count, 200)
    .action(async (length: number, lines: number) => {
      const output = Readable.from(batches(length, lines));
      output.pipe(process.stdout, { end: false });
      await finished(output);
    });
  return runCommand(command, args);
}

/** Each line begins one character further on. */
function* batches(length: number, lines: number): Generator<Buffer> {
  const pattern = Buffer.from(Array.from({ length: length + CHARACTERS }, (_, i) => FIRST + (i % CHARACTERS)));
  for (let line = 0; line < lines; line += BATCH) {
    const size = Math.min(BATCH, lines - line);
    const batch = Buffer.alloc(size * (length + 1), '\n');
    for (let i = 0; i < size; i++) {
      const start = (line + i) % CHARACTERS;
      pattern.copy(batch, i * (length + 1), start, start + length);
    }
    yield batch;
  }
}
