import { runCommand, runsAnother, subcommand } from './command.ts';
import { runLaunched } from './run-node.ts';
import { type BrokerOptions, brokerOptions, brokerSettings } from './start.ts';

/** `flux broker [OPTIONS] [COMMAND…]`: the ranks that the configuration or a launcher gives this process. */
export async function run(args: readonly string[]): Promise<number> {
  let exitCode = 0;
  const command = runsAnother(
    brokerOptions(subcommand('broker', 'Run a broker, and a program in it.')).argument(
      '[command...]',
      'the initial program; a shell when there is none',
    ),
  ).action(async (words: string[], options: BrokerOptions) => {
    exitCode = await runLaunched(brokerSettings(words, options));
  });
  return (await runCommand(command, args)) || exitCode;
}
