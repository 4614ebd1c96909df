import { FluxError } from '../core/errno.ts';
import { parseFluid } from '../core/formats/fluid.ts';
import { PYTHON_USAGE_ERROR, runCommand, subcommand, withHandle } from './command.ts';
import { parseKeyValues } from './key-values.ts';

/** `flux post-job-event ID NAME [KEY=VALUE…]` */
export function run(args: readonly string[]): Promise<number> {
  const command = subcommand('post-job-event', 'Post an event to the eventlog of a job that has not ended.')
    .passThroughOptions()
    .argument('<id>', 'the job')
    .argument('<name>', 'the name of the event')
    .argument('[context...]', 'its context: KEY=VALUE')
    .action(async (job: string, name: string, words: string[]) => {
      const context = parseKeyValues(words);
      const id = parseFluid(job);
      await withHandle((handle) =>
        handle.rpc('job-manager.post-event.post', { id, name, context }).catch((error: FluxError) => {
          throw error.code === 'ENOENT' ? new FluxError('ENOENT', `there is no job ${job}`) : error;
        }),
      );
    });
  return runCommand(command, args, PYTHON_USAGE_ERROR);
}
