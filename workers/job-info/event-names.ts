/** Looks for one event among many: only lines that may be it are read as JSON. */

import { decodeEventlogEntry, type EventlogEntry } from '../../core/formats/eventlog.ts';

/** The entry in a line if it is one of an event; a line that is no entry is none. */
export function entryNamed(line: string, name: string): EventlogEntry | undefined {
  if (!line.includes(`"${name}"`)) return undefined;
  try {
    const entry = decodeEventlogEntry(line);
    return entry.name === name ? entry : undefined;
  } catch {
    return undefined;
  }
}
