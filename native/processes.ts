/**
 * Child processes: starting them, their pipes, their end.
 *
 * `spawnProcess` hides which of two implementations is at work: the addon's (clone without copying the address space,
 * one epoll for all pipes) or, where that is missing, Node's child_process (processes-fallback.ts).
 *
 *   spawnProcess ── data(stream, bytes | null)… ─┐
 *               └── exit(status) ────────────────┴── close()
 *
 * `spawnProcessSoon` does the same without keeping the calling thread waiting while the system makes the process, which takes
 * about a millisecond.
 *
 * No event comes before spawnProcess has returned, or what awaits spawnProcessSoon has gone on. Exit and the ends of the streams come in any order: a grandchild may
 * hold a pipe longer than the child lives, and output may still be in the pipe when the child is gone.
 */

import { getAddon } from './addon.ts';
import type { Process, ProcessEvents, ProcessSpec } from './process.ts';
import { spawnFallback } from './processes-fallback.ts';
import { spawnNative, spawnNativeSoon } from './processes-native.ts';

/**
 * Starts a program, with default signal dispositions and no signal blocked. The event loop stays alive until the process
 * has closed.
 *
 * Throws SpawnError, at once and with nothing left behind, when the program cannot be started: ENOENT, EACCES, a
 * `cwd` that is not there, EMFILE, EAGAIN …
 */
export function spawnProcess(spec: ProcessSpec, events: ProcessEvents): Process {
  const addon = getAddon();
  return addon?.processes ? spawnNative(addon, spec, events) : spawnFallback(spec, events);
}

/**
 * As `spawnProcess`, beside what the calling thread goes on with; rejects instead of throwing. A few programs at a time are
 * started, in the order of the calls. Descriptors of ours that the spec names stay open until it resolves.
 */
export async function spawnProcessSoon(spec: ProcessSpec, events: ProcessEvents): Promise<Process> {
  const addon = getAddon();
  return addon?.processes ? spawnNativeSoon(addon, spec, events) : spawnFallback(spec, events);
}

/**
 * Children that have stopped since the last call, as [pid, signal], of all threads; to be called on SIGCHLD. Takes stop
 * notices only, no exits. Always empty without the addon.
 */
export function takeStopped(): [pid: number, signal: number][] {
  const addon = getAddon();
  if (!addon?.processes) return [];
  const pairs = new Int32Array(2 * 64);
  const stopped: [number, number][] = [];
  for (;;) {
    const count = addon.takeStopped(pairs);
    for (let index = 0; index < count; index++) stopped.push([pairs[2 * index]!, pairs[2 * index + 1]!]);
    if (2 * count < pairs.length) return stopped;
  }
}
