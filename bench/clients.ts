/**
 * The benchmarks that run in an instance: `clients.js NAME SCALE FLUX`, with the broker at FLUX_URI. Figures go to
 * stdout, one JSON text a line. Any Flux broker can be measured: `flux start node clients.js ping-latency full flux`.
 */

import { commandFigures } from './commands.ts';
import { connectRate } from './connect.ts';
import { contentRates } from './content.ts';
import { eventThroughput, eventToClients, eventToRanks } from './event.ts';
import type { Figure } from './figure.ts';
import { barrier, jobCommands, jobMemory, mockRates, ranksRate, realRates, submissions } from './jobs.ts';
import { commitRates, manyKeys } from './kvs.ts';
import { appendCounts, directorySizes, namespaceCounts, storedBytes, valueSizes, watcherCounts } from './kvs-growth.ts';
import { fence, procsBarrier } from './meeting.ts';
import { pingLatency, pingThroughput } from './ping.ts';
import { linkRates, procsTimes, rewireTimes } from './procs.ts';
import { type Scale, scaled } from './scale.ts';

type Benchmark = (uri: string, scale: Scale, flux: string) => Figure[] | Promise<Figure[]>;

const benchmarks: Readonly<Record<string, Benchmark>> = {
  'ping-latency': (uri, scale) => pingLatency(uri, scaled(scale, 4000, 1000, 50)),
  'ping-throughput': (uri, scale) => pingThroughput(uri, scaled(scale, 10_000, 4000, 200)),
  'event-throughput': (uri, scale) => eventThroughput(uri, scaled(scale, 40_000, 15_000, 500)),
  'event-ranks': (uri, scale) => eventToRanks(uri, scaled(scale, 100, 30, 3)),
  'event-clients': (uri, scale) => eventToClients(uri, scaled(scale, 200, 60, 3)),
  connect: (uri, scale) => connectRate(uri, scaled(scale, 1500, 500, 20)),
  commands: (_, scale, flux) => commandFigures(flux, scale),
  kvs: async (uri, scale) => [...(await commitRates(uri, scale)), ...(await manyKeys(uri, scale))],
  'kvs-growth': async (uri, scale) => {
    const tables = [directorySizes, valueSizes, namespaceCounts, watcherCounts, appendCounts];
    const figures: Figure[] = [];
    for (const table of tables) figures.push(...(await table(uri, scale)));
    return figures;
  },
  // In an instance of its own, so that no garbage of others leaves room in its file.
  'kvs-stored': storedBytes,
  'kvs-fence': (uri, scale) => fence(uri, scaled(scale, 100, 20, 2)),
  content: contentRates,
  jobs: async (uri, scale, flux) => [
    ...jobCommands(flux, scale),
    ...(await realRates(uri, scale)),
    ...(await submissions(uri, scale, flux)),
  ],
  'jobs-mock': mockRates,
  'jobs-memory': jobMemory,
  'jobs-ranks': ranksRate,
  'procs-link': linkRates,
  'procs-times': procsTimes,
  'procs-rewire': rewireTimes,
  'procs-barrier': (uri, scale) => procsBarrier(uri, scaled(scale, 50, 30, 2)),
  'job-barrier': (_, scale, flux) => barrier(flux, scale),
};

const [name = '', scale = 'full', flux = 'flux'] = process.argv.slice(2);
const uri = process.env.FLUX_URI;
const benchmark = Object.hasOwn(benchmarks, name) ? benchmarks[name] : undefined;
if (!benchmark || !uri) {
  console.error(`usage: FLUX_URI=local://… clients.js ${Object.keys(benchmarks).join('|')} [full|short|tiny] [FLUX]`);
  process.exit(2);
}
for (const each of await benchmark(uri, scale as Scale, flux)) console.log(JSON.stringify(each));
