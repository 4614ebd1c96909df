/** `flux archive`: files in the KVS, from where all ranks can get them. */

import { createCommand } from './archive-create.ts';
import { extractCommand } from './archive-extract.ts';
import { listCommand } from './archive-list.ts';
import { removeCommand } from './archive-remove.ts';
import { runNested } from './nested.ts';

/** `flux archive COMMAND …` */
export function run(args: readonly string[]): Promise<number> {
  const commands = { create: createCommand, list: listCommand, extract: extractCommand, remove: removeCommand };
  return runNested('archive', 'Put files into the KVS, and get them out on any rank.', commands, args);
}
