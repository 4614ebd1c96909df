/** `flux fsck`: looks whether all that the KVS refers to is in the backing store, and takes out what is not. */

import process from 'node:process';
import { about, asFluxError, FluxError } from '../core/errno.ts';
import { blobrefToDigest, type HashName, isBlobref, makeBlobref } from '../core/formats/blobref.ts';
import { strftime } from '../core/formats/strftime.ts';
import { makeVal, makeValref, type Valref } from '../core/formats/treeobj.ts';
import { atMost } from '../core/handle/at-most.ts';
import { Content, type ContentCheckpoint } from '../core/handle/content.ts';
import type { Handle } from '../core/handle/handle.ts';
import { BlobWriter } from './blob-writer.ts';
import { Exit, runCommand, subcommand, withHandle } from './command.ts';
import { isKvsRunning } from './kvs-running.ts';
import { print } from './print.ts';
import { TreeEditor } from './tree-editor.ts';
import { type Outcome, type TreePath, type Visit, walkTree } from './tree-walk.ts';

/** Requests at a time: nobody else uses the backing store while it is repaired. */
const WINDOW = 1000;
/** Entries that may wait so that there is enough to ask for. */
const BREADTH = 100_000;

const LOST = 'lost+found';

interface FsckOptions {
  verbose?: boolean;
  quiet?: boolean;
  rootref?: string;
  repair?: boolean;
  jobAware?: boolean;
  checksum?: boolean;
}

/** `flux fsck [OPTIONS]` */
export function run(args: readonly string[]): Promise<number> {
  const command = subcommand('fsck', 'Look whether the content of the KVS is complete.')
    .option('-v, --verbose', 'List keys on stderr as they are looked at.')
    .option('-q, --quiet', 'Tell only what is wrong.')
    .option('-r, --rootref <BLOBREF>', 'Begin with this directory instead of the latest checkpoint.')
    .option('-R, --repair', `Move what can be saved to ${LOST}, and remove what is lost.`)
    .option('-j, --job-aware', `With --repair, move all of a job to ${LOST} when part of it is lost.`)
    .option('-c, --checksum', 'Read all values, and look whether they are what their references say.')
    .action((options: FsckOptions) => withHandle((handle) => fsck(handle, options)));
  return runCommand(command, args);
}

async function fsck(handle: Handle, options: FsckOptions): Promise<void> {
  const { rootref, repair } = options;
  if (repair && (await isKvsRunning(handle)))
    throw new FluxError('EBUSY', 'please unload kvs module before using flux-fsck --repair');
  if (rootref !== undefined && !isBlobref(rootref)) throw new FluxError('EINVAL', `'${rootref}' is no blobref`);
  const content = new Content(handle, { bypassCache: true });
  const checkpoint = await newestCheckpoint(content, rootref !== undefined);
  const heading = rootref === undefined ? `Checking integrity of checkpoint from ${timeOf(checkpoint!)}` : undefined;
  // Where stdout and stderr are one file, it stands behind what was found, as with flux-core.
  if (heading && process.stdout.isTTY) print(heading);
  const check = new Check(handle, content, options);
  await check.walk(rootref ?? checkpoint!.rootref);
  if (repair) await check.repair(rootref ?? checkpoint!.rootref, (checkpoint?.sequence ?? 0) + 1);
  if (heading && !process.stdout.isTTY) print(heading);
  if (check.errors) throw new Exit(1);
}

async function newestCheckpoint(content: Content, optional: boolean): Promise<ContentCheckpoint | undefined> {
  try {
    const [newest] = await content.checkpoints();
    if (newest || optional) return newest;
  } catch (error) {
    if (!optional) throw about('error fetching checkpoints', error);
    return undefined;
  }
  throw new FluxError('ENOENT', 'there is no checkpoint');
}

function timeOf({ timestamp }: ContentCheckpoint): string {
  return strftime('%Y-%m-%dT%T', new Date(timestamp * 1000));
}

/** What is wrong with each blob of a value, if anything is. */
type BlobErrors = readonly (FluxError | undefined)[];

/** Something to be done to the tree when all of it has been seen. */
interface Repair {
  readonly path: TreePath;
  /** What is left of a value; without it a directory is lost. */
  readonly rest?: Valref | ReturnType<typeof makeVal>;
}

class Check {
  readonly #handle: Handle;
  readonly #content: Content;
  readonly #options: FsckOptions;
  readonly #limited = atMost(WINDOW);
  readonly #repairs: Repair[] = [];
  /** flux-core has a request that looks without reading since 0.77. */
  #canValidate = true;
  errors = 0;

  constructor(handle: Handle, content: Content, options: FsckOptions) {
    this.#handle = handle;
    this.#content = content;
    this.#options = options;
  }

