/**
 * The benchmarks: `main.js [--short|--tiny] [--only WORD] [--peer FLUX] [--json FILE]`.
 *
 * With a peer, another `flux` command, each benchmark that runs in an instance is run in one of its as well.
 */

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { startFigures, startSizes } from './commands.ts';
import { type Figure, formatTable } from './figure.ts';
import { jobRestarts } from './jobs.ts';
import { restartTimes } from './kvs-store.ts';
import { workerRates } from './kvs-workers.ts';
import { microFigures } from './micro.ts';
import { hydraStarts, procsShapes, procsStarts } from './procs.ts';
import { ringFigures } from './ring.ts';
import { type Scale, scaled } from './scale.ts';
import { schedFigures } from './sched.ts';

interface Benchmark {
  readonly name: string;
  /** Whether it can be done with a peer too. */
  readonly compares: boolean;
  run(flux: string, scale: Scale, isPeer: boolean): Promise<Figure[]> | Figure[];
}

const clients = fileURLToPath(new URL('./clients.js', import.meta.url));

/** A benchmark of `clients.ts`, in an instance of so many ranks in so many processes; peers have one for each rank anyway. */
function inInstance(
  name: string,
  size: (scale: Scale) => number,
  compares = true,
  procs = 1,
  options: readonly string[] = [],
  stderr: 'inherit' | 'ignore' = 'inherit',
): Benchmark {
  return {
    name,
    compares,
    async run(flux, scale, isPeer) {
      // Peers log by the megabyte when a program writes faster than they read.
      const argv = [
        'start',
        `--test-size=${size(scale)}`,
        ...(procs > 1 && !isPeer ? [`--procs=${procs}`] : []),
        '-Slog-stderr-level=2',
        ...options,
        process.execPath,
        clients,
        name,
        scale,
        flux,
      ];
      const child = spawn(flux, argv, { stdio: ['ignore', 'pipe', stderr] });
      const closed = once(child, 'close');
      let output = '';
      for await (const text of child.stdout.setEncoding('utf8')) output += text;
      const [code, signal] = await closed;
      if (code !== 0) throw new Error(`${flux} ${argv.join(' ')} ended with ${code ?? signal}`);
      return output
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line) as Figure);
    },
  };
}

/** A process takes minutes to come to rest. */
const jobMemory = inInstance('jobs-memory', () => 1);

/** In instances of several shapes, one after the other. */
async function procsTimes(flux: string, scale: Scale): Promise<Figure[]> {
  const figures: Figure[] = [];
  for (const { procs, size } of procsShapes(scale))
    figures.push(...(await inInstance('procs-times', () => size, false, procs).run(flux, scale, false)));
  return figures;
}

const rewiring = ['--test-exit-mode=leader', '-Stbon.topo=procs:2', '-Stbon.policy=rewire'];

