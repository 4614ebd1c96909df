/** Programs that take the place of a command. */

import { spawn } from 'node:child_process';
import os from 'node:os';
import { asFluxError, strerror } from '../core/errno.ts';

/**
 * Runs a program in place of this process, as far as that can be: it has our stdio, and our exit code is its own.
 *
 * @param descriptors further files that it gets, open as they are here
 */
export function execute(file: string, args: readonly string[], descriptors: readonly number[] = []): Promise<number> {
  const count = Math.max(2, ...descriptors) + 1;
  const stdio = Array.from({ length: count }, (_, fd) =>
    fd <= 2 || descriptors.includes(fd) ? fd : ('ignore' as const),
  );
  return new Promise((resolve) => {
    // Before the program starts: it may be seen, and one of these be sent, before `spawn` has returned.
    // The terminal sends the first two to both; the program decides what they do.
    for (const signal of ['SIGINT', 'SIGQUIT'] as const) process.on(signal, () => {});
    for (const signal of ['SIGTERM', 'SIGHUP'] as const) process.on(signal, () => child.kill(signal));
    const child = spawn(file, args, { stdio });
    child.on('error', (error) => {
      console.error(`flux: execvp (${file}): ${strerror(asFluxError(error).errno)}`);
      resolve(1);
    });
    child.on('exit', (code, signal) => resolve(code ?? 128 + os.constants.signals[signal!]));
  });
}
