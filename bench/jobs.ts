/** Jobs a second from submission to their end, real ones and such as are only pretended, as there are more of them. */

import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { ANY_USER } from '../cli/job-states.ts';
import { JobState } from '../core/formats/job-state.ts';
import { Handle } from '../core/handle/handle.ts';
import { type Figure, figure } from './figure.ts';
import { withInstance } from './instance.ts';
import { HELD, JournalCounter, jobspec, submitAll } from './job-client.ts';
import { growing } from './rate.ts';
import { type Scale, scaled } from './scale.ts';
import { WireClient } from './wire-client.ts';

const real = jobspec(['true']);
const mock = jobspec(['true'], { isMock: true });

/** Caches have let go of what is old by then, and garbage is collected. */
const REST_MS = 150_000;
/** Samples of a rate at the smaller sizes, where one alone says little. */
const JOBS_PER_SIZE = 1000;

interface Clients {
  readonly handle: Handle;
  readonly client: WireClient;
  readonly ended: JournalCounter;
}

async function withClients<T>(uri: string, use: (clients: Clients) => Promise<T>): Promise<T> {
  const handle = await Handle.open(uri);
  const client = await WireClient.connect(uri);
  const result = await use({ handle, client, ended: await JournalCounter.open(handle, 'clean') });
  client.close();
  await handle.close();
  return result;
}

/** Jobs a second, from the first submission until the last job is over. */
async function throughput({ client, ended }: Clients, spec: typeof real, count: number): Promise<number> {
  const start = performance.now();
  await Promise.all([submitAll(client, spec, count), ended.take(count)]);
  return (1000 * count) / (performance.now() - start);
}

/** Rates at growing numbers of jobs. */
function rates(uri: string, scale: Scale, name: string, spec: typeof real): Promise<Figure[]> {
  const sizes = scaled(scale, [10, 100, 1000, 10_000, 100_000], [100, 1000], [5]);
  return withClients(uri, async (clients) => {
    await throughput(clients, spec, scaled(scale, 300, 100, 2));
    return growing(sizes, async (size) => {
      const samples: number[] = [];
      const rounds = Math.max(1, Math.min(10, Math.floor(JOBS_PER_SIZE / size)));
      for (let round = 0; round < rounds; round++) samples.push(await throughput(clients, spec, size));
      return [figure(`jobs.${name}-${size}`, 'jobs/s', 'more', samples)];
    });
  });
}

export function realRates(uri: string, scale: Scale): Promise<Figure[]> {
  return rates(uri, scale, 'real', real);
}

export function mockRates(uri: string, scale: Scale): Promise<Figure[]> {
  return rates(uri, scale, 'mock', mock);
}

/** Jobs a second in an instance of so many ranks. */
export function ranksRate(uri: string, scale: Scale): Promise<Figure[]> {
  return withClients(uri, async (clients) => {
    const size = await clients.handle.attribute('size');
    const count = scaled(scale, 2000, 500, 5);
    const samples: number[] = [];
    for (let round = 0; round <= scaled(scale, 5, 3, 1); round++) samples.push(await throughput(clients, real, count));
    // The first one warms up.
    return [figure(`jobs.ranks-${size}`, 'jobs/s', 'more', samples.slice(1))];
  });
}

/** From `flux start` on a state directory with so many jobs of the past until all of them are listed. */
export async function jobRestarts(flux: string, scale: Scale): Promise<Figure[]> {
  const sizes = scaled(scale, [1000, 64_000], [2000], [5]);
  const figures: Figure[] = [];
  for (const size of sizes) {
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'flux-bench-'));
    const options = [`-Sstatedir=${folder}`];
    await withInstance(flux, options, (uri) => withClients(uri, (clients) => throughput(clients, mock, size)));
    const start = performance.now();
    const restart = await withInstance(flux, options, async (uri) => {
      const handle = await Handle.open(uri);
      const { inactive } = (await handle.rpc<{ jobs: { inactive: number } }>('job-list.stats-get')).jobs;
      if (inactive < size) throw new Error(`of ${size} jobs ${inactive} are there after the restart`);
      await handle.close();
      return (performance.now() - start) / 1000;
    });
    fs.rmSync(folder, { recursive: true });
    figures.push(figure(`jobs.restart-${size}`, 's', 'less', [restart]));
  }
  return figures;
}