const benchmarks: readonly Benchmark[] = [
  { name: 'micro', compares: false, run: (_, scale) => microFigures(scaled(scale, 500, 100, 1)) },
  {
    name: 'ring',
    compares: false,
    run: (_, scale) => ringFigures(scaled(scale, 4e6, 1e6, 2000), scaled(scale, 7, 3, 1)),
  },
  { name: 'sched', compares: false, run: (_, scale) => schedFigures(scale) },
  inInstance('ping-latency', () => 1),
  inInstance('ping-throughput', () => 1),
  inInstance('event-throughput', () => 1),
  // Peers have no JavaScript modules, and take minutes to start so many ranks.
  inInstance('event-ranks', (scale) => scaled(scale, 1024, 1024, 4), false),
  inInstance('event-clients', (scale) => scaled(scale, 1024, 1024, 4), false),
  inInstance('connect', () => 1),
  inInstance('kvs', () => 1),
  inInstance('kvs-growth', () => 1),
  inInstance('kvs-stored', () => 1),
  { name: 'kvs-restart', compares: true, run: restartTimes },
  { name: 'kvs-workers', compares: false, run: workerRates },
  // Peers have no fences any more.
  inInstance('kvs-fence', (scale) => scaled(scale, 1024, 1024, 4), false),
  inInstance('content', () => 1),
  inInstance('jobs', () => 1),
  // Two cores that each pretend to work for a millisecond would be the limit.
  inInstance('jobs-mock', (scale) => scaled(scale, 32, 32, 1)),
  { ...jobMemory, run: (flux, scale, isPeer) => (scale === 'short' ? [] : jobMemory.run(flux, scale, isPeer)) },
  { name: 'jobs-restart', compares: true, run: jobRestarts },
  ...[1, 64, 1024].map((size) => {
    const rate = inInstance('jobs-ranks', () => size, size <= 64);
    return {
      ...rate,
      run: (flux: string, scale: Scale, isPeer: boolean) =>
        startSizes(scale).includes(size) ? rate.run(flux, scale, isPeer) : [],
    };
  }),
  // Each rank has the cores of the machine.
  inInstance('job-barrier', (scale) => Math.ceil(scaled(scale, 256, 64, 2) / os.availableParallelism()), false),
  inInstance('commands', (scale) => scaled(scale, 64, 64, 2)),
  ...startSizes('full').map((size) => ({
    name: `start-${size}`,
    compares: size <= 64,
    run: (flux: string, scale: Scale) =>
      startSizes(scale).includes(size) ? startFigures(flux, size, size > 1024 ? 1 : scaled(scale, 7, 3, 1)) : [],
  })),
  inInstance('procs-link', () => 2, true, 2),
  { name: 'procs-times', compares: false, run: procsTimes },
  inInstance('procs-barrier', (scale) => scaled(scale, 1024, 1024, 6), false, 4),
  // It kills processes, of which each is told.
  inInstance('procs-rewire', (scale) => scaled(scale, 1024, 256, 16), false, 8, rewiring, 'ignore'),
  { name: 'procs-start', compares: false, run: procsStarts },
  { name: 'procs-hydra', compares: false, run: hydraStarts },
];

/** Says on a terminal what is under way. */
function progress(text: string): void {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${text}`);
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      short: { type: 'boolean' },
      tiny: { type: 'boolean' },
      only: { type: 'string', multiple: true },
      flux: { type: 'string', default: path.resolve('bin/flux') },
      peer: { type: 'string' },
      json: { type: 'string' },
    },
  });
  const scale: Scale = values.tiny ? 'tiny' : values.short ? 'short' : 'full';
  const wanted = benchmarks.filter(({ name }) => !values.only || values.only.some((word) => name.includes(word)));
  if (wanted.length === 0)
    throw new Error(`no benchmark is called so; there are ${benchmarks.map(({ name }) => name).join(', ')}`);
  const figures: Figure[] = [];
  const peers: Figure[] = [];
  for (const [index, benchmark] of wanted.entries()) {
    progress(`${index + 1}/${wanted.length} ${benchmark.name}`);
    figures.push(...(await benchmark.run(values.flux, scale, false)));
    if (values.peer === undefined || !benchmark.compares) continue;
    progress(`${index + 1}/${wanted.length} ${benchmark.name}, peer`);
    peers.push(...(await benchmark.run(values.peer, scale, true)));
  }
  progress('');
  console.log(formatTable(figures, new Map(peers.map((each) => [each.name, each]))));
  if (!values.json) return;
  const machine = { cores: os.availableParallelism(), cpu: os.cpus()[0]?.model, node: process.version };
  const report = { date: new Date().toISOString(), scale, machine, figures, ...(values.peer && { peers }) };
  fs.writeFileSync(values.json, `${JSON.stringify(report, null, 2)}\n`);
}

await main().catch((error: Error) => {
  console.error(`bench: ${error.message}`);
  process.exitCode = 1;
});
