/**
 * An instance that is killed again and again while jobs wait, run and end, and started again on its state. No job whose
 * submission was answered may be lost, and none may be run twice; what ran when it was killed has failed and says so, what
 * waited is run, and nothing that tasks have started goes on.
 */

import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { JobState } from '../../core/formats/job-state.ts';
import type { Handle } from '../../core/handle/handle.ts';
import { until } from '../e2e/support.ts';
import { SeededRandom } from '../sim/random.ts';
import { KillableInstance } from './instance.ts';
import { type FoundJob, listJobs, SoakJobs, tasksLeft } from './jobs.ts';

export interface JobSoakOptions {
  /** The command. */
  readonly flux: string;
  readonly kills: number;
  /** Decides all but how fast the machine is. */
  readonly seed: number;
  /** Told of each life of the instance. */
  readonly report?: (line: string) => void;
}

export interface JobSoakTotals {
  readonly kills: number;
  /** Jobs whose submission was answered, and those of them that were running when the instance was killed. */
  readonly jobs: number;
  readonly died: number;
}

/** The most milliseconds from the first submission to the kill, and the most jobs submitted in them. */
const LIFE_MS_MAX = 1500;
const LIFE_JOBS_MAX = 80;
/** How long the last instance may take for all that waits. */
const PATIENCE_MS = 60_000;

/**
 * Kills an instance so often.
 *
 * @throws Error with the seed and what was found, when that may not be
 */
export async function soakJobKills({ flux, kills, seed, report }: JobSoakOptions): Promise<JobSoakTotals> {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'flux-job-soak-'));
  const statedir = path.join(folder, 'state');
  fs.mkdirSync(statedir);
  const random = new SeededRandom(seed);
  const jobs = new SoakJobs(path.join(folder, 'runs'));
  const start = () => new KillableInstance({ flux, statedir, folder, checkpointSeconds: undefined });
  let life = 0;
  try {
    while (life++ < kills) {
      const instance = start();
      try {
        const found = await live(instance, jobs, random);
        report?.(`life ${life}: ${found}`);
      } finally {
        await instance.kill();
      }
      const { rundir } = instance;
      await until(() => tasksLeft(rundir).length === 0, 'what tasks have started is killed');
    }
    return { kills, jobs: jobs.count, died: await finish(start(), jobs) };
  } catch (error) {
    throw new Error(`seed ${seed}, life ${life}: ${(error as Error).message}`, { cause: error });
  } finally {
    fs.rmSync(folder, { recursive: true, force: true });
  }
}

/** A life that ends by a kill. */
async function live(instance: KillableInstance, jobs: SoakJobs, random: SeededRandom): Promise<string> {
  await instance.ready();
  const handle = await instance.connect();
  const { died } = jobs.settle(await listJobs(handle));
  let isKilled = false;
  const before = jobs.count;
  const submitting = jobs
    .submit(handle, random, () => !isKilled && jobs.count < before + LIFE_JOBS_MAX)
    .catch((error) => {
      if (!isKilled) throw error;
    });
  const aWhile = new Promise((resolve) => setTimeout(resolve, random.number() * LIFE_MS_MAX));
  await Promise.race([aWhile, submitting.then(() => aWhile)]);
  isKilled = true;
  await instance.kill();
  await submitting;
  await handle.close().catch(() => {});
  return `${jobs.count} jobs, ${jobs.endedCount} ended, ${died} were running when it was killed`;
}

/** A life in which all that waits is run; how many jobs were running when it was killed. */
async function finish(instance: KillableInstance, jobs: SoakJobs): Promise<number> {
  try {
    await instance.ready();
    const handle = await instance.connect();
    await cancelHeld(handle);
    const isIdle = async () => (await listJobs(handle)).every(({ state }) => state === JobState.inactive);
    await until(isIdle, 'all jobs are over', PATIENCE_MS);
    const { died } = jobs.settle(await listJobs(handle));
    await handle.close();
    instance.end();
    await instance.ended();
    return died;
  } finally {
    await instance.kill();
  }
}

/** Those whose submission was not answered any more are there, too. */
async function cancelHeld(handle: Handle): Promise<void> {
  const held = (await listJobs(handle)).filter(({ isHeld }) => isHeld);
  const cancel = ({ id }: FoundJob) => handle.rpc('job-manager.raise', { id, type: 'cancel', severity: 0 });
  // Some are over.
  await Promise.allSettled(held.map(cancel));
}
