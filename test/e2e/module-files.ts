/** Modules that tests write: JavaScript files in a folder of the test, loaded by messages. */

import fs from 'node:fs';
import path from 'node:path';
import type { Handle } from '../../core/handle/handle.ts';
import { libraryUrl } from './library.ts';
import { temporaryFolder } from './support.ts';

const folder = temporaryFolder();

/** Writes a module's file; its text may use some of what the library exports. */
export function writeModule(name: string, text: string): string {
  const file = path.join(folder, `${name}.mjs`);
  fs.writeFileSync(file, `import { FluxError, LATER, Role } from ${JSON.stringify(libraryUrl)};\n${text}\n`);
  return file;
}

export interface Loading {
  readonly args?: readonly string[];
  readonly name?: string;
  readonly exec?: boolean;
  /** The rank that loads it. */
  readonly nodeid?: number;
}

/** Loads a module from its file. */
export function load(handle: Handle, file: string, { nodeid, args = [], ...rest }: Loading = {}): Promise<unknown> {
  return handle.rpc('module.load', { path: file, args: [...args], ...rest }, { nodeid });
}

/** Removes a module; `cancel` ends it without asking it. */
export function remove(handle: Handle, name: string, options: { cancel?: boolean; nodeid?: number } = {}) {
  const { nodeid, cancel = false } = options;
  return handle.rpc('module.remove', { name, cancel }, { nodeid });
}

/** Names of the modules of a rank. */
export async function moduleNames(handle: Handle, nodeid?: number): Promise<string[]> {
  const { mods } = await handle.rpc<{ mods: { name: string }[] }>('module.list', {}, { nodeid });
  return mods.map(({ name }) => name);
}
