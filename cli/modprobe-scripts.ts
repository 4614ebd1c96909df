/** What rc1 and rc3 do beside loading and removing modules, as the broker does it by itself. */

import { spawnSync } from 'node:child_process';
import { crontabScript } from '../core/broker/crontab-script.ts';
import { dumpScript, restoreScript } from '../core/broker/dump-scripts.ts';
import { DISABLE_JOB_CLEANUP, jobCleanupSteps } from '../core/broker/job-cleanup.ts';
import { lifeEventCommit } from '../core/broker/life-event.ts';
import type { Handle } from '../core/handle/handle.ts';
import { Exit } from './command.ts';
import type { RunOptions } from './modprobe-tasks.ts';
import { optionalAttribute } from './optional-attribute.ts';
import { print } from './print.ts';

const attributeNames = ['cron.directory', 'content.dump', 'content.restore', 'statedir', 'statedir-cleanup'];

interface Scripts {
  /** Restores content before the KVS is loaded. */
  readonly restore?: string | undefined;
  /** Dumps content once the KVS is removed. */
  readonly dump?: string | undefined;
  /** Takes in crontabs once cron is loaded. */
  readonly crontabs?: string | undefined;
}

/** The shell commands of rank 0. */
export async function readScripts(handle: Handle): Promise<Scripts> {
  if ((await handle.attribute('rank')) !== '0') return {};
  const values = await Promise.all(attributeNames.map((name) => optionalAttribute(handle, name)));
  const attribute = (name: string) => values[attributeNames.indexOf(name)];
  return { restore: restoreScript(attribute), dump: dumpScript(attribute), crontabs: crontabScript(attribute) };
}

/** Runs a shell command, if there is one to run. */
export function runShell(script: string | undefined, { dryRun, verbose }: RunOptions): void {
  if (script === undefined) return;
  if (dryRun || verbose) print(`run ${script}`);
  if (dryRun) return;
  const { status } = spawnSync('sh', ['-c', script], { stdio: 'inherit' });
  if (status !== 0) throw new Exit(1);
}

/** Has the broker cancel jobs and wait for them when its initial program has ended. */
export async function pushJobCleanup(handle: Handle, { dryRun }: RunOptions): Promise<void> {
  if (process.env[DISABLE_JOB_CLEANUP] !== undefined || (await handle.attribute('rank')) !== '0') return;
  // What is pushed last runs first.
  const commands = jobCleanupSteps.map(({ command }) => command).reverse();
  if (!dryRun) await handle.rpc('runat.push', { name: 'cleanup', commands });
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