  /** Looks at all that is below a root, and tells what is wrong. */
  async walk(rootref: string): Promise<void> {
    await this.#content.load(rootref).then(
      () => this.#findValidate(rootref),
      (error: unknown) => {
        throw about('cannot load root tree object', error);
      },
    );
    const walk = walkTree<BlobErrors>(rootref, {
      load: (blobref) => this.#load(blobref),
      prefetch: ({ data }) => Promise.all(data.map((blobref) => this.#limited(() => this.#errorOf(blobref)))),
      window: WINDOW,
      breadth: BREADTH,
    });
    for await (const visit of walk) this.#take(visit);
    if (this.#options.verbose || this.errors) say(`Total errors: ${this.errors}`);
  }

  async #findValidate(blobref: string): Promise<void> {
    const { digest } = blobrefToDigest(blobref);
    const error = await failure(this.#handle.rpcBytes('content-backing.validate', digest, { nodeid: 0 }));
    this.#canValidate = error?.code !== 'ENOSYS';
  }

  async #load(blobref: string): Promise<Uint8Array> {
    const bytes = await this.#content.load(blobref);
    if (makeBlobref(blobrefToDigest(blobref).hash, bytes) !== blobref) throw corrupt();
    return bytes;
  }

  #errorOf(blobref: string): Promise<FluxError | undefined> {
    if (this.#options.checksum || !this.#canValidate) return failure(this.#load(blobref));
    const { digest } = blobrefToDigest(blobref);
    return failure(this.#handle.rpcBytes('content-backing.validate', digest, { nodeid: 0 }));
  }

  #take(visit: Visit<BlobErrors>): void {
    const { path } = visit;
    const key = path.join('.') || '.';
    if (visit.fault !== undefined) {
      this.errors++;
      if (!visit.error) say(`${key}: ${visit.fault}`);
      else this.#lostDirectory(path, key, visit.error);
      return;
    }
    const { object, prefetched } = visit;
    if (this.#options.verbose) this.#remark(key);
    if (object.type === 'valref') this.#takeValue(path, key, object, prefetched!);
  }

  #lostDirectory(path: TreePath, key: string, error: FluxError): void {
    say(`${key}: ${isMissing(error) ? 'missing dirref blobref' : `error retrieving dirref blobref: ${error.message}`}`);
    if (!this.#options.repair || !isLost(error) || !path.length) return;
    this.#repairs.push({ path });
    this.#remark(`${key} unlinked due to ${isMissing(error) ? 'missing' : 'corrupt'} blobref`);
  }

  #takeValue(path: TreePath, key: string, { data }: Valref, { value }: Outcome<BlobErrors>): void {
    const errors = value!.filter((error) => error !== undefined);
    if (!errors.length) return;
    this.errors++;
    if (this.#options.verbose)
      value!.forEach((error, index) => {
        if (error && isMissing(error)) say(`${key}: missing blobref index=${index}`);
        else if (error) say(`${key}: error retrieving blobref index=${index}: ${error.message}`);
      });
    else if (isMissing(errors.at(-1)!)) say(`${key}: missing blobref(s)`);
    else say(`${key}: error retrieving blobref(s): ${errors.at(-1)!.message}`);
    if (!this.#options.repair || !errors.every(isLost)) return;
    const left = data.filter((_, index) => !value![index]);
    this.#repairs.push({ path, rest: left.length ? makeValref(left) : makeVal(Buffer.alloc(0)) });
    this.#remark(`${key} repaired and moved to ${LOST}`);
  }

  /** Makes a checkpoint of the tree without what is lost. */
  async repair(rootref: string, sequence: number): Promise<void> {
    const values = this.#repairs.filter(({ rest }) => rest).length;
    const directories = this.#repairs.length - values;
    if (this.#repairs.length) {
      const hash = (await this.#handle.attribute('content.hash')) as HashName;
      const writer = new BlobWriter(this.#content, hash, WINDOW);
      const tree = await TreeEditor.open(rootref, (blobref) => this.#content.load(blobref), writer);
      // What is lost goes first: it may be in the way of what is saved.
      for (const { path } of this.#repairs) await tree.remove(path);
      for (const { path, rest } of this.#repairs) if (rest) await tree.set([LOST, ...path], rest, true);
      if (this.#options.jobAware) await this.#moveJobs(tree);
      const repaired = await tree.store();
      await this.#content.putCheckpoint({ rootref: repaired, sequence, timestamp: Date.now() / 1000 });
      this.#remark(`Updated primary checkpoint to include ${LOST}`);
    }
    if (values || this.#options.verbose) say(`Total repairs: ${values}`);
    if (directories || this.#options.verbose) say(`Total unlinked directories: ${directories}`);
  }

  async #moveJobs(tree: TreeEditor): Promise<void> {
    const jobs = new Map(this.#repairs.filter(({ path }) => isInJob(path)).map(({ path }) => [jobKey(path), path]));
    for (const [key, path] of jobs) {
      const directory = path.slice(0, JOB_DEPTH);
      await tree.move(directory, [LOST, ...directory]);
      if (this.#options.verbose) this.#remark(`${key} moved to ${LOST}`);
    }
  }

  #remark(sentence: string): void {
    if (!this.#options.quiet) say(sentence);
  }
}

/** A job's directory is `job.` and its id in four groups of hexadecimal digits (RFC 16). */
const JOB_DEPTH = 5;

function isInJob(path: TreePath): boolean {
  return path.length > JOB_DEPTH && /^job(\.[0-9a-f]{4}){4}$/i.test(jobKey(path));
}

function jobKey(path: TreePath): string {
  return path.slice(0, JOB_DEPTH).join('.');
}

function corrupt(): FluxError {
  return new FluxError('EBADMSG', 'the content is not what the blobref says');
}

function isMissing({ code }: FluxError): boolean {
  return code === 'ENOENT';
}

/** Whether a blob will not come back; other errors may be those of the store. */
function isLost(error: FluxError): boolean {
  return isMissing(error) || error.code === 'EBADMSG';
}

async function failure(promise: Promise<unknown>): Promise<FluxError | undefined> {
  return promise.then(() => undefined, asFluxError);
}

/** On a terminal everybody knows who is speaking. */
function say(sentence: string): void {
  console.error(process.stderr.isTTY ? sentence : `flux-fsck: ${sentence}`);
}
