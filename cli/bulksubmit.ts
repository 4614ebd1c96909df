import { FluxError } from '../core/errno.ts';
import { formatLine, type JobLine, showLine } from './bulk-format.ts';
import { parseSeparator, readTemplate } from './bulk-inputs.ts';
import { defineMethods } from './bulk-methods.ts';
import { type BulkOptions, bulkOptions, copies } from './bulk-options.ts';
import { submitAll } from './bulk-submit.ts';
import { collect, subcommand } from './command.ts';
import { print } from './print.ts';
import { optionsOf, runSubmission } from './submission-options.ts';

interface Options extends BulkOptions {
  shuffle?: boolean;
  sep: string;
  define: string[];
}

/** `flux bulksubmit [OPTIONS] COMMAND… [::: INPUTS…]` */
export function run(args: readonly string[]): Promise<number> {
  const command = bulkOptions(subcommand('bulksubmit', 'Submit a job for each input.'))
    .option('--shuffle', 'Submit the jobs in random order.')
    .option('--sep <STRING>', 'What separates inputs that are read; none: blanks.', '\\n')
    .option('--define <NAME=CODE>', 'Define {.NAME}: a Python expression of the input x.', collect, [])
    .argument('[command...]');
  return runSubmission(command, args, (words) => submitLines(words, optionsOf<Options>(command)));
}

async function submitLines(words: readonly string[], options: Options): Promise<number> {
  const lines = makeLines(words, options);
  if (options.shuffle) shuffle(lines);
  const total = lines.reduce((sum, line) => sum + (copies(line.options)?.length ?? 1), 0);
  if (!total) throw new FluxError('EINVAL', 'no jobs provided for bulk submission');
  if (options.progress && options.dryRun) print(`bulksubmit: submitting a total of ${total} jobs`);
  if (options.verbose || options.dryRun) for (const line of lines) print(`bulksubmit: submit ${showLine(line)}`);
  return options.dryRun ? 0 : submitAll(lines, options, total);
}

function makeLines(words: readonly string[], options: Options): JobLine[] {
  const template = readTemplate(words, parseSeparator(options.sep));
  const methods = defineMethods(options.define, template.inputs.flat());
  const line = { words: template.words, options, changed: new Set<never>() };
  return template.inputs.map((inputs, seq) =>
    // {cc} is replaced when the copies are made.
    formatLine(line, { inputs, methods, named: { seq, seq1: seq + 1, cc: '{cc}' } }),
  );
}

function shuffle(lines: JobLine[]): void {
  for (let i = lines.length - 1; i > 0; i--) {
    const j = Math.floor(Math.random() * (i + 1));
    [lines[i], lines[j]] = [lines[j]!, lines[i]!];
  }
}
