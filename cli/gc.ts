/** `flux gc`: removes from the backing store what no root of the KVS refers to, while the instance runs. */

import { Option } from 'commander';
import { about, asFluxError, FluxError } from '../core/errno.ts';
import { Content } from '../core/handle/content.ts';
import type { Handle } from '../core/handle/handle.ts';
import { listNamespaces, PRIMARY_NAMESPACE } from '../core/handle/kvs.ts';
import { count, increase, runCommand, subcommand, withHandle } from './command.ts';
import { requestCount } from './content-options.ts';
import { walkTree } from './tree-walk.ts';

/** Blobs that one request marks, and such requests at a time. */
const MARK_BATCH = 100;
const MARKS_AT_A_TIME = 8;
/** Blobs that one request removes at most, and looks at. */
const SWEEP_CAP = 1000;
const SWEEP_WINDOW = 100_000;

interface GcOptions {
  verbose: number;
  /** `--no-cache` makes it false. */
  cache: boolean;
  maxreqs: number;
  testMarkOnly?: boolean;
  testDelayAfterList: number;
}

/** `flux gc [OPTIONS]` */
export function run(args: readonly string[]): Promise<number> {
  const command = subcommand('gc', 'Remove what the KVS no longer refers to from the backing store.')
    .option('-v, --verbose', 'Tell what is done; twice for every step.', increase, 0)
    .option('--no-cache', 'Read from the backing store, not through the content cache.')
    .option('--maxreqs <N>', 'Ask for so many directories at a time.', requestCount, 16)
    .addOption(new Option('--test-mark-only').hideHelp())
    .addOption(new Option('--test-delay-after-list <SECONDS>').argParser(count).default(0).hideHelp())
    .action((options: GcOptions) => withHandle((handle) => collect(handle, options)));
  return runCommand(command, args);
}

/** Where a run draws the line: what is stored or marked from this epoch on stays. */
interface Horizon {
  readonly epoch: number;
  /** The store's last row at the start; what comes later is no concern of this run. */
  readonly highWater: number;
}

async function collect(handle: Handle, options: GcOptions): Promise<void> {
  const say = (sentence: string, level = 1) => {
    if (options.verbose >= level) tell(sentence);
  };
  const horizon = await fetchHorizon(handle);
  say(`froze epoch at ${horizon.epoch}, high-water rowid ${horizon.highWater}`);
  const roots = await findRoots(handle, options, say);
  say(`enumerated ${roots.length} total roots`);
  const marker = new Marker(handle, horizon, options, say);
  for (const root of roots) await marker.markRoot(root);
  const marked = await marker.finish();
  say('mark phase complete');
  if (options.testMarkOnly) return tell('stopping after mark phase (test)');
  say('starting sweep phase');
  const deleted = await sweep(handle, horizon, say);
  say(`sweep complete: deleted ${deleted} blobs`);
  tell(`gc complete: marked ${marked}, reclaimed ${deleted} blobs (horizon epoch ${horizon.epoch})`);
}

function tell(sentence: string): void {
  console.error(`flux-gc: ${sentence}`);
}

type Say = (sentence: string, level?: number) => void;

async function fetchHorizon(handle: Handle): Promise<Horizon> {
  const request = handle.rpc<{ current_epoch: number; high_water: number }>(
    'content-backing.gc-info',
    { epoch: 0 },
    { nodeid: 0 },
  );
  const info = await request.catch((error: unknown) => {
    throw about('failed to fetch gc-info', error);
  });
  return { epoch: info.current_epoch, highWater: info.high_water };
}

// ---- roots

/**
 * All roots that something may still be read from.
 *
 * The primary namespace comes last: when a job ends, its namespace is first linked into the primary one and then removed,
 * so that a namespace that is not found any more has been linked before the primary root is read.
 */
async function findRoots(handle: Handle, options: GcOptions, say: Say): Promise<string[]> {
  const roots: string[] = [];
  const checkpoints = await new Content(handle, { bypassCache: true }).checkpoints().catch((error: unknown) => {
    return orNone(error, ['ENOENT'], 'checkpoint-get', []);
  });
  roots.push(...checkpoints.map(({ rootref }) => rootref));
  say(`enumerated ${checkpoints.length} checkpoint roots`);
  const all = await listNamespaces(handle).catch((error: unknown) => {
    return orNone(error, ['ENOSYS', 'ENOENT'], 'kvs.namespace-list', undefined);
  });
  if (!all) say('kvs not loaded; skipping live private namespace roots');
  if (options.testDelayAfterList)
    await new Promise((resolve) => setTimeout(resolve, options.testDelayAfterList * 1000));
  const names = all?.map(({ namespace }) => namespace).filter((name) => name !== PRIMARY_NAMESPACE) ?? [];
  const live = await Promise.all(names.map((name) => liveRoot(handle, name, ['ENOENT', 'EOPNOTSUPP'])));
  const found = live.filter((root) => root !== undefined);
  roots.push(...found);
  if (all) say(`enumerated ${found.length} private namespace roots`);
  const primary = await liveRoot(handle, PRIMARY_NAMESPACE, ['ENOSYS', 'ENOENT']);
  if (primary) roots.push(primary);
  say(primary ? 'enumerated live primary root' : 'kvs not loaded; skipping live primary root');
  return roots;
}

