/** The table [content-sqlite] of the configuration, and the module's arguments. */

import { FluxError } from '../../core/errno.ts';
import type { JsonObject } from '../../core/json.ts';
import { unpackTable } from '../../core/message/unpack.ts';

export interface StoreOptions {
  readonly journalMode: string;
  readonly synchronous: string;
  /** Checkpoints that are kept. */
  readonly maxCheckpoints: number;
  /** Begin with an empty store, whatever was there. */
  readonly truncate: boolean;
}

const journalModes = ['DELETE', 'TRUNCATE', 'PERSIST', 'MEMORY', 'WAL', 'OFF'];
const synchronousModes = ['EXTRA', 'FULL', 'NORMAL', 'OFF'];
const MAX_CHECKPOINTS = 5;

/**
 * Options by arguments, by configuration, and by default.
 *
 * @param isTemporary the store goes with the instance, so it need not survive a crash
 * @throws FluxError EINVAL: an unknown option, or a value that it cannot have
 */
export function storeOptions(args: readonly string[], config: JsonObject, isTemporary: boolean): StoreOptions {
  const table = unpackTable(config, 'content-sqlite', {
    journal_mode: 's?',
    synchronous: 's?',
    max_checkpoints: 'i?',
  });
  // Without a journal on disk transactions that fail can still be undone.
  let journalMode = table.journal_mode ?? (isTemporary ? 'MEMORY' : 'WAL');
  let synchronous = table.synchronous ?? (isTemporary ? 'OFF' : 'NORMAL');
  let maxCheckpoints = table.max_checkpoints ?? MAX_CHECKPOINTS;
  let truncate = false;
  for (const arg of args) {
    const [, name = arg, value = ''] = /^([^=]+)=(.*)$/.exec(arg) ?? [];
    if (name === 'journal_mode') journalMode = value;
    else if (name === 'synchronous') synchronous = value;
    else if (name === 'max-checkpoints') maxCheckpoints = /^\d+$/.test(value) ? Number(value) : 0;
    else if (arg === 'truncate') truncate = true;
    else throw new FluxError('EINVAL', `Unknown module option: '${arg}'`);
  }
  checkChoice('journal_mode', journalMode, journalModes);
  checkChoice('synchronous', synchronous, synchronousModes);
  if (maxCheckpoints < 1) throw new FluxError('EINVAL', 'max-checkpoints must be a positive number');
  return { journalMode, synchronous, maxCheckpoints, truncate };
}

function checkChoice(name: string, value: string, choices: readonly string[]): void {
  if (!choices.includes(value))
    throw new FluxError('EINVAL', `${name} is one of ${choices.join(', ')}, not '${value}'`);
}
