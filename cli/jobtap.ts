/** `flux jobtap`: the plugins of the job manager. */

import type { FluxError } from '../core/errno.ts';
import { about } from '../core/errno.ts';
import { stringifyJson } from '../core/json.ts';
import { PYTHON_USAGE_ERROR, withHandle } from './command.ts';
import { parseKeyValues } from './key-values.ts';
import { type NestedCommand, runNested } from './nested.ts';
import { print } from './print.ts';

const TOPIC = 'job-manager.jobtap';

const commands: Readonly<Record<string, NestedCommand>> = {
  load: {
    summary: 'Load a plugin',
    define: (command) =>
      command
        .passThroughOptions()
        .argument('<plugin>', 'its file, or the name of one that is built in')
        .argument('[config...]', 'its configuration: KEY=VALUE')
        .option('-r, --remove <NAME>', 'Remove the plugins that match this pattern first.')
        .action(async (load: string, words: string[], { remove }: { remove?: string }) => {
          const conf = parseKeyValues(words);
          await change(load, { load, conf, remove: remove || undefined });
        }),
  },
  remove: {
    summary: 'Remove plugins',
    define: (command) =>
      command
        .argument('<plugin>', 'its name, a pattern of names, or all')
        .action((plugin: string) => change(plugin, { remove: plugin })),
  },
  list: {
    summary: 'List the plugins that are loaded',
    define: (command) =>
      command.option('-a, --all', 'Those that are built in, too.').action(({ all = false }: { all?: boolean }) =>
        withHandle(async (handle) => {
          const { plugins } = await handle.rpc<{ plugins: readonly string[] }>(TOPIC, { query_only: true });
          for (const name of plugins) if (all || !name.startsWith('.')) print(name);
        }),
      ),
  },
  query: {
    summary: 'Print what a plugin tells of itself',
    define: (command) =>
      command.argument('<plugin>', 'its name').action((name: string) =>
        withHandle(async (handle) => {
          print(stringifyJson(await handle.rpc('job-manager.jobtap-query', { name })));
        }),
      ),
  },
};

/** `flux jobtap COMMAND …` */
export function run(args: readonly string[]): Promise<number> {
  return runNested('jobtap', 'Load and remove plugins of the job manager.', commands, args, PYTHON_USAGE_ERROR);
}

function change(plugin: string, request: Parameters<typeof stringifyJson>[0]): Promise<void> {
  return withHandle(async (handle) => {
    await handle.rpc(TOPIC, request).catch((error: FluxError) => {
      throw about(plugin, error);
    });
  });
}
