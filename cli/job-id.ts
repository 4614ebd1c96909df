/** Job ids (RFC 19) as commands read and write them; `flux job id`, `namespace` and `last`. */

import { text } from 'node:stream/consumers';
import type { Command } from 'commander';
import { FluxError } from '../core/errno.ts';
import { encodeFluid, type FluidForm, fluidForms, parseFluid } from '../core/formats/fluid.ts';
import { jobNamespace } from '../core/formats/job-keys.ts';
import { isUtf8Locale } from '../core/formats/locale.ts';
import type { Handle } from '../core/handle/handle.ts';
import { Exit, withHandle } from './command.ts';
import type { NestedCommand } from './nested.ts';
import { print } from './print.ts';

/**
 * Reads a job id in any notation.
 *
 * @throws FluxError EINVAL
 */
export function parseJobId(word: string): bigint {
  try {
    return parseFluid(word);
  } catch {
    throw new FluxError('EINVAL', `error parsing jobid: '${word}' is not one`);
  }
}

/** A job id as users read it: in base 58, with `f` before it where the terminal may not know `ƒ`. */
export function formatJobId(id: bigint): string {
  return encodeFluid(id, isUtf8Locale() ? 'f58' : 'f58plain');
}

/** Splits what follows a command into ids up to the first word that is none, and the words from there on. */
export function splitIds(words: readonly string[]): { readonly ids: [word: string, id: bigint][]; rest: string[] } {
  const ids: [string, bigint][] = [];
  for (const word of words) {
    try {
      ids.push([word, parseFluid(word)]);
    } catch {
      break;
    }
  }
  return { ids, rest: words.slice(ids.length) };
}

/** The words of a command line, or without any the lines of standard input. */
async function wordsOrInput(words: readonly string[]): Promise<readonly string[]> {
  return words.length ? words : (await text(process.stdin)).split('\n').slice(0, -1);
}

/** Writes an id in the notation that `--to` names. */
export function convertId(word: string, to: string): string {
  const form = fluidForms.find((each) => each === to);
  if (form === undefined) throw new FluxError('EINVAL', `--to: there is no notation '${to}'; ${fluidForms.join(', ')}`);
  const id = parseJobId(word);
  return form === 'f58' ? formatJobId(id) : encodeFluid(id, form satisfies FluidForm);
}

const ids = (command: Command) => command.argument('[id...]', 'job ids; without any, those on standard input');

export const idCommands: Readonly<Record<string, NestedCommand>> = {
  id: {
    summary: 'Write job ids in another notation',
    define: (command) =>
      ids(command)
        .option('-t, --to <NOTATION>', `One of ${fluidForms.join(', ')}.`, 'dec')
        .action(async (words: string[], { to }: { to: string }) => {
          const inputs = await wordsOrInput(words);
          for (const word of inputs) print(convertId(word, to));
          if (inputs.length === 0) throw new Exit(1);
        }),
  },
  namespace: {
    summary: 'Tell the KVS namespaces of jobs',
    define: (command) =>
      ids(command).action(async (words: string[]) => {
        for (const word of await wordsOrInput(words)) print(jobNamespace(parseJobId(word)));
      }),
  },
  last: {
    summary: 'List the jobs that you submitted last',
    define: (command) =>
      command
        .argument('[slice]', 'how many, or a slice [START:STOP:STEP] of the list, the latest first')
        .action((slice?: string) => withHandle((handle) => showLast(handle, slice))),
  },
};

async function showLast(handle: Handle, slice = '1'): Promise<void> {
  const { jobs } = await handle.rpc<{ jobs: (number | bigint)[] }>('job-manager.history.get', {
    slice: parseSlice(slice),
  });
  if (jobs.length === 0) throw new FluxError('ENOENT', 'job history is empty');
  for (const id of jobs) print(formatJobId(BigInt(id)));
}

/**
 * The slice that a number of jobs is; what has brackets is one.
 *
 * @throws FluxError EINVAL: neither
 */
export function parseSlice(text: string): string {
  if (text.includes('[')) return text;
  if (!/^[+-]?\d+$/.test(text)) throw new FluxError('EINVAL', `'${text}' is neither a number nor a slice`);
  return `[:${Number(text)}]`;
}
