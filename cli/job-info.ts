/** `flux job info`: what is stored of a job. */

import { FluxError } from '../core/errno.ts';
import { unwrapJobspec } from '../core/formats/job-envelope.ts';
import type { Handle } from '../core/handle/handle.ts';
import { withHandle } from './command.ts';
import { parseJobId } from './job-id.ts';
import type { NestedCommand } from './nested.ts';
import { print } from './print.ts';

/** Flag of job-info.lookup: with what the job's events have changed since. */
const CURRENT = 2;

interface Options {
  original?: boolean;
  base?: boolean;
}

export const infoCommand: NestedCommand = {
  summary: 'Show what is stored of a job: R, jobspec, J, eventlog, guest.exec.eventlog, guest.input, guest.output',
  define: (command) =>
    command
      .argument('<id>', 'job id')
      .argument('<key>', 'what to show')
      .option('-o, --original', 'With the key jobspec: as it was submitted.')
      .option('-b, --base', 'With the keys jobspec and R: without what has changed since.')
      .action(showInfo),
};

async function showInfo(word: string, key: string, { original, base }: Options): Promise<void> {
  const id = parseJobId(word);
  const text = await withHandle(async (handle) => {
    if (original && key === 'jobspec') return unwrapJobspec(await lookupJob(handle, id, 'J'));
    const isCurrent = !base && (key === 'R' || key === 'jobspec');
    return lookupJob(handle, id, key, isCurrent ? CURRENT : 0);
  });
  print(text);
}

/**
 * The text of a key of a job.
 *
 * @throws FluxError ENOENT: there is no such job, or no such key
 */
export async function lookupJob(handle: Pick<Handle, 'rpc'>, id: bigint, key: string, flags = 0): Promise<string> {
  const answer = await handle.rpc('job-info.lookup', { id, keys: [key], flags });
  const text = answer[key];
  if (typeof text !== 'string') throw new FluxError('EPROTO', `the answer about ${key} is not a text`);
  return text;
}
