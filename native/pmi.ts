/** A PMI client (RFC 13) by the libpmi or libpmi2 of the resource manager that launched this process. */

import { type ErrnoName, FluxError } from '../core/errno.ts';
import { type Addon, getAddon, type RawPmi } from './addon.ts';

/** Names under which resource managers install it, in the order in which they are tried. */
const libraries = { 1: ['libpmi.so.0', 'libpmi.so'], 2: ['libpmi2.so.0', 'libpmi2.so'] } as const;

/** Result codes of RFC 13, and below -1 the addon's own. */
const failures = new Map<number, readonly [ErrnoName, string]>([
  [-1, ['EIO', 'the operation failed']],
  [1, ['EPROTO', 'PMI is not initialized']],
  [2, ['ENOMEM', 'out of memory']],
  [3, ['EINVAL', 'invalid argument']],
  [4, ['EINVAL', 'invalid key']],
  [5, ['EINVAL', 'the key is too long']],
  [6, ['EINVAL', 'invalid value']],
  [7, ['EINVAL', 'the value is too long']],
  [8, ['EINVAL', 'invalid length']],
  [9, ['EINVAL', 'invalid number of arguments']],
  [10, ['EINVAL', 'invalid arguments']],
  [11, ['EINVAL', 'invalid number of parsed arguments']],
  [12, ['EINVAL', 'invalid key-value pointer']],
  [13, ['EINVAL', 'invalid size']],
  [-100, ['EBUSY', 'the library is in use: by another thread or by a barrier that has not completed']],
  [-101, ['EBADF', 'the client was finalized']],
]);

function failure(code: number): readonly [ErrnoName, string] {
  return failures.get(code) ?? ['EIO', `error ${code}`];
}

function pmiError(code: number, operation: string): FluxError {
  const [name, text] = failure(code);
  return new FluxError(name, `${operation}: ${text}`);
}

/**
 * An initialized client. Every call but `barrier` blocks the thread for as long as the library takes. Each throws
 * FluxError: EIO and what the library says, EBUSY while a barrier is pending, EBADF after `finalize`.
 */
export class PmiClient {
  readonly rank: number;
  readonly size: number;
  /** Which of several programs launched together; undefined when the library does not tell. */
  readonly appnum: number | undefined;
  readonly kvsname: string;
  /** The library as it was opened. */
  readonly library: string;
  /** Whether it is Flux's own, as in a job of an enclosing Flux instance. */
  readonly isFlux: boolean;
  readonly #addon: Addon;

  constructor(addon: Addon, library: string, raw: RawPmi) {
    this.#addon = addon;
    this.library = library;
    this.rank = raw.rank;
    this.size = raw.size;
    this.appnum = raw.appnum < 0 ? undefined : raw.appnum;
    this.kvsname = raw.kvsname;
    this.isFlux = raw.isFlux;
  }

  /** Others see the value after `commit` here and a `barrier` of all. */
  put(key: string, value: string): void {
    this.#check(this.#addon.pmiPut(key, value), `PMI_KVS_Put of '${key}'`);
  }

  get(key: string): string {
    const value = this.#addon.pmiGet(key);
    if (typeof value === 'number') throw pmiError(value, `PMI_KVS_Get of '${key}'`);
    return value;
  }

  commit(): void {
    this.#check(this.#addon.pmiCommit(), 'PMI_KVS_Commit');
  }

  /** Resolves when all processes have entered the barrier. A process may exit while it waits. */
  async barrier(): Promise<void> {
    this.#check(await this.#addon.pmiBarrier(), 'PMI_Barrier');
  }

  /** Has the resource manager end all processes; most libraries end this one here and do not return. */
  abort(code: number, message: string): void {
    this.#check(this.#addon.pmiAbort(code, message), 'PMI_Abort');
  }

  finalize(): void {
    this.#check(this.#addon.pmiFinalize(), 'PMI_Finalize');
  }

  #check(code: number, operation: string): void {
    if (code !== 0) throw pmiError(code, operation);
  }
}

/**
 * Opens libpmi, or for version 2 libpmi2 (`path`, or the standard names), and initializes it. A process has one client at a time.
 *
 * Throws FluxError: ENOSYS without the addon, ENOENT when no library could be opened, EBUSY when this process has a
 * client already, EIO and others when the library fails, as it does when no resource manager launched this process.
 */
export function openPmi(path?: string, version: 1 | 2 = 1): PmiClient {
  const addon = getAddon();
  if (!addon) throw new FluxError('ENOSYS', 'libpmi needs the native addon');
  const reasons: string[] = [];
  for (const library of path === undefined ? libraries[version] : [path]) {
    const opened = addon.pmiOpen(library, version);
    if (typeof opened === 'object') return new PmiClient(addon, library, opened);
    if (typeof opened === 'number') throw pmiError(opened, `${version === 2 ? 'PMI2_Init' : 'PMI_Init'} of ${library}`);
    reasons.push(opened);
  }
  throw new FluxError('ENOENT', `cannot open ${version === 2 ? 'libpmi2' : 'libpmi'}: ${reasons.join('; ')}`);
}
