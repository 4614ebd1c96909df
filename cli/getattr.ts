import { about } from '../core/errno.ts';
import { runCommand, subcommand, withHandle } from './command.ts';
import { print } from './print.ts';

/** `flux getattr NAME` */
export function run(args: readonly string[]): Promise<number> {
  const command = subcommand('getattr', 'Show the value of a broker attribute.')
    .argument('<name>', 'name of the attribute')
    .action((name: string) =>
      withHandle(async (handle) => {
        const value = await handle.attribute(name).catch((error: unknown) => {
          throw about(name || "''", error);
        });
        print(value);
      }),
    );
  return runCommand(command, args);
}