async function liveRoot(handle: Handle, namespace: string, absent: readonly string[]): Promise<string | undefined> {
  try {
    return (await handle.rpc<{ rootref: string }>('kvs.getroot', { namespace }, { nodeid: 0 })).rootref;
  } catch (error) {
    return orNone(error, absent, `kvs.getroot ${namespace}`, undefined);
  }
}

/** What stands for the answer when an error only says that there is nothing. */
function orNone<T>(error: unknown, absent: readonly string[], what: string, none: T): T {
  if (absent.includes(asFluxError(error).code)) return none;
  throw about(what, error);
}

// ---- mark

/** Marks all that is reachable, in batches; nothing is swept when that fails anywhere. */
class Marker {
  readonly #handle: Handle;
  readonly #horizon: Horizon;
  readonly #say: Say;
  readonly #load: (blobref: string) => Promise<Uint8Array>;
  readonly #window: number;
  readonly #sent = new Set<Promise<void>>();
  /** Directories that this run has walked: roots have most of them in common. The store's epochs do not tell that. */
  readonly #walked = new Set<string>();
  #batch: string[] = [];
  #marked = 0;
  #failure: FluxError | undefined;

  constructor(handle: Handle, horizon: Horizon, options: GcOptions, say: Say) {
    const content = new Content(handle, { bypassCache: !options.cache });
    this.#handle = handle;
    this.#horizon = horizon;
    this.#say = say;
    this.#load = (blobref) => content.load(blobref);
    this.#window = options.maxreqs;
  }

  async markRoot(rootref: string): Promise<void> {
    this.#say(`marking from root ${rootref}`);
    const descend = (blobref: string) => {
      if (this.#walked.has(blobref)) return false;
      this.#walked.add(blobref);
      this.#batch.push(blobref);
      return true;
    };
    for await (const visit of walkTree(rootref, { load: this.#load, window: this.#window, descend })) {
      if (visit.fault !== undefined) throw treeError(visit.path.join('.') || rootref, visit.fault, visit.error);
      if (visit.object.type === 'valref') this.#batch.push(...visit.object.data);
      while (this.#batch.length >= MARK_BATCH) await this.#send(this.#batch.splice(0, MARK_BATCH));
    }
  }

  /** Resolves to the number of blobs that have been marked, when all have been. */
  async finish(): Promise<number> {
    while (this.#batch.length) await this.#send(this.#batch.splice(0, MARK_BATCH));
    await Promise.all(this.#sent);
    if (this.#failure) throw this.#failure;
    return this.#marked;
  }

  /** Waits while enough requests are on their way. */
  async #send(hashes: readonly string[]): Promise<void> {
    while (this.#sent.size >= MARKS_AT_A_TIME) await Promise.race(this.#sent);
    if (this.#failure) throw this.#failure;
    const request = this.#mark(hashes).finally(() => this.#sent.delete(request));
    this.#sent.add(request);
  }

  async #mark(hashes: readonly string[]): Promise<void> {
    try {
      const { epoch } = this.#horizon;
      const payload = { epoch, hashes };
      const { marked } = await this.#handle.rpc<{ marked: number }>('content-backing.mark', payload, { nodeid: 0 });
      this.#marked += marked;
      this.#say(`marked ${marked} blobs`, 2);
    } catch (error) {
      this.#failure ??= about('mark failed', error);
    }
  }
}

function treeError(where: string, fault: string, error: FluxError | undefined): FluxError {
  return new FluxError(error?.errno ?? 'EINVAL', `${where}: ${fault}${error ? `: ${error.message}` : ''}`);
}

// ---- sweep

async function sweep(handle: Handle, { epoch, highWater }: Horizon, say: Say): Promise<number> {
  let deleted = 0;
  for (let cursor = 0; cursor < highWater; ) {
    const payload = { epoch, cursor, high_water: highWater, delete_cap: SWEEP_CAP, window: SWEEP_WINDOW };
    const request = handle.rpc<{ deleted: number; cursor: number }>('content-backing.sweep', payload, { nodeid: 0 });
    const answer = await request.catch((error: unknown) => {
      throw about('sweep failed', error);
    });
    if (answer.cursor <= cursor) throw new FluxError('EPROTO', `the sweep stays at row ${cursor}`);
    ({ cursor } = answer);
    deleted += answer.deleted;
    say(`swept ${answer.deleted} blobs, cursor ${cursor}/${highWater}`, 2);
  }
  return deleted;
}
