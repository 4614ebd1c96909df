/** What the tests of native/ share: both process implementations, and a way to run a process to its end. */

import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { type Addon, getAddon } from '../../../native/addon.ts';
import type { Process, ProcessEvents, ProcessSpec } from '../../../native/process.ts';
import { spawnFallback } from '../../../native/processes-fallback.ts';
import { spawnNative } from '../../../native/processes-native.ts';

/** The addon, compiled first when it is missing or older than its sources. */
export function requireAddon(): Addon {
  const build = spawnSync(process.execPath, ['scripts/build-native.mjs', '--strict'], { encoding: 'utf8' });
  const addon = getAddon();
  if (!addon) throw new Error(`the addon was not built: ${build.stderr}`);
  return addon;
}

export type Spawn = (spec: ProcessSpec, events: ProcessEvents) => Process;

export function implementations(): [name: string, spawn: Spawn][] {
  const addon = requireAddon();
  return [
    ['addon', (spec, events) => spawnNative(addon, spec, events)],
    ['fallback', spawnFallback],
  ];
}

/** The tests' environment as a child gets it. */
export const environment = Object.entries(process.env).map(([name, value]) => `${name}=${value}`);

/** A spec for a program with the three standard pipes. */
export function program(argv: string[], more: Partial<ProcessSpec> = {}): ProcessSpec {
  return { argv, env: environment, stdio: ['input', 'output', 'output'], ...more };
}

export interface Outcome {
  status: number;
  /** What came from each stream, by its index. */
  output: string[];
}

/** Runs a process until it has closed; `started` may use it meanwhile. Its standard input ends at once without that. */
export function run(spawn: Spawn, spec: ProcessSpec, started?: (child: Process) => void): Promise<Outcome> {
  return new Promise((resolve) => {
    const chunks: Buffer[][] = spec.stdio.map(() => []);
    let status = -1;
    const child = spawn(spec, {
      data: (stream, bytes) => bytes && chunks[stream]!.push(bytes),
      exit: (value) => {
        status = value;
      },
      close: () => resolve({ status, output: chunks.map((parts) => Buffer.concat(parts).toString()) }),
    });
    if (started) started(child);
    else if (spec.stdio[0] === 'input') child.end(0);
  });
}

export function sh(script: string): string[] {
  return ['sh', '-c', script];
}

/** A folder that is gone when the tests have ended. */
export function temporaryFolder(): string {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'flux-native-'));
  process.on('exit', () => fs.rmSync(folder, { recursive: true, force: true }));
  return folder;
}

export const openDescriptors = () => fs.readdirSync('/proc/self/fd').length;

/** Waits until a condition holds; fails after five seconds. */
export async function until(condition: () => boolean, what: string): Promise<void> {
  const deadline = Date.now() + 5000;
  while (!condition()) {
    if (Date.now() > deadline) throw new Error(`waited 5 s in vain until ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
