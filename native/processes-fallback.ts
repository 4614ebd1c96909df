/**
 * Child processes by Node's own child_process, for systems where the addon cannot be built or the kernel has no pidfd.
 *
 * The interface is that of process.ts, with these differences, which are Node's: a new process group is also a new
 * session; pipes are socket pairs; a core dump does not show in the status; `closed` below descriptor 3 is /dev/null;
 * we cannot read the child's descriptor 0; descriptors that this process got without close-on-exec go on to the child;
 * descriptors that are the same are pipes of their own, whose bytes come mixed; a failed start costs a second look to
 * tell why. There are no terminals, and processors, limits, umask and a stop before the start are not set: nativeStatus()
 * says so.
 */

import { type ChildProcess, type StdioPipe, spawn } from 'node:child_process';
import fs from 'node:fs';
import type net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { asFluxError, errno, FluxError } from '../core/errno.ts';
import {
  checkShared,
  leadsGroup,
  type Process,
  type ProcessEvents,
  type ProcessSpec,
  SpawnError,
  type SpawnStep,
  type Stdio,
  sendSignal,
} from './process.ts';

/** Bytes handed to a stream of Node's at a time: what a pipe holds. */
const pieceBytes = 64 * 1024;

/** As `spawnProcess`. */
export function spawnFallback(spec: ProcessSpec, events: ProcessEvents): Process {
  check(spec);
  const opened: number[] = [];
  try {
    const child = launch(spec, opened);
    child.on('error', () => {});
    if (child.pid === undefined) throw new SpawnError(...diagnose(spec), spec);
    return new FallbackProcess(child, child.pid, spec, events);
  } finally {
    for (const fd of opened) fs.closeSync(fd);
  }
}

function check(spec: ProcessSpec): void {
  if (!spec.argv.length || [...spec.argv, ...spec.env].some((text) => text.includes('\0'))) {
    throw new SpawnError(errno.EINVAL, 'exec', spec);
  }
  if ((spec.file ?? spec.argv[0]) === '') throw new SpawnError(errno.ENOENT, 'exec', spec);
  if (spec.stdio[0] === 'output' || spec.stdio[0] === 'channel' || spec.stdio.includes('terminal')) {
    throw new SpawnError(errno.ENOSYS, 'stdio', spec);
  }
  for (const stdio of spec.stdio) if (typeof stdio === 'object') checkShared(stdio.sameAs, spec);
}

function launch(spec: ProcessSpec, opened: number[]): ChildProcess {
  const [argv0, ...rest] = spec.argv as [string, ...string[]];
  try {
    return spawn(spec.file ?? argv0, rest, {
      argv0,
      env: Object.fromEntries(spec.env.map(splitVariable)),
      cwd: spec.cwd,
      detached: leadsGroup(spec),
      stdio: spec.stdio.map((stdio, index) => toNode(shared(stdio, spec), index, opened)),
    });
  } catch (error) {
    throw new SpawnError(asFluxError(error).errno, directoryProblem(spec) ? 'cwd' : 'exec', spec);
  }
}

function splitVariable(text: string): [string, string] {
  const at = text.indexOf('=');
  return at < 0 ? [text, ''] : [text.slice(0, at), text.slice(at + 1)];
}

function shared(stdio: Stdio, spec: ProcessSpec): Stdio {
  return typeof stdio === 'object' ? spec.stdio[stdio.sameAs]! : stdio;
}

function toNode(stdio: Stdio, index: number, opened: number[]): StdioPipe | 'ignore' | number {
  if (typeof stdio === 'number') return stdio;
  if (stdio === 'closed') return 'ignore';
  if (stdio !== 'null') return 'pipe';
  if (index < 3) return 'ignore';
  // From 3 on Node takes 'ignore' for closed.
  const fd = fs.openSync('/dev/null', 'r+');
  opened.push(fd);
  return fd;
}

/** Why Node could not start a program. It tells only later, in an event, so look at what it looked at. */
function diagnose(spec: ProcessSpec): [number, SpawnStep] {
  const problem = directoryProblem(spec);
  if (problem) return [problem, 'cwd'];
  const file = spec.file ?? spec.argv[0]!;
  const folders = file.includes('/') ? [''] : searchPath(spec.env);
  const problems = folders.map((folder) =>
    failure(() => fs.accessSync(path.resolve(spec.cwd ?? '.', folder, file), fs.constants.X_OK)),
  );
  const telling = problems.find(
    (problem) => problem !== undefined && problem !== errno.ENOENT && problem !== errno.ENOTDIR,
  );
  if (telling !== undefined) return [telling, 'exec'];
  // Found, and yet it did not start: a folder, say, or no more processes are allowed.
  return [problems.includes(undefined) ? errno.EACCES : problems[0]!, 'exec'];
}

function directoryProblem({ cwd }: ProcessSpec): number | undefined {
  return cwd === undefined ? undefined : failure(() => fs.accessSync(`${cwd}/.`, fs.constants.X_OK));
}

function searchPath(env: readonly string[]): string[] {
  const variable = env.find((text) => text.startsWith('PATH='));
  return variable === undefined ? ['/bin', '/usr/bin'] : variable.slice('PATH='.length).split(':');
}

