/** The library as programs import it: the bundle that belongs to the `flux` under test. */

import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { flux } from './instance.ts';

export type Library = typeof import('../../core/index.ts');
export type RunningInstance = Awaited<ReturnType<Library['start']>>;

/** Where programs and modules import it from. */
export const libraryUrl = pathToFileURL(path.join(path.dirname(flux), '../dist/index.js')).href;
export const library = (await import(libraryUrl)) as Library;

/** A connection to each rank of an instance. */
export async function openAll(instance: RunningInstance) {
  const leader = await instance.open();
  const others = Array.from({ length: instance.size - 1 }, async (_, i) =>
    library.Handle.open(await leader.attribute('local-uri', { nodeid: i + 1 })),
  );
  return [leader, ...(await Promise.all(others))];
}
