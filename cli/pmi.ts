/** `flux pmi`: a client of whatever process management interface this process was started with (RFC 13). */

import { about, FluxError } from '../core/errno.ts';
import { IdSet } from '../core/formats/idset.ts';
import { openPmiBy } from '../core/pmi/methods.ts';
import type { Pmi } from '../core/pmi/pmi.ts';
import { count, duration, Exit, increase, runCommand, runsAnother, subcommand } from './command.ts';
import { type NestedCommand, runNested } from './nested.ts';
import { print } from './print.ts';

interface Options {
  verbose: number;
  timeout?: number;
  method?: string;
  libpmiNoflux?: boolean;
}

interface BarrierOptions {
  testTiming?: boolean;
  testCount: number;
  testAbort?: number;
}

/** `flux pmi [OPTIONS] barrier|exchange|get …` */
export async function run(args: readonly string[]): Promise<number> {
  let exitCode = 0;
  const command = runsAnother(
    subcommand('pmi', 'Try the process management interface that this process was started with.')
      .argument('[command...]', 'barrier, exchange or get')
      .option('-v, --verbose', 'Write to stderr what is said.', increase, 0)
      .option('-t, --timeout <FSD>', 'Fail when it takes longer.', duration)
      .option('--method <METHOD>', 'simple, libpmi2[:PATH], libpmi[:PATH] or single; by default what works first.')
      .option('--libpmi-noflux', "Take no libpmi that is Flux's own."),
  ).action(async (words: string[], options: Options) => {
    exitCode = await runNested('pmi', 'A client of the process management interface.', commandsFor(options), words);
  });
  return (await runCommand(command, args)) || exitCode;
}

function commandsFor(options: Options): Readonly<Record<string, NestedCommand>> {
  const use = (work: (pmi: Pmi) => Promise<void>) => inTime(options.timeout, () => withPmi(options, work));
  return {
    barrier: {
      summary: 'Wait until all processes are here',
      define: (command) =>
        command
          .option('--test-timing', 'Tell how long it took, from when all were here.')
          .option('--test-count <N>', 'So many times.', count, 1)
          .option('--test-abort <RANK>', 'That process has all ended instead.', count)
          .action((barrier: BarrierOptions) => use((pmi) => passBarriers(pmi, barrier))),
    },
    exchange: {
      summary: 'Give a value to all processes, and get theirs',
      define: (command) =>
        command
          .option('--count <N>', 'So many times.', count, 1)
          .action(({ count: times }: { count: number }) => use((pmi) => exchange(pmi, times))),
    },
    get: {
      summary: 'Print the value of a key that is there from the start',
      define: (command) =>
        command
          .argument('<keys...>')
          .option('--ranks <IDSET|all>', 'Print it in these processes.', '0')
          .action((keys: string[], { ranks }: { ranks: string }) => {
            const wanted = ranks === 'all' ? undefined : IdSet.parse(ranks);
            return use((pmi) => getKeys(pmi, keys, wanted));
          }),
    },
  };
}

async function withPmi({ method, libpmiNoflux, verbose }: Options, work: (pmi: Pmi) => Promise<void>): Promise<void> {
  const trace = (text: string) => {
    if (verbose) console.error(text);
  };
  const pmi = await openPmiBy({ method, refusesFlux: libpmiNoflux, trace });
  try {
    await work(pmi);
    await pmi.finalize().catch((error: unknown) => {
      throw about('finalize', error);
    });
  } finally {
    pmi.close();
  }
}

/** What does not end in time ends this process. */
async function inTime(seconds: number | undefined, work: () => Promise<void>): Promise<void> {
  const expire = () => {
    console.error('flux-pmi: timeout expired before PMI operation completed');
    process.exit(1);
  };
  const timer = seconds === undefined ? undefined : setTimeout(expire, seconds * 1000);
  try {
    await work();
  } finally {
    clearTimeout(timer);
  }
}

/** What the lines of several programs begin with. */
const label = process.env.FLUX_JOB_CC ?? process.env.FLUX_JOB_ID ?? '0';

function barrier(pmi: Pmi): Promise<void> {
  return pmi.barrier().catch((error: unknown) => {
    throw about('barrier', error);
  });
}

async function passBarriers(pmi: Pmi, { testTiming, testCount, testAbort }: BarrierOptions): Promise<void> {
  if (testTiming) await barrier(pmi);
  if (testAbort === pmi.rank) {
    await pmi.abort(`flux-pmi: rank ${pmi.rank} is aborting`);
    throw new Exit(1);
  }
  for (let i = 0; i < testCount; i++) {
    const start = performance.now();
    await barrier(pmi);
    if (pmi.rank > 0) continue;
    const took = testTiming ? ` in ${secondsSince(start)}s.` : '';
    print(`${label}: completed pmi barrier on ${pmi.size} tasks${took}`);
  }
}

function secondsSince(start: number): string {
  return ((performance.now() - start) / 1000).toFixed(3);
}

async function exchange(pmi: Pmi, times: number): Promise<void> {
  const { rank: own, size, name } = pmi;
  const value = (rank: number) => `${name}-${rank}-${size}`;
  await barrier(pmi);
  for (let i = 0; i < times; i++) {
    const start = performance.now();
    await pmi.put(`key.${own}`, value(own));
    await barrier(pmi);
    for (let rank = 0; rank < size; rank++) {
      const got = await pmi.get(`key.${rank}`);
      if (got !== value(rank)) throw new FluxError('EPROTO', `get key.${rank}: it is '${got}'`);
    }
    await barrier(pmi);
    if (own === 0) print(`${label}: completed pmi exchange on ${size} tasks in ${secondsSince(start)}s.`);
  }
}

async function getKeys(pmi: Pmi, keys: readonly string[], ranks: IdSet | undefined): Promise<void> {
  if (ranks && !ranks.has(pmi.rank)) return;
  for (const key of keys)
    print(
      await pmi.get(key).catch((error: unknown) => {
        throw about(`get ${key}`, error);
      }),
    );
}
