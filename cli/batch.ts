import { isUtf8 } from 'node:buffer';
import fs from 'node:fs';
import { type Command, CommanderError } from 'commander';
import { about, FluxError } from '../core/errno.ts';
import { encodeFluid } from '../core/formats/fluid.ts';
import { parseDirectives } from './batch-directives.ts';
import { Exit, PYTHON_USAGE_ERROR, subcommand, withHandle } from './command.ts';
import { finishNested, type NestedOptions, nestedJobspec, nestedOptions } from './nested-jobspec.ts';
import { print } from './print.ts';
import { submitJob, submitSettings } from './submission.ts';
import { optionsOf, runSubmission, splitCommandLine } from './submission-options.ts';

interface Options extends NestedOptions {
  wrap?: boolean;
}

function define(): Command {
  return nestedOptions(subcommand('batch', 'Submit a script that runs in an instance of its own.'))
    .option('--wrap', 'The words, or stdin, are the body of a script for /bin/sh.')
    .argument('[script...]');
}

/** `flux batch [OPTIONS] [SCRIPT [ARGS…]]` */
export function run(args: readonly string[]): Promise<number> {
  const command = define();
  return runSubmission(command, args, async (operands) => {
    const words = operands[0] === '--' ? operands.slice(1) : operands;
    const { options, script } = readScript(args, optionsOf<Options>(command), words);
    const name = words[0] ?? 'batch';
    if (!script.startsWith('#!')) throw new FluxError('EINVAL', `${options.jobName ?? name} does not begin with '#!'`);
    const jobspec = nestedJobspec(
      { ...options, jobName: options.jobName ?? name, output: options.output ?? 'flux-{{id}}.out' },
      { program: ['{{tmpdir}}/script', ...words.slice(1)], script, stdin: options.input },
    );
    return submit(finishNested(jobspec, options), options);
  });
}

async function submit(jobspec: string, options: Options): Promise<number> {
  if (options.dryRun) {
    print(jobspec);
    return 0;
  }
  const settings = submitSettings(options);
  const id = await withHandle((handle) => submitJob(handle, jobspec, settings));
  if (!options.quiet) print(encodeFluid(id));
  return 0;
}

/** The script, and the options of its directives and of the command line, which come later and so prevail. */
function readScript(
  args: readonly string[],
  options: Options,
  words: readonly string[],
): { readonly options: Options; readonly script: string } {
  if (options.wrap && words.length) return { options, script: `#!/bin/sh\n${words.join(' ')}\n` };
  const name = words[0] ?? 'stdin';
  const text = readText(name, words[0] ?? 0);
  const directives = checked(name, () => parseDirectives(text));
  const given: string[] = [];
  for (const directive of directives) {
    const line = splitCommandLine(define(), directive.options).options;
    try {
      parseAll(line);
    } catch (error) {
      if (!(error instanceof CommanderError)) throw error;
      console.error(`flux-batch: the options of ${name} line ${directive.line} are wrong`);
      throw new Exit(PYTHON_USAGE_ERROR);
    }
    given.push(...line);
  }
  const all = parseAll([...given, ...splitCommandLine(define(), args).options]);
  return { options: all, script: all.wrap ? `#!/bin/sh\n${text}` : text };
}

function parseAll(options: readonly string[]): Options {
  const command = define().action(() => {});
  command.parse(options, { from: 'user' });
  return optionsOf<Options>(command);
}

function readText(name: string, file: string | number): string {
  let bytes: Buffer;
  try {
    bytes = fs.readFileSync(file);
  } catch (error) {
    throw about(name, error);
  }
  if (!isUtf8(bytes)) throw new FluxError('EINVAL', `${name} does not appear to be a script: it is no UTF-8`);
  return bytes.toString().replace(/\r\n?/g, '\n');
}

function checked<T>(name: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw about(name, error);
  }
}
