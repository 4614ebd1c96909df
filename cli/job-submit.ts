/** `flux job submit`: hands in a jobspec as it is. */

import fs from 'node:fs';
import { text } from 'node:stream/consumers';
import { about, FluxError } from '../core/errno.ts';
import { wrapUnsigned } from '../core/formats/job-envelope.ts';
import { Urgency } from '../core/formats/job-submission.ts';
import { collect, integer, refuseOption, withHandle } from './command.ts';
import { formatJobId } from './job-id.ts';
import type { NestedCommand } from './nested.ts';
import { print } from './print.ts';
import { submitFlags } from './submission.ts';

/** Bits of `flags` in requests to submit; `signed` is the client's own. */
const flagBits: Readonly<Record<string, number>> = { ...Object.fromEntries(submitFlags), signed: 0 };

interface Options {
  urgency: number;
  flags: string[];
}

export const submitCommand: NestedCommand = {
  summary: 'Submit a jobspec as it is',
  define: (command) => {
    const unsigned = 'jobspecs are signed by the mechanism none only, or by whoever gives --flags=signed';
    const options = command
      .argument('[jobspec]', 'a file; without it, or for -, standard input')
      .option('-u, --urgency <N>', 'How urgent it is: 0 is held, 31 expedited.', integer, Urgency.default)
      .option('-f, --flags <FLAG,...>', `Any of ${Object.keys(flagBits).join(', ')}.`, collect, []);
    return refuseOption(
      refuseOption(options, '-c, --security-config <PATTERN>', unsigned),
      '-s, --sign-type <TYPE>',
      unsigned,
    ).action(submit);
  },
};

async function submit(file = '-', { urgency, flags }: Options): Promise<void> {
  const names = flags.flatMap((list) => list.split(','));
  const bits = names.reduce((all, name) => all | bitOf(name), 0);
  const jobspec = await readJobspec(file);
  if (jobspec === '') throw new FluxError('EINVAL', `${file === '-' ? 'standard input' : file}: the jobspec is empty`);
  const J = names.includes('signed') ? jobspec.trim() : wrapUnsigned(jobspec, process.getuid?.() ?? 0);
  const { id } = await withHandle((handle) =>
    handle.rpc<{ id: number | bigint }>('job-ingest.submit', { J, urgency, flags: bits }),
  );
  print(formatJobId(BigInt(id)));
}

function bitOf(name: string): number {
  const bit = Object.hasOwn(flagBits, name) ? flagBits[name] : undefined;
  if (bit === undefined) throw new FluxError('EINVAL', `--flags: there is no flag '${name}'`);
  return bit;
}

async function readJobspec(file: string): Promise<string> {
  if (file === '-') return text(process.stdin);
  try {
    return fs.readFileSync(file, 'utf8');
  } catch (error) {
    throw about(file, error);
  }
}
