import type { Handle } from '../core/handle/handle.ts';
import { runCommand, subcommand, withHandle } from './command.ts';
import { print } from './print.ts';

/** Columns that names take before their values. */
const NAME_WIDTH = 40;

interface Options {
  values?: boolean;
  json?: boolean;
}

/** `flux lsattr [--values|--json]` */
export function run(args: readonly string[]): Promise<number> {
  const command = subcommand('lsattr', 'List broker attributes.')
    .option('-v, --values', 'Show their values, too.')
    .option('--json', 'Print a JSON object of names and values.')
    .action((options: Options) => withHandle((handle) => list(handle, options)));
  return runCommand(command, args);
}

async function list(handle: Handle, { values, json }: Options): Promise<void> {
  const { names } = await handle.rpc<{ names: string[] }>('attr.list');
  names.sort();
  if (!values && !json) {
    for (const name of names) print(name);
    return;
  }
  const fetchValue = (name: string) => handle.attribute(name).catch(() => null);
  const all = await Promise.all(names.map(async (name) => [name, await fetchValue(name)] as const));
  if (json) print(JSON.stringify(Object.fromEntries(all)));
  // One that exists without a value shows as a dash.
  else for (const [name, value] of all) print(`${name.padEnd(NAME_WIDTH)}${value ?? '-'}`);
}
