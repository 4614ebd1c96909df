/** `flux start --procs`: an instance in several processes of this machine. This one has rank 0 and starts the others. */

import { type ChildProcess, spawn } from 'node:child_process';
import type { Duplex } from 'node:stream';
import { FluxError } from '../core/errno.ts';
import type { FluxNode } from '../core/node/node.ts';
import { checkOptions, type StartOptions } from '../core/node/prepare.ts';
import { openFolder, removeFolder } from '../core/node/run-directory.ts';
import { SimplePmi } from '../core/pmi/simple-client.ts';
import { PmiServer } from '../core/pmi/simple-server.ts';
import { streamPair } from '../core/pmi/stream-pair.ts';
import { PmiLines } from '../core/pmi/wire.ts';
import { runLaunched, takeSignals } from './run-node.ts';

/** The descriptor that the other processes find the server at. */
const PMI_FD = 3;
/** Seconds that the others have to end after this one, when nobody says otherwise. */
const EXIT_TIMEOUT = 30;

interface Other {
  readonly index: number;
  readonly child: ChildProcess;
  readonly ended: Promise<number>;
}

/** Ranks of each process: as many as of any other, or one more. */
function rankCounts(size: number, procs: number): number[] {
  return Array.from({ length: procs }, (_, i) => Math.floor(size / procs) + Number(i < size % procs));
}

/**
 * Runs an instance to its end, and resolves to its exit code.
 *
 * @param words what the other processes are told beside their ranks
 */
export async function runProcesses(settings: StartOptions, procs: number, words: readonly string[]): Promise<number> {
  // Once, and not by each of them.
  checkOptions(settings);
  const { attributes = {}, size = 1, exit } = settings;
  const rundir = openFolder('rundir', attributes.rundir, process.env.TMPDIR || '/tmp', attributes['rundir-cleanup']);
  const program = new Program(procs);
  const cleanUp = () => {
    program.kill();
    if (rundir.cleanup) removeFolder(rundir);
  };
  process.on('exit', cleanUp);
  // Until the instance is there, and takes them.
  takeSignals((name) => {
    cleanUp();
    process.removeAllListeners(name);
    process.kill(process.pid, name);
  });
  const counts = rankCounts(size, procs);
  // They find each other by the server here, whatever the configuration says of hosts.
  const shared = [...words, '-S', 'broker.boot-method=simple', '-S', `rundir=${rundir.path}`];
  const { size: _, bootMethod, ...own } = settings;
  try {
    for (let i = 1; i < procs; i++) program.start(i, [...shared, '--ranks', String(counts[i]), '--alone']);
    const pmi = await program.own();
    const placed = { ...own, attributes: { ...attributes, rundir: rundir.path } };
    const exitCode = await runLaunched('flux-start', placed, {
      ranks: counts[0]!,
      alone: true,
      pmi,
      started: (node) => program.follow(node),
    });
    // There is nobody left who could be told to hurry.
    takeSignals(() => program.kill());
    const codes = await program.end(exit?.timeout ?? EXIT_TIMEOUT);
    return exit?.mode === 'any' ? Math.max(exitCode, ...codes) : exitCode;
  } finally {
    process.off('exit', cleanUp);
    cleanUp();
  }
}

/** The other processes, and the server by which all find each other. */
class Program {
  readonly #procs: number;
  readonly #others: Other[] = [];
  readonly #streams: Duplex[] = [];
  readonly #server: PmiServer;
  #node: FluxNode | undefined;
  #isKilled = false;

  constructor(procs: number) {
    this.#procs = procs;
    this.#server = new PmiServer({
      name: 'flux-start',
      size: procs,
      send: (process, line) => void this.#streams[process]?.write(line),
      // The process has said why.
      abort: () => this.kill(),
    });
  }

  start(index: number, words: readonly string[]): void {
    const args = [...process.execArgv, process.argv[1]!, 'broker', ...words];
    const child = spawn(process.execPath, args, {
      stdio: ['ignore', 'inherit', 'inherit', 'pipe'],
      // A terminal's signals are for this process, which ends the others in order.
      detached: true,
      env: { ...process.env, PMI_FD: String(PMI_FD), PMI_RANK: String(index), PMI_SIZE: String(this.#procs) },
    });
    const ended = new Promise<number>((resolve) => {
      child.on('error', (error) => {
        console.error(`flux-start: cannot start a process: ${error.message}`);
        resolve(1);
      });
      child.on('exit', (code, signal) => {
        if (!this.#isKilled && (signal || code))
          console.error(`flux-start: ${index} (pid ${child.pid}) ${signal ?? `exited with rc=${code}`}`);
        resolve(code ?? 1);
      });
    });
    this.#others.push({ index, child, ended });
    this.#connect(index, child.stdio[PMI_FD] as Duplex);
    // Nobody waits for one that never comes.
    void ended.then((code) => this.#fail(`process ${index} ended before the instance was started`, code));
  }

  #fail(why: string, code: number): void {
    if (this.#node) this.#node.failStart(why, code);
    else this.#streams[0]?.destroy(new FluxError('ECONNRESET', why));
  }

  /** The instance is there, and has to know whom it waits for in vain. */
  follow(node: FluxNode): void {
    this.#node = node;
  }

  #connect(index: number, stream: Duplex): void {
    this.#streams[index] = stream;
    const lines = new PmiLines();
    stream.on('error', () => {});
    stream.on('data', (chunk: Buffer) => {
      try {
        for (const line of lines.take(String(chunk))) this.#server.receive(index, line);
      } catch (error) {
        stream.destroy(error as Error);
      }
    });
  }

  /** The interface of this process. */
  own(): Promise<SimplePmi> {
    const [near, far] = streamPair();
    this.#connect(0, far);
    far.on('error', (error) => near.destroy(error));
    return SimplePmi.open(near, 0, this.#procs);
  }

  /** Resolves to the exit codes of the others; who takes too long is killed. */
  async end(timeout: number): Promise<number[]> {
    const timer = setTimeout(() => {
      console.error(`flux-start: processes have not ended in ${timeout}s: killed`);
      this.kill();
    }, timeout * 1000);
    const codes = await Promise.all(this.#others.map(({ ended }) => ended));
    clearTimeout(timer);
    return codes;
  }

  kill(): void {
    this.#isKilled = true;
    for (const { child } of this.#others) child.kill('SIGKILL');
  }
}
