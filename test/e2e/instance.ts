/** A real instance for tests: `flux start` in a process of its own, and commands run in it. */

import { spawn } from 'node:child_process';
import path from 'node:path';
import process from 'node:process';

/** The `flux` under test; FLUX_TEST_COMMAND names another. */
export const flux = path.resolve(process.env.FLUX_TEST_COMMAND ?? 'bin/flux');

export interface Outcome {
  readonly stdout: string;
  readonly stderr: string;
  /** The exit code, or the signal that ended it. */
  readonly exit: number | NodeJS.Signals;
}

export interface RunOptions {
  readonly stdin?: string | Uint8Array;
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly cwd?: string;
  /** Runs it as this user, and his group of the same number. */
  readonly uid?: number;
  /** Called with all of stdout so far, each time there is more; what it returns as true ends the command by SIGTERM. */
  readonly until?: (stdout: string) => boolean;
  readonly timeoutMs?: number;
}

/** Runs a program to its end. */
export function run(file: string, args: readonly string[], options: RunOptions = {}): Promise<Outcome> {
  const { stdin = '', env, cwd, uid, until, timeoutMs = 20_000 } = options;
  const child = spawn(file, args, { env: { ...process.env, ...env }, cwd, uid, gid: uid });
  const timer = setTimeout(() => {
    child.kill('SIGKILL');
    // What it started may hold its output open.
    child.stdout.destroy();
    child.stderr.destroy();
  }, timeoutMs);
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
    if (until?.(stdout)) child.kill('SIGTERM');
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  child.stdin.on('error', () => {}).end(stdin);
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code, signal) => {
      clearTimeout(timer);
      resolve({ stdout, stderr, exit: code ?? signal! });
    });
  });
}

export interface Instance {
  readonly uri: string;
  /** The process of `flux start`, and what it has written to stderr so far. */
  readonly pid: number;
  stderr(): string;
  /** Runs `flux ARGS…` as a client of rank 0. */
  flux(args: readonly string[], options?: RunOptions): Promise<Outcome>;
  /** Runs a shell script whose `flux` is the one under test, as a client of rank 0. */
  shell(script: string, options?: RunOptions): Promise<Outcome>;
  /** Kills it, as one that does nothing of what it should; who waits for it is told so. */
  kill(): void;
  /**
   * Ends the instance; resolves to what `flux start` had to say and its exit code.
   *
   * @throws Error it does not end, and was killed
   */
  stop(): Promise<{ readonly stderr: string; readonly exit: number | NodeJS.Signals }>;
}

/** Milliseconds in which an instance has started, and has ended when it is told to. */
const START_MS = 60_000;
const STOP_MS = 60_000;

/** Where and with which variables `flux start` runs; the test's own when absent. */
export interface Surroundings {
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string | undefined>>;
}

/** Starts an instance of some ranks, with more options for `flux start`. */
export async function startInstance(
  size: number,
  options: readonly string[] = [],
  surroundings: Surroundings = {},
): Promise<Instance> {
  // It lives as long as its initial program's stdin is open.
  const program = ['sh', '-c', 'echo "$FLUX_URI"; exec cat'];
  const child = spawn(flux, ['start', `--test-size=${size}`, ...options, ...program], surroundings);
  child.stdin.on('error', () => {});
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  const closed = new Promise<number | NodeJS.Signals>((resolve) => {
    child.on('close', (code, signal) => resolve(code ?? signal!));
  });
  const kill = () => {
    child.kill('SIGKILL');
    // What it started may hold its output open.
    child.stdout.destroy();
    child.stderr.destroy();
  };
  const starting = setTimeout(kill, START_MS);
  const uri = await new Promise<string>((resolve, reject) => {
    child.on('error', reject);
    child.stdout.setEncoding('utf8').once('data', (line: string) => resolve(line.trim()));
    void closed.then((exit) => reject(new Error(`flux start ended with ${exit}: ${stderr}`)));
  }).finally(() => clearTimeout(starting));
  const env = { FLUX_URI: uri, PATH: `${path.dirname(flux)}:${process.env.PATH}`, TZ: 'UTC' };
  const withEnv = (more: RunOptions = {}): RunOptions => ({ ...more, env: { ...env, ...more.env } });
  return {
    uri,
    pid: child.pid!,
    stderr: () => stderr,
    flux: (args, more) => run(flux, args, withEnv(more)),
    shell: (script, more) => run('bash', ['-c', script], withEnv(more)),
    kill,
    async stop() {
      child.stdin.end();
      let isStuck = false;
      const stopping = setTimeout(() => {
        isStuck = true;
        kill();
      }, STOP_MS);
      const exit = await closed;
      clearTimeout(stopping);
      if (isStuck) throw new Error(`the instance did not end within ${STOP_MS / 1000} s; it said: ${stderr}`);
      return { exit, stderr };
    },
  };
}
