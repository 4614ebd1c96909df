/** `flux update`: changes to the jobspecs of jobs that have not ended. */

import { Option } from 'commander';
import { valueAt } from '../core/broker/config-path.ts';
import { FluxError } from '../core/errno.ts';
import { parseFluid } from '../core/formats/fluid.ts';
import { encodePythonJson } from '../core/formats/python-json.ts';
import type { Handle } from '../core/handle/handle.ts';
import { type JsonObject, parseJson, stringifyJson } from '../core/json.ts';
import { isObject } from '../core/message/unpack.ts';
import { PYTHON_USAGE_ERROR, reader, runCommand, subcommand, withHandle } from './command.ts';
import { isSame } from './context-match.ts';
import { watchEventlog } from './eventlog.ts';
import { print } from './print.ts';
import { readUpdates } from './update-values.ts';

/** Flag of job-info.lookup: with the changes that were made since. */
const CURRENT = 2;

interface UpdateOptions {
  dryRun?: boolean;
  dry?: boolean;
  verbose?: boolean;
  wait?: boolean;
}

/** `flux update [--dry-run] [--wait] ID KEY=VALUE…` */
export function run(args: readonly string[]): Promise<number> {
  const command = subcommand('update', 'Change the jobspec of a job.')
    .argument('<id>', 'the job', reader(parseFluid))
    .argument('<updates...>', 'what is changed: KEY=VALUE')
    .option('-n, --dry-run', 'Change nothing; print what would be sent.')
    .addOption(new Option('--dry').hideHelp())
    .option('-v, --verbose', 'Tell what was changed.')
    .option('--wait', 'Wait until the eventlog of the job has the changes.')
    .action(update);
  return runCommand(command, args, PYTHON_USAGE_ERROR);
}

async function update(id: bigint, words: readonly string[], options: UpdateOptions): Promise<void> {
  const began = Date.now() / 1000;
  if (options.dryRun || options.dry) {
    const duration = () => withHandle((handle) => fetchDuration(handle, id));
    print(encodePythonJson(await readUpdates(words, duration), true));
    return;
  }
  await withHandle(async (handle) => {
    const updates = await readUpdates(words, () => fetchDuration(handle, id));
    await handle.rpc('job-manager.update', { id, updates });
    if (options.wait) await waitForUpdate(handle, id, updates, began);
    if (options.verbose) for (const [key, value] of Object.entries(updates)) tell(key, value);
  });
}

function tell(key: string, value: JsonObject[string]): void {
  console.error(`flux-update: updated ${key} to ${typeof value === 'string' ? value : stringifyJson(value ?? null)}`);
}

async function fetchDuration(handle: Handle, id: bigint): Promise<number> {
  const request = { id, keys: ['jobspec'], flags: CURRENT };
  const { jobspec } = await handle.rpc<{ jobspec: string }>('job-info.lookup', request);
  const content = parseJson(jobspec);
  const duration = isObject(content) ? valueAt(content, 'attributes.system.duration') : undefined;
  if (duration === undefined) throw new FluxError('EINVAL', 'the job has no duration that could be changed');
  return Number(duration);
}

/** Waits for the event of these changes, one that is younger than this command. */
async function waitForUpdate(handle: Handle, id: bigint, updates: JsonObject, began: number): Promise<void> {
  for await (const { timestamp, name, context } of watchEventlog(handle, id, 'eventlog')) {
    if (name !== 'jobspec-update' || timestamp <= began) continue;
    if (Object.entries(updates).every(([key, value]) => isSame(value ?? null, context[key]))) return;
  }
}
