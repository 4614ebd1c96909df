/** `flux resource`: the resources of an instance, listed, drained, and followed. */

import fs from 'node:fs';
import path from 'node:path';
import { PYTHON_USAGE_ERROR, withHandle } from './command.ts';
import { type NestedCommand, runNested } from './nested.ts';
import { drainCommands } from './resource-drain.ts';
import { eventlogCommand } from './resource-eventlog.ts';
import { listCommands } from './resource-list.ts';
import { statusCommand } from './resource-status.ts';

/** `flux resource COMMAND …` */
export function run(args: readonly string[]): Promise<number> {
  return runNested('resource', 'List resources, and drain them.', commands, args, PYTHON_USAGE_ERROR);
}

const commands: Readonly<Record<string, NestedCommand>> = {
  ...listCommands,
  status: statusCommand,
  ...drainCommands,
  eventlog: eventlogCommand,
  reload: {
    summary: 'Replace the inventory of resources',
    define: (command) =>
      command
        .argument('<path>', 'a file that holds a resource set')
        .option('-x, --xml', 'The path is a folder with the topology of each rank, which hwloc has exported: RANK.xml.')
        .option('-f, --force', 'Also resources of ranks that the instance does not have.')
        .action((file: string, { xml = false, force = false }: { xml?: boolean; force?: boolean }) =>
          withHandle(async (handle) => {
            await handle.rpc('resource.reload', { path: absolutePath(file), xml, force }, { nodeid: 0 });
          }),
        ),
  },
  'acquire-mute': {
    summary: 'Tell the scheduler of no more ranks that go down: for the end of an instance',
    define: (command) =>
      command.action(() =>
        withHandle(async (handle) => {
          await handle.rpc('resource.acquire-mute', {}, { nodeid: 0 });
        }),
      ),
  },
};

/** The path as the broker is to open it, whose working folder is another. */
function absolutePath(file: string): string {
  try {
    return fs.realpathSync(file);
  } catch {
    return path.resolve(file);
  }
}
