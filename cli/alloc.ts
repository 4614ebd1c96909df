import { about, FluxError } from '../core/errno.ts';
import { encodeFluid } from '../core/formats/fluid.ts';
import { Handle } from '../core/handle/handle.ts';
import { increase, subcommand, withHandle } from './command.ts';
import { watchEventlog } from './eventlog.ts';
import { attachJob } from './job-attach.ts';
import { finishNested, type NestedOptions, nestedJobspec, nestedOptions } from './nested-jobspec.ts';
import { print } from './print.ts';
import { submitJob, submitSettings } from './submission.ts';
import { optionsOf, runSubmission } from './submission-options.ts';

interface Options extends NestedOptions {
  verbose: number;
  bg?: boolean;
}

/** `flux alloc [OPTIONS] [COMMAND…]` */
export function run(args: readonly string[]): Promise<number> {
  const command = nestedOptions(subcommand('alloc', 'Start an instance of its own on resources, and attach to it.'))
    .option('-v, --verbose', 'Say more on stderr; may be repeated.', increase, 0)
    .option('--bg', 'Print the job id when the instance is ready, and do not attach.')
    .argument('[command...]');
  return runSubmission(command, args, (words) => allocate(words, optionsOf<Options>(command)));
}

async function allocate(words: readonly string[], options: Options): Promise<number> {
  const { bg = false, dryRun, verbose } = options;
  // In the background there is nobody for a shell.
  const brokerOptions = bg && !words.length ? ['-Sbroker.rc2_none=1'] : [];
  // Input and output of the instance are here: options about files for them are passed over.
  const { output: _output, error: _error, input: _input, labelIo: _labelIo, ...rest } = options;
  const jobspec = nestedJobspec(rest, { program: words, brokerOptions });
  if (bg) jobspec.setShellOption('pty.capture', 1);
  else if (process.stdin.isTTY) jobspec.setShellOption('pty.interactive', 1);
  const text = finishNested(jobspec, rest);
  if (dryRun) {
    print(text);
    return 0;
  }
  const settings = submitSettings(options);
  return withHandle(async (handle) => {
    const id = await submitJob(handle, text, settings);
    if (bg) return waitInBackground(handle, id, verbose);
    if (verbose) console.error(`jobid: ${encodeFluid(id)}`);
    return attachJob(handle, id, { ttyOk: true, verbose });
  });
}

/** Waits until the instance takes jobs, and prints the job's id. An interrupt cancels the job. */
async function waitInBackground(handle: Handle, id: bigint, verbose: number): Promise<number> {
  const name = encodeFluid(id);
  process.once('SIGINT', () => {
    console.error(`\r${name}: Interrupt: canceling job`);
    handle
      .rpc('job-manager.raise', { id, type: 'cancel', severity: 0, note: '' })
      .catch(() => {})
      .finally(() => process.exit(1));
  });
  let start: number | undefined;
  const log = (now: number, text: string) => {
    if (verbose) console.error(`${name}: ${(now - (start ?? now)).toFixed(3).padStart(6)}s: ${text}`);
  };
  log(0, 'waiting for resources');
  for await (const { timestamp, name: event, context } of watchEventlog(handle, id, 'eventlog')) {
    start ??= timestamp;
    if (event === 'alloc') log(timestamp, 'resources allocated');
    if (event !== 'memo' || typeof context.uri !== 'string') continue;
    log(timestamp, 'waiting for instance');
    await waitForInstance(context.uri, name);
    log(Date.now() / 1000, 'ready');
    print(name);
    return 0;
  }
  await attachJob(handle, id, { readOnly: true });
  throw new FluxError('EIO', `${name}: unexpectedly exited`);
}

async function waitForInstance(uri: string, name: string): Promise<void> {
  const child = await Handle.open(uri).catch((error: unknown) => {
    throw about(`unable to connect to ${name}`, error);
  });
  try {
    await child.rpc('state-machine.wait');
  } catch {
    throw new FluxError('EIO', `${name}: the start of the instance failed`);
  } finally {
    await child.close();
  }
}
