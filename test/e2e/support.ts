/** What end-to-end tests share beside the instance: waiting, folders, processes, and a look at the log. */

import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import fs from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { Handle } from '../../core/handle/handle.ts';

/** Waits until a condition holds; fails after a while. */
export async function until(
  condition: () => boolean | Promise<boolean>,
  what: string,
  timeoutMs = 10_000,
): Promise<void> {
  const deadline = Date.now() + timeoutMs;
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error(`waited ${timeoutMs / 1000} s in vain until ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** A folder that is gone when the tests have ended. */
export function temporaryFolder(): string {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'flux-e2e-'));
  process.on('exit', () => fs.rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** A handle that is closed when `use` is done with it. */
export async function withHandle<T>(uri: string, use: (handle: Handle) => Promise<T>): Promise<T> {
  const handle = await Handle.open(uri);
  try {
    return await use(handle);
  } finally {
    await handle.close();
  }
}

/** All lines of the log of a rank. */
export async function readLog(handle: Handle, nodeid?: number): Promise<string[]> {
  const lines: string[] = [];
  for await (const bytes of handle.streamBytes('log.dmesg', { follow: false }, { nodeid }))
    lines.push(Buffer.from(bytes).toString().replace(/\0$/, ''));
  return lines;
}

/** Waits until the log has a line that matches. */
export async function untilLogged(handle: Handle, pattern: RegExp, nodeid?: number): Promise<void> {
  await until(
    async () => (await readLog(handle, nodeid)).some((line) => pattern.test(line)),
    `the log has a line that matches ${pattern}`,
  );
}

/** Asks whether the instance at `uri` still answers, as a client of its own. */
export async function checkAnswers(uri: string): Promise<void> {
  await withHandle(uri, (handle) => handle.rpc('broker.ping', {}));
}

/** A port of loopback that nobody has. */
export async function freePort(): Promise<number> {
  const server = net.createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address() as net.AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** Kilobytes of memory that a process has. */
export function residentKilobytes(pid: number): number {
  return Number(/^VmRSS:\s*(\d+)/m.exec(fs.readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]);
}

export interface RunningProgram {
  readonly child: ChildProcessWithoutNullStreams;
  stdout(): string;
  stderr(): string;
  /** Its exit code, or the signal that ended it. */
  readonly exited: Promise<number | NodeJS.Signals>;
}

/** Starts a program that goes on in the background; it is killed when the tests end first. */
export function startProgram(
  file: string,
  args: readonly string[],
  env: Readonly<Record<string, string | undefined>> = {},
): RunningProgram {
  const child = spawn(file, args, { env: { ...process.env, ...env } });
  const text = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const)
    child[name].setEncoding('utf8').on('data', (chunk: string) => {
      text[name] += chunk;
    });
  child.stdin.on('error', () => {});
  const kill = () => child.kill('SIGKILL');
  process.on('exit', kill);
  const exited = new Promise<number | NodeJS.Signals>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code, signal) => {
      process.off('exit', kill);
      resolve(code ?? signal!);
    });
  });
  return { child, exited, stdout: () => text.stdout, stderr: () => text.stderr };
}

/** Whether a process goes on; one that has ended and waits for its parent does not. */
export function isAlive(pid: number): boolean {
  try {
    return !/^State:\s+[ZX]/m.test(fs.readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
}
