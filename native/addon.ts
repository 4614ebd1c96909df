/**
 * Finds and loads the compiled addon, once per thread. Nothing else in the project sees its raw functions: they give
 * system errors back as negative numbers, which the files beside this one turn into FluxErrors.
 */

import { createRequire } from 'node:module';
import path from 'node:path';
import { getSystemErrorName } from 'node:util';
import { type ErrnoName, FluxError } from '../core/errno.ts';
import { findPrebuilt, machine } from './prebuilt.ts';

/** The raw functions; each is described beside its definition in native/src. */
export interface Addon {
  /** INTERFACE, where it was built from the sources beside this file. */
  readonly interface: number;
  peerCredentials(fd: number, out: Float64Array): number;
  findUser(uid: number): string[];
  rusage(subject: number, out: Float64Array): number;
  limits(index: number, out: Float64Array): number;
  trimMemory(): number;
  yieldProcessor(): void;
  writeSyslog(severity: number, line: string): void;
  /** Whether the functions from here to takeStopped work on this system; without pidfd they are missing. */
  readonly processes: boolean;
  startProcesses(
    onEvent: (id: number, event: number, stream: number, value: unknown) => void,
    usage: Float64Array,
  ): number;
  spawn(
    file: string,
    argv: string,
    argc: number,
    env: string,
    envCount: number,
    directory: string | undefined,
    settings: Int32Array,
    stdio: Int32Array,
    cpus: Int32Array,
    limits: Float64Array,
    result: Int32Array,
    soon: 0 | 1,
  ): number;
  write(id: number, stream: number, bytes: Uint8Array, offset: number): number;
  endStream(id: number, stream: number): void;
  closeStream(id: number, stream: number): number;
  setReading(id: number, stream: number, reading: number): number;
  resizeTerminal(id: number, stream: number, rows: number, columns: number): number;
  takeStopped(pairs: Int32Array): number;
  hwloc(xml: string | undefined, bound: boolean): RawTopology | null | undefined;
  pmiOpen(path: string, version: 1 | 2): RawPmi | string | number;
  pmiPut(key: string, value: string): number;
  pmiGet(key: string): string | number;
  pmiCommit(): number;
  pmiAbort(code: number, message: string): number;
  pmiBarrier(): Promise<number> | number;
  pmiFinalize(): number;
}

export interface RawTopology {
  readonly apiVersion: number;
  readonly packages: number;
  readonly cores: number;
  readonly pus: number;
  readonly numaNodes: number;
  readonly xml: string;
}

export interface RawPmi {
  readonly rank: number;
  readonly size: number;
  /** -1 when the library does not tell. */
  readonly appnum: number;
  readonly kvsname: string;
  readonly isFlux: boolean;
}

const binary = `${machine}.node`;
/** As in native/src/addon.c. */
const INTERFACE = 3;

type Loaded = { readonly addon: Addon } | { readonly addon: undefined; readonly problem: string };

let loaded: Loaded | undefined;

/** The addon, or undefined where it is not built or cannot be loaded: see `nativeStatus`. */
export function getAddon(): Addon | undefined {
  loaded ??= load();
  return loaded.addon;
}

/**
 * One sentence about what this installation lacks for want of the addon, or undefined when it lacks nothing. The caller
 * decides whether and where to show it, once.
 */
export function nativeStatus(): string | undefined {
  loaded ??= load();
  if (!loaded.addon) {
    return `The native addon is missing (${loaded.problem}): no peer credentials, hwloc, libpmi and per-thread resource usage, processes start more slowly, and they get no terminals, limits and processors of their own; \`node scripts/build-native.mjs\` builds it.`;
  }
  if (!loaded.addon.processes) {
    return 'This system has no pidfd_open (Linux 5.3), so processes start more slowly, stopped ones go unnoticed, and none gets a terminal, limits and processors of its own.';
  }
  return undefined;
}

/** A FluxError for a negated errno as system calls return it, whose numbers may differ from Linux's. */
export function systemError(negated: number, detail: string): FluxError {
  const name = getSystemErrorName(negated) as ErrnoName;
  return new FluxError(name, detail);
}

function load(): Loaded {
  const file = process.env.FLUX_NATIVE_PATH || findPrebuilt(binary);
  if (!file) return { addon: undefined, problem: `there is no native/prebuilt/${binary}` };
  try {
    const addon = createRequire(import.meta.url)(path.resolve(file)) as Addon;
    if (addon.interface === INTERFACE) return { addon };
    return { addon: undefined, problem: `${file} was built for another version of Flux` };
  } catch (error) {
    return { addon: undefined, problem: (error as Error).message.split('\n', 1)[0]! };
  }
}
