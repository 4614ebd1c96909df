/** What rc1 and rc3 do with the store beside loading and removing modules, as the broker does it by itself. */

import { spawnSync } from 'node:child_process';
import { dumpScript, restoreScript } from '../core/broker/dump-scripts.ts';
import { lifeEventCommit } from '../core/broker/life-event.ts';
import type { Handle } from '../core/handle/handle.ts';
import { Exit } from './command.ts';
import type { RunOptions } from './modprobe-tasks.ts';
import { optionalAttribute } from './optional-attribute.ts';
import { print } from './print.ts';

const attributeNames = ['content.dump', 'content.restore', 'statedir', 'statedir-cleanup'];

/** The shell command that restores content before the KVS is loaded, and the one that dumps it once that is removed. */
export async function storeScripts(
  handle: Handle,
): Promise<{ restore?: string | undefined; dump?: string | undefined }> {
  if ((await handle.attribute('rank')) !== '0') return {};
  const values = await Promise.all(attributeNames.map((name) => optionalAttribute(handle, name)));
  const attribute = (name: string) => values[attributeNames.indexOf(name)];
  return { restore: restoreScript(attribute), dump: dumpScript(attribute) };
}

/** Runs a shell command, if there is one to run. */
export function runStoreScript(script: string | undefined, { dryRun, verbose }: RunOptions): void {
  if (script === undefined) return;
  if (dryRun || verbose) print(`run ${script}`);
  if (dryRun) return;
  const { status } = spawnSync('sh', ['-c', script], { stdio: 'inherit' });
  if (status !== 0) throw new Exit(1);
}

/** Notes a start or an end for `flux startlog`, where what is stored stays. */
export async function noteLife(
  handle: Handle,
  name: 'start' | 'finish',
  loaded: readonly string[],
  { dryRun }: RunOptions,
): Promise<void> {
  const hasStore = loaded.includes('kvs') && loaded.some((each) => each.startsWith('content-'));
  if (dryRun || !hasStore || (await handle.attribute('rank')) !== '0') return;
  const version = await handle.attribute('version');
  await handle.rpc('kvs.commit', lifeEventCommit(name, Date.now() / 1000, version));
}
