/** An instance with a state directory that can be killed. */

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import path from 'node:path';
import { Handle } from '../../core/handle/handle.ts';
import { run } from '../e2e/instance.ts';

/** How long it may take to be there, or to be gone after it was asked to. */
const PATIENCE_MS = 30_000;

export interface StartOptions {
  readonly flux: string;
  readonly statedir: string;
  /** A folder for the sockets and the configuration. */
  readonly folder: string;
  /** How often the root is noted in the store without anybody's asking; undefined: never. */
  readonly checkpointSeconds: number | undefined;
}

export class KillableInstance {
  readonly #flux: string;
  readonly #child: ChildProcess;
  readonly rundir: string;
  readonly #uri: string;
  readonly #closed: Promise<unknown>;
  #stderr = '';
  #isReady = false;
  isGone = false;

  constructor({ flux, statedir, folder, checkpointSeconds }: StartOptions) {
    this.#flux = flux;
    const rundir = fs.mkdtempSync(path.join(folder, 'run-'));
    const config = path.join(rundir, 'kvs.toml');
    const period = checkpointSeconds === undefined ? '' : `checkpoint-period = "${checkpointSeconds}s"`;
    fs.writeFileSync(config, `[kvs]\n${period}\n`);
    const settings = [`-c${config}`, `-Sstatedir=${statedir}`, `-Srundir=${rundir}`];
    // It lives as long as its initial program's stdin is open.
    this.#child = spawn(flux, ['start', ...settings, 'sh', '-c', 'echo ready; exec cat'], { stdio: 'pipe' });
    this.rundir = rundir;
    this.#uri = `local://${rundir}/local-0`;
    this.#child.stdin!.on('error', () => {});
    this.#child.stdout!.on('data', () => {
      this.#isReady = true;
    });
    this.#child.stderr!.setEncoding('utf8').on('data', (text: string) => {
      this.#stderr += text;
    });
    this.#closed = once(this.#child, 'close').then(() => {
      this.isGone = true;
      fs.rmSync(rundir, { recursive: true, force: true });
    });
  }

  /** Resolves when its initial program runs. */
  async ready(): Promise<void> {
    const output = this.#isReady ? undefined : once(this.#child.stdout!, 'data');
    await Promise.race([output, this.#tooLong('it runs its initial program'), this.#closed]);
    if (!this.#isReady) throw new Error(`flux start did not get as far as its initial program: ${this.#stderr}`);
  }

  connect(): Promise<Handle> {
    return Handle.open(this.#uri);
  }

  /**
   * Runs `flux ARGS…` as a client.
   *
   * @throws Error with what it wrote to stderr, when it fails
   */
  async command(...args: readonly string[]): Promise<void> {
    const { exit, stderr } = await run(this.#flux, args, { env: { FLUX_URI: this.#uri }, timeoutMs: PATIENCE_MS });
    if (exit !== 0) throw new Error(`flux ${args.join(' ')} ended with ${exit}: ${stderr}`);
  }

  async kill(): Promise<void> {
    this.#child.kill('SIGKILL');
    await Promise.race([this.#closed, this.#tooLong('it is killed')]);
  }

  /** Asks it to end, in order. */
  end(): void {
    this.#child.stdin!.end();
  }

  /** Resolves when it has ended by itself. */
  async ended(): Promise<void> {
    await Promise.race([this.#closed, this.#tooLong('it ends')]);
    if (this.#child.exitCode !== 0)
      throw new Error(`flux start ended with ${this.#child.exitCode ?? this.#child.signalCode}: ${this.#stderr}`);
  }

  async #tooLong(until: string): Promise<never> {
    await new Promise((resolve) => setTimeout(resolve, PATIENCE_MS).unref());
    throw new Error(`waited ${PATIENCE_MS / 1000} s in vain until ${until}: ${this.#stderr}`);
  }
}
