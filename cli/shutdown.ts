/** `flux shutdown`: ends an instance in order, and shows its log while that goes on. */

import readline from 'node:readline/promises';
import { Option } from 'commander';
import { about, FluxError } from '../core/errno.ts';
import type { Handle } from '../core/handle/handle.ts';
import type { JsonObject } from '../core/json.ts';
import { isObject } from '../core/message/unpack.ts';
import { count, runCommand, subcommand, withHandle } from './command.ts';
import { optionalAttribute } from './optional-attribute.ts';
import { resolveUri } from './uri-resolve.ts';

interface Options {
  background?: boolean;
  quiet?: boolean;
  verbose?: number;
  dump?: string;
  gc?: boolean;
  skipGc?: boolean;
  yes?: boolean;
  no?: boolean;
}

/** Severities of the log (RFC 5424) up to which lines are shown. */
const LogLevel = { warning: 4, info: 6, debug: 7 } as const;

/** `flux shutdown [OPTIONS] [TARGET]` */
export function run(args: readonly string[]): Promise<number> {
  const command = subcommand('shutdown', 'End a Flux instance in order.')
    .argument('[target]', 'which one, as `flux uri` takes it; by default the one around')
    .option('--background', 'Do not wait for its end.')
    .option('--quiet', 'Show only warnings and errors of its log.')
    .addOption(
      new Option('-v, --verbose [LEVEL]', 'Show all of its log (level 1), or not (level 0).')
        .preset('1')
        .argParser((text) => (/^v+$/.test(text) ? text.length + 1 : count(text))),
    )
    .option('--dump <PATH>', 'Dump the content of the KVS to an archive.')
    .option('--gc', 'Dump it so that garbage is gone after the next start; short for --dump=auto.')
    .option('--skip-gc', 'Do not dump it this time.')
    .option('-y, --yes', 'Answer questions by yes.')
    .option('-n, --no', 'Answer questions by no.')
    .action(async (target: string | undefined, options: Options) => {
      const uri = target === undefined ? undefined : await resolveTarget(target);
      await withHandle((handle) => shutdown(handle, options), uri);
    });
  return runCommand(command, args);
}

function resolveTarget(target: string): Promise<string> {
  return resolveUri(target).catch((error: unknown) => {
    throw about(`cannot find the instance ${target}`, error);
  });
}

async function shutdown(handle: Handle, options: Options): Promise<void> {
  await configureDump(handle, options);
  const loglevel = options.quiet ? LogLevel.warning : options.verbose ? LogLevel.debug : LogLevel.info;
  // Not sent to rank 0 by itself: other ranks refuse it.
  if (options.background) await handle.rpc('shutdown.start', { loglevel });
  else
    for await (const { log } of handle.stream<{ log: string }>('shutdown.start', { loglevel }))
      process.stderr.write(log);
}

// ---- the dump, which rc3 makes when the attribute content.dump says so

const DUMP = 'content.dump';

async function configureDump(handle: Handle, options: Options): Promise<void> {
  const { dump, gc, skipGc } = options;
  if (gc && (skipGc || dump !== undefined))
    throw new FluxError('EINVAL', '--gc goes neither with --skip-gc nor with --dump');
  const present = await optionalAttribute(handle, DUMP);
  if (skipGc) {
    if (present !== undefined) await handle.rpc('attr.rm', { name: DUMP });
    return;
  }
  const wanted = dump ?? (gc || (await isGarbageDue(handle, options)) ? 'auto' : present);
  if (wanted === undefined) return;
  if (wanted !== present) await handle.rpc('attr.set', { name: DUMP, value: wanted });
  const place = wanted === 'auto' ? await dumpFolder(handle) : wanted;
  console.error(`flux-shutdown: the content of the KVS will be dumped to ${place}, which may take some time`);
}

async function dumpFolder(handle: Handle): Promise<string> {
  const isTemporary = ((await optionalAttribute(handle, 'statedir-cleanup')) ?? '0') !== '0';
  return `${(isTemporary ? undefined : await optionalAttribute(handle, 'statedir')) ?? '.'}/dump/`;
}

/** Whether the KVS has seen more commits than kvs.gc-threshold of the configuration, and the user wants a dump then. */
async function isGarbageDue(handle: Handle, { yes, no }: Options): Promise<boolean> {
  const [config, version] = await Promise.all([handle.rpc<JsonObject>('config.get'), kvsVersion(handle)]);
  const threshold = isObject(config.kvs) ? Number(config.kvs['gc-threshold'] ?? 0) : 0;
  if (!(threshold > 0 && version > threshold)) return false;
  if (yes || no) return yes ?? false;
  if (!process.stdin.isTTY) throw new FluxError('EINVAL', 'garbage collection is due: decide by -y or -n');
  return confirm('Garbage collection of the KVS is due. Do it?');
}

async function kvsVersion(handle: Handle): Promise<number> {
  try {
    return (await handle.rpc<{ rootseq: number }>('kvs.getroot', { namespace: 'primary' })).rootseq;
  } catch (error) {
    if ((error as FluxError).code === 'ENOSYS') return 0;
    throw error;
  }
}

async function confirm(question: string): Promise<boolean> {
  const terminal = readline.createInterface({ input: process.stdin, output: process.stdout });
  try {
    for (;;) {
      const answer = (await terminal.question(`${question} [Y/n] `)).trim();
      if (/^(y.*)?$/i.test(answer)) return true;
      if (/^n/i.test(answer)) return false;
    }
  } finally {
    terminal.close();
  }
}
