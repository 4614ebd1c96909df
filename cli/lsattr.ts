import type { Handle } from '../core/handle/handle.ts';
import { runCommand, subcommand, withHandle } from './command.ts';

/** Columns that names take before their values. */
const NAME_WIDTH = 40;

/** `flux lsattr [--values]` */
export function run(args: readonly string[]): Promise<number> {
  const command = subcommand('lsattr', 'List broker attributes.')
    .option('-v, --values', 'Show their values, too.')
    .action((options: { values?: boolean }) => withHandle((handle) => list(handle, options.values ?? false)));
  return runCommand(command, args);
}

async function list(handle: Handle, values: boolean): Promise<void> {
  const { names } = await handle.rpc<{ names: string[] }>('attr.list');
  names.sort();
  // One that exists without a value shows as a dash.
  const describe = async (name: string) => {
    return `${name.padEnd(NAME_WIDTH)}${await handle.attribute(name).catch(() => '-')}`;
  };
  for (const line of values ? await Promise.all(names.map(describe)) : names) console.log(line);
}
