import { runCommand, runsAnother, subcommand } from './command.ts';
import { type LaunchOptions, runLaunched } from './run-node.ts';
import { type BrokerOptions, brokerOptions, brokerSettings, launchOptions } from './start.ts';

/** `flux broker [OPTIONS] [COMMAND…]`: the ranks that the configuration or a launcher gives this process. */
export async function run(args: readonly string[]): Promise<number> {
  let exitCode = 0;
  const command = runsAnother(
    launchOptions(brokerOptions(subcommand('broker', 'Run a broker, and a program in it.'))).argument(
      '[command...]',
      'the initial program; a shell when there is none',
    ),
  ).action(async (words: string[], options: BrokerOptions & LaunchOptions) => {
    exitCode = await runLaunched('flux-broker', brokerSettings(words, options), options);
  });
  return (await runCommand(command, args)) || exitCode;
}
