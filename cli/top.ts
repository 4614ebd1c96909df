import { FluxError } from '../core/errno.ts';
import { runCommand, subcommand } from './command.ts';

/** `flux top [TARGET]` */
export function run(args: readonly string[]): Promise<number> {
  const command = subcommand('top', 'Show the jobs of an instance as they run.')
    .argument('[target]', 'which instance, as `flux uri` takes it')
    .option('-q, --queue <NAME>', 'Only jobs of this queue.')
    .option('--color [WHEN]', 'Use colours: always, never or auto.')
    .action(() => {
      if (!process.stdin.isTTY) throw new FluxError('ENOTTY', 'standard input is not a terminal');
      throw new FluxError('ENOSYS', 'there is nothing to show: instances of this version run no jobs yet');
    });
  return runCommand(command, args);
}
