import { type BulkOptions, bulkOptions, copies } from './bulk-options.ts';
import { submitAll } from './bulk-submit.ts';
import { subcommand } from './command.ts';
import { optionsOf, runSubmission } from './submission-options.ts';

/** `flux submit [OPTIONS] COMMAND…` */
export function run(args: readonly string[]): Promise<number> {
  const command = bulkOptions(subcommand('submit', 'Submit a job, and print its id.')).argument('[command...]');
  return runSubmission(command, args, (words) => {
    const options = optionsOf<BulkOptions>(command);
    return submitAll([{ words, options, changed: new Set() }], options, copies(options)?.length ?? 1);
  });
}