function failure(action: () => unknown): number | undefined {
  try {
    action();
    return undefined;
  } catch (error) {
    return asFluxError(error).errno;
  }
}

class FallbackProcess implements Process {
  readonly pid: number;
  readonly #events: ProcessEvents;
  readonly #isLeader: boolean;
  readonly #sockets = new Map<number, net.Socket>();
  /** Streams whose end of file has not been reported, nor made uninteresting by `close`. */
  readonly #reading = new Set<number>();
  readonly #writing = new Set<number>();
  /** Those of a stream's other descriptors that have not ended. */
  readonly #sharing = new Map<number, Set<net.Socket>>();
  /** Streams that owe the caller a `drain`. */
  readonly #full = new Set<number>();
  #exited = false;
  #closed = false;

  constructor(child: ChildProcess, pid: number, spec: ProcessSpec, events: ProcessEvents) {
    this.pid = pid;
    this.#events = events;
    this.#isLeader = leadsGroup(spec);
    spec.stdio.forEach((stdio, index) => {
      const kind = shared(stdio, spec);
      if (kind !== 'input' && kind !== 'output' && kind !== 'channel') return;
      const socket = child.stdio[index] as net.Socket;
      if (typeof stdio !== 'object') this.#connect(index, socket, kind);
      else if (kind !== 'input') this.#mix(stdio.sameAs, socket);
    });
    child.on('exit', (code, signal) => this.#finish(code === null ? os.constants.signals[signal!] : code << 8));
  }

  write(stream: number, bytes: Uint8Array, offset = 0): number {
    const socket = this.#sockets.get(stream);
    if (!socket || !this.#writing.has(stream)) return -1;
    let taken = 0;
    while (offset + taken < bytes.length && !socket.writableNeedDrain) {
      const piece = bytes.subarray(offset + taken, offset + taken + pieceBytes);
      socket.write(Buffer.from(piece));
      taken += piece.length;
    }
    if (offset + taken < bytes.length) this.#full.add(stream);
    return taken;
  }

  end(stream: number): void {
    if (this.#writing.delete(stream)) this.#sockets.get(stream)!.end();
  }

  close(stream: number): void {
    this.#writing.delete(stream);
    this.#full.delete(stream);
    for (const socket of this.#socketsOf(stream)) socket.destroy();
    if (this.#reading.delete(stream)) queueMicrotask(() => this.#settle());
  }

  pause(stream: number): void {
    for (const socket of this.#socketsOf(stream)) socket.pause();
  }

  resume(stream: number): void {
    for (const socket of this.#socketsOf(stream)) socket.resume();
  }

  resize(stream: number): void {
    throw new FluxError('ENOTTY', `descriptor ${stream} of process ${this.pid} is no terminal`);
  }

  kill(signal: number): void {
    sendSignal(this.pid, signal, this.#isLeader, this.#exited);
  }

  #connect(stream: number, socket: net.Socket, stdio: 'input' | 'output' | 'channel'): void {
    this.#sockets.set(stream, socket);
    socket.allowHalfOpen = true;
    socket.on('error', () => this.#broken(stream));
    socket.on('close', () => this.#broken(stream));
    if (stdio !== 'output') {
      this.#writing.add(stream);
      socket.on('drain', () => this.#drained(stream));
    }
    if (stdio === 'input') return;
    this.#reading.add(stream);
    socket.on('data', (bytes: Buffer) => this.#events.data(stream, bytes));
    socket.on('end', () => this.#ended(stream));
  }

  #socketsOf(stream: number): net.Socket[] {
    const socket = this.#sockets.get(stream);
    return socket ? [socket, ...(this.#sharing.get(stream) ?? [])] : [];
  }

  /** What another descriptor brings comes as if from the stream that it is the same as, which ends with the last. */
  #mix(stream: number, socket: net.Socket): void {
    const sharing = this.#sharing.get(stream) ?? new Set();
    this.#sharing.set(stream, sharing.add(socket));
    socket.on('error', () => {});
    socket.on('data', (bytes: Buffer) => this.#reading.has(stream) && this.#events.data(stream, bytes));
    socket.on('close', () => {
      sharing.delete(socket);
      this.#ended(stream);
    });
  }

  #drained(stream: number): void {
    if (this.#full.delete(stream)) this.#events.drain?.(stream);
  }

  #broken(stream: number): void {
    this.#writing.delete(stream);
    this.#drained(stream);
    this.#ended(stream);
  }

  #ended(stream: number): void {
    if (!this.#sockets.get(stream)!.readableEnded && !this.#sockets.get(stream)!.destroyed) return;
    if (this.#sharing.get(stream)?.size || !this.#reading.delete(stream)) return;
    this.#events.data(stream, null);
    this.#settle();
  }

  #finish(status: number): void {
    this.#exited = true;
    for (const stream of this.#writing) {
      if (this.#reading.has(stream)) this.#sockets.get(stream)!.end();
      else this.#sockets.get(stream)!.destroy();
    }
    this.#writing.clear();
    this.#events.exit(status);
    this.#settle();
  }

  #settle(): void {
    if (!this.#exited || this.#reading.size || this.#closed) return;
    this.#closed = true;
    for (const socket of this.#sockets.values()) socket.destroy();
    this.#events.close?.();
  }
}
