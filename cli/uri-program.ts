/** Programs of other systems that are asked where an instance is. */

import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { asFluxError, FluxError } from '../core/errno.ts';

interface Failure {
  /** The exit code; an errno's name when the program could not be started. */
  readonly code?: number | string | null;
  readonly signal?: string | null;
  readonly stderr?: string;
}

/**
 * What a program writes to its standard output.
 *
 * @throws FluxError EIO: the program failed, with what it said; ENOENT: there is no such program
 */
export async function readProgram(
  file: string,
  args: readonly string[],
  env: Readonly<Record<string, string | undefined>> = process.env,
): Promise<string> {
  try {
    const running = promisify(execFile)(file, args, { env });
    running.child.stdin?.on('error', () => {}).end();
    return (await running).stdout;
  } catch (error) {
    const { code, signal, stderr = '' } = error as Failure;
    if (typeof code === 'string') throw asFluxError(error);
    const end = signal ? `it was ended by ${signal}` : `it exited with ${code}`;
    throw new FluxError('EIO', `${file}: ${stderr.trim() || end}`);
  }
}
