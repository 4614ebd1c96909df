import { runCommand, runsAnother, subcommand } from './command.ts';
import { fluxEnvironment } from './environment.ts';
import { execute } from './execute.ts';
import { print } from './print.ts';

/** `flux env [COMMAND…]` */
export async function run(args: readonly string[]): Promise<number> {
  let exitCode = 0;
  const command = runsAnother(
    subcommand('env', 'Print the environment that `flux` sets, for a shell to read, or run a command in it.').argument(
      '[command...]',
      'program and arguments',
    ),
  ).action(async ([program, ...words]: string[]) => {
    if (program === undefined) printEnvironment();
    else exitCode = await execute(program, words);
  });
  return (await runCommand(command, args)) || exitCode;
}

function printEnvironment(): void {
  for (const [name, value] of fluxEnvironment()) print(`export ${name}="${value.replace(/["$`\\]/g, '\\$&')}"`);
}
