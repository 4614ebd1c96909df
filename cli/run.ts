import { encodeFluid } from '../core/formats/fluid.ts';
import { subcommand, withHandle } from './command.ts';
import { attachJob } from './job-attach.ts';
import { print } from './print.ts';
import { submitJob, submitSettings } from './submission.ts';
import { optionsOf, runSubmission } from './submission-options.ts';
import { inputRanks, type TaskOptions, taskJobspec, taskOptions } from './task-jobspec.ts';

interface Options extends TaskOptions {
  waitEvent?: string;
}

/** `flux run [OPTIONS] COMMAND…` */
export function run(args: readonly string[]): Promise<number> {
  const command = taskOptions(subcommand('run', 'Run a job, with its input and output here.'))
    .option('--wait-event <NAME>', 'Attach when the job has come to this event.')
    .argument('[command...]');
  return runSubmission(command, args, (words) => runJob(words, optionsOf<Options>(command)));
}

async function runJob(words: readonly string[], options: Options): Promise<number> {
  const jobspec = taskJobspec(words, options).encode();
  if (options.dryRun) {
    print(jobspec);
    return 0;
  }
  const settings = submitSettings(options);
  return withHandle(async (handle) => {
    const id = await submitJob(handle, jobspec, settings);
    const { verbose, labelIo = false, unbuffered = false, debugEmulate = false, waitEvent, input } = options;
    if (verbose) console.error(`jobid: ${encodeFluid(id)}`);
    const stdinRanks = input ? inputRanks(input) : undefined;
    const attachOptions = {
      labelIo,
      unbuffered,
      showEvents: verbose > 1,
      verbose: Math.max(0, verbose - 1),
      debug: debugEmulate,
      ...(waitEvent !== undefined && { waitEvent }),
      ...(stdinRanks && { stdinRanks: stdinRanks.encode() }),
    };
    return attachJob(handle, id, attachOptions);
  });
}
