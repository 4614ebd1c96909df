import { PYTHON_USAGE_ERROR, runCommand, subcommand } from './command.ts';
import { print } from './print.ts';
import { isLocalForced, localUri, remoteUri } from './uri-forms.ts';
import { resolveUri, schemes } from './uri-resolve.ts';

/** `flux uri [--local|--remote] [--wait] TARGET` */
export function run(args: readonly string[]): Promise<number> {
  const command = subcommand('uri', 'Show the URI of a Flux instance.')
    .argument('<target>', 'a job id, or SCHEME:PLACE')
    .option('--local', 'Show it as it is used on its own machine.')
    .option('--remote', 'Show it as it is used from other machines.')
    .option('--wait', 'Wait until the job has told it.')
    .addHelpText('after', `\nSchemes:\n${describeSchemes()}`)
    .action(async (target: string, options: { local?: boolean; remote?: boolean; wait?: boolean }) => {
      const uri = await resolveUri(options.wait ? withWish(target, 'wait') : target);
      print(options.remote ? remoteUri(uri) : options.local || isLocalForced() ? localUri(uri) : uri);
    });
  return runCommand(command, args, PYTHON_USAGE_ERROR);
}

function withWish(target: string, wish: string): string {
  return `${target}${target.includes('?') ? '&' : '?'}${wish}`;
}

function describeSchemes(): string {
  return Object.entries(schemes)
    .map(([scheme, what]) => `  ${scheme.padEnd(8)}${what}`)
    .join('\n');
}
