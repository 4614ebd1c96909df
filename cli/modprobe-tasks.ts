/** Loads and removes modules, each as soon as those it comes after are done; and runs the scripts of rc1 and rc3. */

import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { builtInConfiguration } from '../core/broker/built-in-configuration.ts';
import type { ModuleOrder, Predecessors } from '../core/broker/module-order.ts';
import type { FluxError } from '../core/errno.ts';
import type { Handle } from '../core/handle/handle.ts';
import { Exit } from './command.ts';
import { print } from './print.ts';

export interface RunOptions {
  dryRun?: boolean;
  verbose?: boolean;
}

/** Loads modules, the backing store of content with more arguments; a failure is said on stderr, and what comes after it is left. */
export async function runLoad(
  handle: Handle,
  order: ModuleOrder,
  names: readonly string[],
  { dryRun, verbose }: RunOptions,
  backingArgs: readonly string[] = [],
): Promise<void> {
  await inOrder(order.loadOrder(names), async (name) => {
    const { module, args: usual, exec } = order.entry(name)!;
    const args = order.entry(name)!.provides.includes('content-backing') ? [...usual, ...backingArgs] : usual;
    if (dryRun) print(['load', name, ...args].join(' '));
    else await handle.rpc('module.load', { path: module, args, ...(module !== name && { name }), exec });
    if (verbose && !dryRun) console.error(`loaded ${name}`);
  });
}

/** Removes modules: `first` one after the other, then the others; a failure is said on stderr. */
export async function runRemove(
  handle: Handle,
  order: ModuleOrder,
  first: readonly string[],
  names: readonly string[],
  { dryRun, verbose }: RunOptions,
): Promise<void> {
  const remove = async (name: string): Promise<void> => {
    if (dryRun) print(`remove ${name}`);
    else await handle.rpc('module.remove', { name });
    if (verbose && !dryRun) console.error(`removed ${name}`);
  };
  for (const name of first) await inOrder(new Map([[name, []]]), remove);
  await inOrder(order.removeOrder(names), remove);
}

/** Does something for each name once it is done for all its predecessors; after a failure nothing more is begun. */
async function inOrder(predecessors: Predecessors, action: (name: string) => Promise<void>): Promise<void> {
  const done = new Map<string, Promise<void>>();
  let failed = false;
  const perform = (name: string): Promise<void> => {
    const known = done.get(name);
    if (known) return known;
    const promise = Promise.all(predecessors.get(name)!.map(perform)).then(async () => {
      if (failed) return;
      await action(name).catch((error: FluxError) => {
        console.error(`flux-modprobe: ${name}: ${error.message}`);
        failed = true;
      });
    });
    done.set(name, promise);
    return promise;
  };
  await Promise.all(Array.from(predecessors.keys(), perform));
  if (failed) throw new Exit(1);
}

/** Runs the programs in `rc1.d` or `rc3.d` of the configuration's folder and those of FLUX_RC_EXTRA, by name. */
export async function runScripts(level: 'rc1' | 'rc3', { dryRun, verbose }: RunOptions): Promise<void> {
  const folders = [builtInConfiguration.confdir!, ...(process.env.FLUX_RC_EXTRA ?? '').split(':')];
  let failed = false;
  for (const script of folders.filter((folder) => folder.trim() !== '').flatMap((folder) => scriptsIn(folder, level))) {
    if (dryRun || verbose) print(`run ${script}`);
    if (dryRun) continue;
    const { status, signal, error } = spawnSync(script, { stdio: 'inherit' });
    if (status === 0) continue;
    failed = true;
    console.error(`flux-modprobe: ${script}: ${error?.message ?? (signal ? `killed by ${signal}` : `exit ${status}`)}`);
  }
  if (failed) throw new Exit(1);
}

function scriptsIn(folder: string, level: string): string[] {
  const place = path.join(folder, `${level}.d`);
  if (!fs.existsSync(place)) return [];
  const files = fs.readdirSync(place).map((name) => path.join(place, name));
  return files.filter((file) => fs.statSync(file).isFile() && fs.statSync(file).mode & 0o111).sort();
}
