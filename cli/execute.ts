/** Programs that take the place of a command. */

import { spawn } from 'node:child_process';
import os from 'node:os';
import { asFluxError, strerror } from '../core/errno.ts';

/** Runs a program in place of this process, as far as that can be: it has our stdio, and our exit code is its own. */
export function execute(file: string, args: readonly string[]): Promise<number> {
  return new Promise((resolve) => {
    const child = spawn(file, args, { stdio: 'inherit' });
    // The terminal sends these to both; the program decides what they do.
    for (const signal of ['SIGINT', 'SIGQUIT'] as const) process.on(signal, () => {});
    for (const signal of ['SIGTERM', 'SIGHUP'] as const) process.on(signal, () => child.kill(signal));
    child.on('error', (error) => {
      console.error(`flux: execvp (${file}): ${strerror(asFluxError(error).errno)}`);
      resolve(1);
    });
    child.on('exit', (code, signal) => resolve(code ?? 128 + os.constants.signals[signal!]));
  });
}
