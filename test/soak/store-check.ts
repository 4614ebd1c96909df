/** Looks at the files that an instance has left, on a copy, so that the next one finds them as they are. */

import fs from 'node:fs';
import path from 'node:path';
import { DatabaseSync } from '@photostructure/sqlite';

/**
 * Checks the database of the content store, if there is one yet.
 *
 * @param folder for the copy
 * @throws Error when it is damaged
 */
export function checkStore(statedir: string, folder: string): void {
  const copy = path.join(folder, 'copy');
  fs.rmSync(copy, { recursive: true, force: true });
  fs.cpSync(statedir, copy, { recursive: true });
  const file = path.join(copy, 'content.sqlite');
  if (!fs.existsSync(file)) return;
  const database = new DatabaseSync(file);
  const rows = database.prepare('PRAGMA integrity_check').all() as { integrity_check: string }[];
  database.close();
  const faults = rows.map(({ integrity_check: text }) => text).filter((text) => text !== 'ok');
  if (faults.length) throw new Error(`the database is damaged: ${faults.join('; ')}`);
}
