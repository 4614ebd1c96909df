import { about } from '../core/errno.ts';
import { runCommand, subcommand, withHandle } from './command.ts';

/** `flux setattr [--force] NAME VALUE` */
export function run(args: readonly string[]): Promise<number> {
  const command = subcommand('setattr', 'Set a broker attribute.')
    .argument('<name>', 'name of the attribute')
    .argument('<value>', 'its new value')
    .option('-f, --force', 'Set it even if it is not meant to be updated.')
    .action((name: string, value: string, options: { force?: boolean }) =>
      withHandle(async (handle) => {
        await handle.rpc('attr.set', { name, value, ...(options.force && { force: true }) }).catch((error: unknown) => {
          throw about(name || "''", error);
        });
      }),
    );
  return runCommand(command, args);
}
