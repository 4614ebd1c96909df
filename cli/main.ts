/**
 * The `flux` command: finds the subcommand and runs it. Only what a subcommand needs is loaded.
 */

import { describe, Exit } from './command.ts';
import { commands } from './commands.ts';
import { fluxEnvironment, setUpEnvironment } from './environment.ts';
import { print } from './print.ts';

/** Options before the subcommand. */
interface GlobalOptions {
  parents: number;
  root: boolean;
  verbose: boolean;
}

const usageError = (text: string): never => {
  console.error(`flux: ${text}\nTry \`flux --help' for more information.`);
  throw new Exit(1);
};

/** `-vp` is `-v` and `-p`. */
function splitBundle(option: string): [first: string, others: string | undefined] {
  return /^-[a-z]{2}/i.test(option) ? [option.slice(0, 2), `-${option.slice(2)}`] : [option, undefined];
}

/** Takes the options before the subcommand off the command line. */
function takeGlobalOptions(args: string[]): GlobalOptions {
  const options: GlobalOptions = { parents: 0, root: false, verbose: false };
  while (args[0]?.startsWith('-')) {
    const [option, bundled] = splitBundle(args.shift()!);
    if (bundled !== undefined) args.unshift(bundled);
    if (option === '-p' || option === '--parent') options.parents++;
    else if (option === '-r' || option === '--root') options.root = true;
    else if (option === '-v' || option === '--verbose') options.verbose = true;
    else if (option === '-h' || option === '--help') args.splice(0, args.length, 'help', ...args);
    else if (option === '-V' || option === '--version') args.splice(0, args.length, 'version');
    else if (option === '--') break;
    else usageError(`unrecognized option '${option}'`);
  }
  return options;
}

async function main(args: string[]): Promise<number> {
  const options = takeGlobalOptions(args);
  const [name, ...rest] = args;
  if (options.parents || options.root) {
    const { enterParent } = await import('./parent.ts');
    await enterParent(options.root ? Infinity : options.parents);
  }
  setUpEnvironment();
  if (options.verbose) for (const [variable, value] of fluxEnvironment()) print(`${variable}=${value}`);
  if (name === undefined) {
    const { printHelp } = await import('./help.ts');
    printHelp(console.error);
    return 1;
  }
  const load = Object.hasOwn(commands, name) ? commands[name]!.load : undefined;
  if (!load) {
    const { runExternal } = await import('./external.ts');
    return runExternal(name, rest, options.verbose, Object.keys(commands));
  }
  return (await load()).run(rest);
}

main(process.argv.slice(2)).then(
  (exitCode) => {
    process.exitCode = exitCode;
  },
  (error: unknown) => {
    if (!(error instanceof Exit)) console.error(`flux: ${describe(error)}`);
    process.exitCode = error instanceof Exit ? error.code : 1;
  },
);
