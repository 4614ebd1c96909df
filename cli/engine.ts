/** `flux engine`: which threads an instance has, what lives on each, and how busy they and their rings are. */

import { FluxError } from '../core/errno.ts';
import { formatSize } from '../core/formats/size.ts';
import type { Handle } from '../core/handle/handle.ts';
import { type JsonObject, stringifyJson } from '../core/json.ts';
import { duration, runCommand, subcommand, withHandle } from './command.ts';
import { type Fields, OutputFormat } from './output-format.ts';
import { print } from './print.ts';

interface ThreadInfo {
  readonly index: number;
  readonly name: string;
  /** Part of the time since the last look that it was busy. */
  readonly load: number | object;
  readonly ranks: number;
  readonly services: readonly string[];
}

interface RingInfo {
  readonly from: number;
  readonly to: number;
  readonly capacity: number;
  readonly depth: number;
  readonly bytes: number;
  readonly messages: number;
  readonly full: number;
}

interface EngineInfo {
  readonly cores: number;
  readonly threads: readonly ThreadInfo[];
  readonly rings: readonly RingInfo[];
  readonly clients: number;
  readonly memory: { readonly rss: number; readonly heapUsed: number };
}

const percent = (part: number): string => `${Math.round(part * 100)}%`;

const threadFields: Fields<ThreadInfo> = {
  index: { heading: 'THREAD', value: ({ index }) => index },
  name: { heading: 'NAME', value: ({ name }) => name },
  load: { heading: 'LOAD', value: ({ load }) => percent(Number(load)) },
  ranks: { heading: 'RANKS', value: ({ ranks }) => ranks },
  services: { heading: 'SERVICES', value: ({ services }) => services.join(' ') },
};
const THREAD_FORMAT = '{index:>6}  +:{name:<}  {load:>4}  +:{ranks:>}  {services}';

const ringFields: Fields<RingInfo> = {
  from: { heading: 'FROM', value: ({ from }) => from },
  to: { heading: 'TO', value: ({ to }) => to },
  capacity: { heading: 'SIZE', value: ({ capacity }) => formatSize(capacity) },
  depth: { heading: 'DEPTH', value: ({ depth, capacity }) => percent(depth / capacity) },
  messages: { heading: 'MESSAGES', value: ({ messages }) => messages },
  bytes: { heading: 'BYTES', value: ({ bytes }) => formatBytes(bytes) },
  full: { heading: 'FULL', value: ({ full }) => full },
};
const RING_FORMAT = '+:{from:>}  +:{to:>}  +:{capacity:>}  +:{depth:>}  +:{messages:>}  +:{bytes:>}  +:{full:>}';

/** `flux engine [--json] [--watch=INTERVAL]` */
export function run(args: readonly string[]): Promise<number> {
  const command = subcommand('engine', 'Show the threads of an instance, what lives on each, and how busy they are.')
    .option('--json', 'Print it as JSON.')
    .option('-w, --watch <DURATION>', 'Show it again and again, with what was busy between two looks.', duration)
    .action((options: { json?: boolean; watch?: number }) =>
      withHandle(async (handle) => {
        for (;;) {
          const info = await fetchInfo(handle);
          print(options.json ? stringifyJson(info as unknown as JsonObject) : describe(info));
          if (options.watch === undefined) return;
          await new Promise((resolve) => setTimeout(resolve, options.watch! * 1000));
          if (!options.json) print('');
        }
      }),
    );
  return runCommand(command, args);
}

async function fetchInfo(handle: Handle): Promise<EngineInfo> {
  return handle.rpc<EngineInfo>('engine.info', undefined, { nodeid: 0 }).catch((error: FluxError) => {
    throw error.code === 'ENOSYS' ? new FluxError('ENOSYS', 'the broker of rank 0 has no threads to show') : error;
  });
}

function formatBytes(bytes: number): string {
  const unit = bytes >= 1024 ** 3 ? 1024 ** 3 : bytes >= 1024 ** 2 ? 1024 ** 2 : bytes >= 1024 ? 1024 : 1;
  return formatSize((Math.round((bytes / unit) * 10) / 10) * unit);
}

function describe({ cores, threads, rings, clients, memory }: EngineInfo): string {
  const { rss, heapUsed } = memory;
  return [
    `${cores} ${cores === 1 ? 'core' : 'cores'}, ${clients} ${clients === 1 ? 'client' : 'clients'}, ` +
      `memory ${formatBytes(rss)}, of which the main thread's heap ${formatBytes(heapUsed)}`,
    '',
    ...new OutputFormat(THREAD_FORMAT, threadFields).lines(threads),
    '',
    ...new OutputFormat(RING_FORMAT, ringFields).lines(rings),
  ]
    .map((line) => line.trimEnd())
    .join('\n');
}
