/** `flux filemap`: what `flux archive` was before, with other words, for scripts that still say them. */

import { type Command, Option } from 'commander';
import { createCommand } from './archive-create.ts';
import { extractCommand } from './archive-extract.ts';
import { listCommand } from './archive-list.ts';
import { removeCommand } from './archive-remove.ts';
import { type NestedCommand, runNested } from './nested.ts';

/** `flux filemap COMMAND …` */
export function run(args: readonly string[]): Promise<number> {
  const commands = { map: mapCommand, list: old(listCommand), get: old(extractCommand), unmap: old(removeCommand) };
  return runNested('filemap', 'The commands of flux-archive by their old names.', commands, args);
}

/** Files stay where they are, unless that is not wanted. */
const mapCommand: NestedCommand = {
  ...createCommand,
  define: (command) =>
    old(createCommand)
      .define(command)
      .addOption(new Option('--disable-mmap', 'Store the content of large files.'))
      .hook('preAction', (self: Command) => {
        self.setOptionValue('mmap', !self.opts().disableMmap);
      }),
};

/** A command of flux-archive whose archive is called a tag. */
function old({ summary, define }: NestedCommand): NestedCommand {
  return {
    summary,
    define: (command) =>
      define(command)
        .option('-T, --tags <TAG>', 'The same as --name.')
        .on('option:tags', (tag: string) => command.setOptionValue('name', tag))
        .hook('preAction', () =>
          console.error('flux-filemap: this command is deprecated, use flux-archive(1) instead'),
        ),
  };
}
