/** `flux job status` and `wait`: waiting for the end of jobs. */

import { about, FluxError } from '../core/errno.ts';
import { encodeJson } from '../core/formats/jansson.ts';
import { signalOf } from '../core/formats/wait-status.ts';
import type { Handle } from '../core/handle/handle.ts';
import type { JsonObject } from '../core/json.ts';
import { Exit, increase, integer, withHandle } from './command.ts';
import { watchEventlog } from './eventlog.ts';
import { formatJobId, parseJobId } from './job-id.ts';
import { JobResult } from './job-result.ts';
import type { NestedCommand } from './nested.ts';
import { print } from './print.ts';

interface StatusOptions {
  exceptionExitCode: number;
  json?: boolean;
  verbose: number;
}

interface WaitOptions {
  all?: boolean;
  verbose?: boolean;
}

export const waitCommands: Readonly<Record<string, NestedCommand>> = {
  status: {
    summary: 'Wait until jobs are over, and exit with the highest of their exit codes',
    define: (command) =>
      command
        .argument('<id...>', 'job ids')
        .option('-e, --exception-exit-code <N>', 'The exit code of a job that an exception ended.', integer, 1)
        .option('-j, --json', 'Show how the jobs ended as JSON.')
        .option('-v, --verbose', 'Say how jobs ended that failed; twice: all.', increase, 0)
        .action((words: string[], options: StatusOptions) =>
          withHandle((handle) => showStatus(handle, words, options)),
        ),
  },
  wait: {
    summary: 'Wait for a job that was submitted as waitable, or for the next that is over',
    define: (command) =>
      command
        .argument('[id]', 'job id')
        .option('-a, --all', 'Wait for all jobs that were submitted as waitable.')
        .option('-v, --verbose', 'Say of jobs that succeeded, too, that they are over.')
        .action((word: string | undefined, options: WaitOptions) => {
          if (word !== undefined && options.all) throw new FluxError('EINVAL', '--all goes with no job id');
          return withHandle((handle) => (options.all ? waitAll(handle, options) : waitOne(handle, word)));
        }),
  },
};

async function showStatus(handle: Handle, words: readonly string[], options: StatusOptions): Promise<void> {
  const { exceptionExitCode, json, verbose } = options;
  const ids = words.map(parseJobId);
  if (verbose && ids.length > 1) console.error(`flux-job: fetching status for ${ids.length} jobs`);
  const results = await Promise.allSettled(ids.map((id) => resultOf(handle, id)));
  if (verbose && ids.length > 1) console.error('flux-job: all done.');
  let exitCode = 0;
  for (const [index, outcome] of results.entries()) {
    if (outcome.status === 'rejected') throw aboutJob(words[index]!, outcome.reason);
    const result = outcome.value;
    if (json) print(compactJson(result.toJson()));
    exitCode = Math.max(exitCode, result.exitCode, result.fatalException === undefined ? 0 : exceptionExitCode);
    if (verbose) describe(words[index]!, result, verbose);
  }
  if (exitCode) throw new Exit(exitCode);
}

/** Without blanks, its numbers with as many digits as C programs write. */
function compactJson(object: JsonObject): string {
  const members = Object.entries(object).map(([key, value]) => `"${key}":${encodeJson(value ?? null)}`);
  return `{${members.join(',')}}`;
}

function aboutJob(word: string, error: unknown): FluxError {
  const { code } = error as FluxError;
  return code === 'ENOENT' ? new FluxError('ENOENT', `${word}: No such job`) : about(word, error);
}

async function resultOf(handle: Handle, id: bigint): Promise<JobResult> {
  const result = new JobResult(id);
  for await (const event of watchEventlog(handle, id, 'eventlog')) result.add(event);
  return result;
}

function describe(word: string, result: JobResult, verbose: number): void {
  const signum = signalOf(result.status ?? 0);
  if (signum) console.error(`flux-job: ${word}: job shell died by signal ${signum}`);
  else if (verbose > 1 || result.exitCode) {
    const exception = result.fatalException;
    const end = exception === undefined ? `exited with exit code ${result.exitCode}` : `exception type=${exception}`;
    console.error(`flux-job: ${word}: ${end}`);
  }
}

// ---- waitable jobs

/** What a request for the next job that is over has as its id. */
const ANY_JOB = -1;

interface Waited {
  readonly id: number | bigint;
  readonly success: boolean;
  readonly errstr: string;
}

/** Exit code for jobs that cannot be waited for, which is not that of those that failed. */
const NOT_WAITABLE = 2;

async function waitOne(handle: Handle, word: string | undefined): Promise<void> {
  const id = word === undefined ? ANY_JOB : parseJobId(word);
  const answer = await handle.rpc<Waited>('job-manager.wait', { id }).catch((error: FluxError) => {
    console.error(`flux-job: ${error.message}`);
    throw new Exit(error.code === 'ECHILD' ? NOT_WAITABLE : 1);
  });
  if (word === undefined) print(formatJobId(BigInt(answer.id)));
  if (answer.success) return;
  console.error(`flux-job: ${answer.errstr}`);
  throw new Exit(1);
}

async function waitAll(handle: Handle, { verbose }: WaitOptions): Promise<void> {
  let failed = false;
  for (;;) {
    const answer = await handle.rpc<Waited>('job-manager.wait', { id: ANY_JOB }).catch((error: FluxError) => {
      if (error.code !== 'ECHILD') throw error;
      return undefined;
    });
    if (!answer) break;
    const id = formatJobId(BigInt(answer.id));
    if (!answer.success) {
      console.error(`${id}: ${answer.errstr}`);
      failed = true;
    } else if (verbose) console.error(`${id}: job completed successfully`);
  }
  if (failed) throw new Exit(1);
}
