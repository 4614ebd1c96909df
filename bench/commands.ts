/** Whole processes, as a user waits for them: instances of many sizes, and commands in one. */

import { spawnSync } from 'node:child_process';
import { type Figure, figure } from './figure.ts';
import { type Scale, scaled } from './scale.ts';

/** Runs a command, which must not fail. */
export function run(argv: readonly string[], input = ''): { readonly seconds: number; readonly stdout: string } {
  const start = performance.now();
  const { status, signal, stdout, stderr } = spawnSync(argv[0]!, argv.slice(1), { input, encoding: 'utf8' });
  const seconds = (performance.now() - start) / 1000;
  if (status !== 0) throw new Error(`${argv.join(' ')} ended with ${status ?? signal}: ${stderr}`);
  return { seconds, stdout };
}

/** Milliseconds that each of `count` runs of a command takes. */
function times(count: number, argv: readonly string[], input?: string): number[] {
  return Array.from({ length: count }, () => run(argv, input).seconds * 1000);
}

/** An instance from nothing to its first answer and gone again, and the memory that its process has resident. */
export function startFigures(flux: string, size: number, count: number): Figure[] {
  const start = [flux, 'start', `--test-size=${size}`];
  const seconds = Array.from({ length: count }, () => run([...start, flux, 'getattr', 'size']).seconds);
  const status = run([...start, 'sh', '-c', 'cat /proc/$PPID/status']).stdout;
  const memory = Number(/VmHWM:\s+(\d+)/.exec(status)?.[1]) / 1024;
  return [figure(`start-${size}`, 's', 'less', seconds), figure(`start-${size}.memory`, 'MiB', 'less', [memory])];
}

/** Sizes of instances that are started. */
export function startSizes(scale: Scale): number[] {
  if (scale === 'tiny') return [1];
  return scale === 'short' ? [1, 64, 1024] : [1, 64, 1024, 16_384];
}

/** A program on rank 0 that writes lines of 64 bytes, up to so many megabytes, and all of them come out. */
function outputRates(flux: string, megabytes: number, count: number): number[] {
  const bytes = megabytes * 1e6;
  const program = `'yes ${'x'.repeat(63)} | head -c ${bytes}'`;
  return Array.from({ length: count }, () => {
    const { seconds, stdout } = run(['sh', '-c', `'${flux}' exec -r 0 sh -c ${program} | wc -c`]);
    if (Number(stdout) !== bytes) throw new Error(`of ${bytes} bytes that a program wrote, ${stdout.trim()} came out`);
    return megabytes / seconds;
  });
}

/** Commands in the instance that FLUX_URI names, and what the machine itself takes for the like. */
export function commandFigures(flux: string, scale: Scale): Figure[] {
  const count = scaled(scale, 20, 10, 1);
  const size = Number(run([flux, 'getattr', 'size']).stdout);
  const items = Array.from({ length: size }, (_, rank) => `${rank}\n`).join('');
  return [
    figure('command.node', 'ms', 'less', times(count, [process.execPath, '-e', '0'])),
    figure('command.getattr', 'ms', 'less', times(count, [flux, 'getattr', 'size'])),
    figure(`exec-${size}`, 'ms', 'less', times(count, [flux, 'exec', '-r', 'all', 'true'])),
    figure(`exec-${size}.xargs`, 'ms', 'less', times(count, ['xargs', '-n1', 'true'], items)),
    figure('exec.output', 'MB/s', 'more', outputRates(flux, scaled(scale, 50, 50, 1), scaled(scale, 7, 3, 1))),
  ];
}
