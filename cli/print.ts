/**
 * Writes a line to standard output.
 *
 * Not `console.log`: that looks for colours, which opens standard error as well and costs a short command a tenth of its
 * time.
 */
export function print(line: string | number): void {
  process.stdout.write(`${line}\n`);
}
