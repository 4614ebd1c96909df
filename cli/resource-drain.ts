/** `flux resource drain` and `undrain`: what the scheduler must not use for now. */

import { type Command, Option } from 'commander';
import { type ErrnoName, FluxError } from '../core/errno.ts';
import { withHandle } from './command.ts';
import type { NestedCommand } from './nested.ts';
import { tableOptions, targetOptions } from './resource-options.ts';
import { type StatusOptions, showDrained } from './resource-status.ts';
import { colorOption } from './terminal.ts';

interface UpdateOptions {
  force?: number;
  update?: boolean;
}

/** Options of targets that are in the wanted state already. */
function updateOptions(command: Command, verb: string): Command {
  return command
    .addOption(
      new Option(
        '-f, --force',
        `Also targets that are ${verb}ed already, with a new reason; twice: with a new time, too.`,
      ).argParser((_, previous?: number) => (previous ?? 0) + 1),
    )
    .option('-u, --update', `Pass over targets that are ${verb}ed already.`);
}

export const drainCommands: Readonly<Record<string, NestedCommand>> = {
  drain: {
    summary: 'Keep the scheduler from using ranks, or list those that are drained',
    define: (command) =>
      updateOptions(colorOption(tableOptions(targetOptions(command))), 'drain')
        .argument('[targets]', 'an idset of ranks or a hostlist; without it, what is drained is listed')
        .argument('[reason...]', 'why')
        .passThroughOptions()
        .action((targets: string | undefined, words: string[], options: StatusOptions & UpdateOptions) =>
          targets === undefined ? showDrained(options) : update('drain', targets, words, options),
        ),
  },
  undrain: {
    summary: 'Let the scheduler use ranks again',
    define: (command) =>
      updateOptions(command, 'undrain')
        .argument('<targets>', 'an idset of ranks or a hostlist')
        .argument('[reason...]', 'why')
        .passThroughOptions()
        .action((targets: string, words: string[], options: UpdateOptions) =>
          update('undrain', targets, words, options),
        ),
  },
};

async function update(
  verb: 'drain' | 'undrain',
  targets: string,
  words: readonly string[],
  options: UpdateOptions,
): Promise<void> {
  const mode = modeOf(options);
  const reason = (words[0] === '--' ? words.slice(1) : words).join(' ');
  await withHandle(async (handle) => {
    const request = { targets, ...(mode && { mode }), ...(reason && { reason }) };
    await handle.rpc(`resource.${verb}`, request, { nodeid: 0 }).catch((error: FluxError) => {
      const hint = verb === 'drain' && error.code === 'EEXIST' ? '; --force replaces the reason that it has' : '';
      throw new FluxError(error.code as ErrnoName, error.message + hint);
    });
  });
}

/** How the service takes targets that are in the wanted state already; undefined: as an error. */
export function modeOf({ force = 0, update }: UpdateOptions): string | undefined {
  if (force && update) throw new FluxError('EINVAL', 'only one of --force and --update can be given');
  if (update) return 'update';
  return [undefined, 'overwrite', 'force-overwrite'][force];
}
