/** An instance that a benchmark starts for itself. */

import { spawn } from 'node:child_process';
import { once } from 'node:events';

/** Starts `flux start OPTIONS…` of one rank, and ends it when `use` is done with its URI. */
export async function withInstance<T>(
  flux: string,
  options: readonly string[],
  use: (uri: string) => Promise<T>,
): Promise<T> {
  // It lives as long as its initial program's stdin is open.
  const program = ['sh', '-c', 'echo "$FLUX_URI"; exec cat'];
  const argv = ['start', '--test-size=1', '-Slog-stderr-level=2', ...options, ...program];
  const child = spawn(flux, argv, { stdio: ['pipe', 'pipe', 'inherit'] });
  const closed = once(child, 'close');
  const line = once(child.stdout, 'data').then(([bytes]) => String(bytes).trim());
  const uri = await Promise.race([line, closed.then(() => undefined)]);
  if (uri === undefined) throw new Error(`${flux} ${argv.join(' ')} ended at once`);
  const result = await use(uri);
  child.stdin.end();
  await closed;
  return result;
}
