/** `flux admin`: what only administrators of an instance do. */

import { text } from 'node:stream/consumers';
import { FluxError } from '../core/errno.ts';
import { PYTHON_USAGE_ERROR, withHandle } from './command.ts';
import { runNested } from './nested.ts';

/** `flux admin COMMAND …` */
export function run(args: readonly string[]): Promise<number> {
  return runNested('admin', 'What only administrators of an instance do.', commands, args, PYTHON_USAGE_ERROR);
}

const commands = {
  'cleanup-push': {
    summary: 'Run a command after the initial program has ended, before those pushed earlier',
    define: (command) =>
      command
        .passThroughOptions()
        .argument('[command...]', 'a command line; without it, standard input has one on each line')
        .action(async (words: string[]) => {
          const commands = words.length ? [words.join(' ')] : await readLines();
          // Each is put in front of the others, so the last one goes first.
          await withHandle((handle) => handle.rpc('runat.push', { name: 'cleanup', commands: commands.reverse() }));
        }),
  },
  'system-scripts': {
    summary: 'Show the scripts that run before and after jobs: there are none yet',
    define: (command) =>
      command
        .option('-v, --verbose', 'Show them even where none is configured.')
        .option('--color <WHEN>', 'Use colours.')
        .action(() => {
          throw new FluxError('ENOSYS', 'there is nothing to show: instances of this version run no jobs yet');
        }),
  },
} satisfies Parameters<typeof runNested>[2];

async function readLines(): Promise<string[]> {
  const lines = (await text(process.stdin)).split('\n').map((line) => line.trim());
  if (lines.at(-1) === '') lines.pop();
  if (lines.length === 0) throw new FluxError('EINVAL', 'standard input has no command');
  return lines;
}