/**
 * Memory that a process has for each job of the past: by how much it grows while their number doubles, each time when it has
 * come to rest.
 */
export function jobMemory(uri: string, scale: Scale): Promise<Figure[]> {
  const size = scaled(scale, 64_000, 64_000, 6);
  return withClients(uri, async (clients) => {
    const pid = Number(await clients.handle.attribute('broker.pid'));
    const after = async () => {
      await throughput(clients, mock, size / 2);
      await delay(scaled(scale, REST_MS, REST_MS, 0));
      return residentBytes(pid);
    };
    const half = await after();
    return [figure(`jobs.memory-${size}`, 'B/job', 'less', [((await after()) - half) / (size / 2)])];
  });
}

function residentBytes(pid: number): number {
  return 1024 * Number(/^VmRSS:\s*(\d+)/m.exec(fs.readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]);
}

/** Submissions a second, of jobs that are held; then the time that `flux jobs` takes to list them. */
export function submissions(uri: string, scale: Scale, flux: string): Promise<Figure[]> {
  const count = scaled(scale, 10_000, 10_000, 20);
  return withClients(uri, async ({ handle, client, ended }) => {
    await submitAll(client, real, scaled(scale, 1000, 300, 1), HELD);
    const rates: number[] = [];
    const rounds = 5;
    for (let round = 0; round < rounds; round++) {
      const start = performance.now();
      await submitAll(client, real, count / rounds, HELD);
      rates.push((1000 * (count / rounds)) / (performance.now() - start));
    }
    const list = [flux, 'jobs', '-n', '-c', String(count)];
    const times = Array.from({ length: scaled(scale, 7, 3, 1) }, () => seconds(list));
    const start = performance.now();
    const all = { dry_run: false, userid: ANY_USER, states: JobState.active, severity: 0, type: 'cancel' };
    const { count: canceled } = await handle.rpc<{ count: number }>('job-manager.raiseall', all);
    await ended.take(canceled);
    return [
      figure('jobs.submit', 'jobs/s', 'more', rates),
      figure(`jobs.list-${count}`, 's', 'less', times),
      figure(`jobs.cancel-${canceled}`, 's', 'less', [(performance.now() - start) / 1000]),
    ];
  });
}

function seconds(argv: readonly string[]): number {
  const start = performance.now();
  const { status, stderr } = spawnSync(argv[0]!, argv.slice(1), { stdio: ['ignore', 'ignore', 'pipe'] });
  if (status !== 0) throw new Error(`${argv.join(' ')} ended with ${status}: ${stderr}`);
  return (performance.now() - start) / 1000;
}

/** Whole commands that run a job. */
export function jobCommands(flux: string, scale: Scale): Figure[] {
  const times = (...argv: string[]) => Array.from({ length: scaled(scale, 20, 10, 1) }, () => seconds([flux, ...argv]));
  return [
    figure('jobs.run-true', 's', 'less', times('run', 'true')),
    figure('jobs.submit-true', 's', 'less', times('submit', 'true')),
  ];
}

/** A job with a task on each core of the instance, which all wait for each other. */
export function barrier(flux: string, scale: Scale): Figure[] {
  const { stdout } = spawnSync(flux, ['resource', 'list', '-n', '-s', 'all', '-o', '{ncores}'], { encoding: 'utf8' });
  const tasks = stdout.trim();
  const argv = [flux, 'run', '-n', tasks, flux, 'pmi', 'barrier'];
  return [
    figure(
      `jobs.barrier-${tasks}`,
      's',
      'less',
      Array.from({ length: scaled(scale, 3, 2, 1) }, () => seconds(argv)),
    ),
  ];
}
