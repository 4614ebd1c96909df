/** `flux job`: what is done with single jobs, and what is known of them. */

import { Option } from 'commander';
import { Exit, increase, integer, withHandle } from './command.ts';
import { type AttachOptions, attachJob } from './job-attach.ts';
import { changeCommands } from './job-change.ts';
import { eventlogCommands } from './job-eventlog.ts';
import { explainCommand } from './job-explain.ts';
import { hostpidsCommand } from './job-hostpids.ts';
import { idCommands, parseJobId } from './job-id.ts';
import { infoCommand } from './job-info.ts';
import { listCommands } from './job-list.ts';
import { raiseCommands } from './job-raise.ts';
import { submitCommand } from './job-submit.ts';
import { taskmapCommand } from './job-taskmap.ts';
import { timeleftCommand } from './job-timeleft.ts';
import { waitCommands } from './job-wait.ts';
import { type NestedCommand, runNested } from './nested.ts';

/** `flux job COMMAND …` */
export function run(args: readonly string[]): Promise<number> {
  return runNested('job', 'Show, change, follow and signal jobs.', commands, args);
}

const attachCommand: NestedCommand = {
  summary: 'Follow a job: its output here, and what is typed here its input',
  define: (command) =>
    command
      .argument('<id>', 'job id')
      .option('-E, --show-events', 'Show the events of the job on stderr.')
      .option('-X, --show-exec', 'Show the events of its execution on stderr.')
      .option('--show-status', 'Show at once what the job waits for.')
      .option('-w, --wait-event <NAME>', 'Stop following its events at this one.')
      .option('-l, --label-io', "Put the task's rank before its output.")
      .option('-v, --verbose', 'Say where messages of the shells come from.', increase, 0)
      .option('-q, --quiet', 'Leave out what is no output.')
      .option('-r, --read-only', 'Neither read input nor take signals.')
      .option('-u, --unbuffered', 'Send each piece of input as it comes.')
      .option('-i, --stdin-ranks <RANKS>', 'Send input to these tasks only.')
      .addOption(new Option('--tail [NUM]', 'Of what output there is show only the last 10 lines, or NUM.').preset(''))
      .option('--debug', 'Refuse a job that is over, and let tasks that wait for a debugger go on.')
      .addOption(new Option('--debug-emulate').hideHelp())
      .addOption(new Option('--queue-check-interval <SECONDS>').argParser(integer).hideHelp())
      .action(async (word: string, { debugEmulate, ...options }: AttachOptions & { debugEmulate?: boolean }) => {
        const id = parseJobId(word);
        const debug = Boolean(options.debug || debugEmulate);
        const exitCode = await withHandle((handle) => attachJob(handle, id, { ...options, debug, name: word }));
        if (exitCode) throw new Exit(exitCode);
      }),
};

const commands: Readonly<Record<string, NestedCommand>> = {
  attach: attachCommand,
  ...waitCommands,
  ...eventlogCommands,
  explain: explainCommand,
  info: infoCommand,
  ...changeCommands,
  ...raiseCommands,
  submit: submitCommand,
  taskmap: taskmapCommand,
  timeleft: timeleftCommand,
  hostpids: hostpidsCommand,
  ...idCommands,
  ...listCommands,
};
