/** Files that tasks' output goes to: each is opened once, however many tasks write to it, and written in the order of calls. */

import type { FileHandle } from 'node:fs/promises';
import { asFluxError, FluxError, strerror } from '../../../core/errno.ts';
import { LogLevel, type Shell } from '../plugin.ts';

const MODE = 0o644;

export class OutputFile {
  readonly #shell: Shell;
  readonly #handle: FileHandle;
  readonly #hasLabels: boolean;
  readonly #onTaken: () => void;
  #chunks: (string | Buffer)[] = [];
  #bytes = 0;
  #leave: (() => void) | undefined;

  constructor(shell: Shell, handle: FileHandle, hasLabels: boolean, onTaken: () => void) {
    this.#shell = shell;
    this.#handle = handle;
    this.#hasLabels = hasLabels;
    this.#onTaken = onTaken;
  }

  /** Bytes that are not in the file yet. */
  get backlog(): number {
    return this.#bytes;
  }

  /** Writes what comes from a task; with labels, its rank stands before each line. */
  write(rank: string, data: Buffer): void {
    if (data.length === 0) return;
    if (this.#hasLabels) this.#put(data.toString('latin1').replace(/[^\n]*\n|[^\n]+$/g, (line) => `${rank}: ${line}`));
    else this.#put(data);
  }

  /** Writes a line of the shell itself. */
  writeLine(line: string): void {
    this.#put(Buffer.from(`${line}\n`));
  }

  #put(chunk: string | Buffer): void {
    this.#chunks.push(chunk);
    this.#bytes += chunk.length;
    if (this.#leave) return;
    this.#leave = this.#shell.hold();
    void this.#flush();
  }

  async #flush(): Promise<void> {
    while (this.#chunks.length > 0) {
      const chunks = this.#chunks;
      this.#chunks = [];
      // A text is bytes, one a character.
      const bytes = Buffer.concat(
        chunks.map((chunk) => (typeof chunk === 'string' ? Buffer.from(chunk, 'latin1') : chunk)),
      );
      try {
        await this.#handle.appendFile(bytes);
      } catch (error) {
        this.#shell.redirectLog(() => {});
        this.#shell.log(LogLevel.error, `cannot write output: ${asFluxError(error).message}`, 'output');
      }
      this.#bytes -= bytes.length;
      this.#onTaken();
    }
    this.#leave?.();
    this.#leave = undefined;
  }

  close(): Promise<void> {
    return this.#handle.close();
  }
}

/** The files of a shell by their paths. */
export class OutputFiles {
  readonly #shell: Shell;
  readonly #flags: 'a' | 'w';
  readonly #onTaken: () => void;
  readonly #files = new Map<string, OutputFile>();

  constructor(shell: Shell, appends: boolean, onTaken: () => void) {
    this.#shell = shell;
    this.#flags = appends ? 'a' : 'w';
    this.#onTaken = onTaken;
  }

  /** @throws FluxError the file cannot be opened */
  async open(path: string, hasLabels: boolean): Promise<OutputFile> {
    const known = this.#files.get(path);
    if (known) return known;
    let handle: FileHandle;
    try {
      handle = await this.#shell.files.open(resolvePath(this.#shell.cwd, path), this.#flags, MODE);
    } catch (error) {
      const { errno } = asFluxError(error);
      throw new FluxError(errno, `open: ${path}: ${strerror(errno)}`);
    }
    const file = new OutputFile(this.#shell, handle, hasLabels, this.#onTaken);
    this.#files.set(path, file);
    return file;
  }

  get backlog(): number {
    let bytes = 0;
    for (const file of this.#files.values()) bytes += file.backlog;
    return bytes;
  }

  async close(): Promise<void> {
    await Promise.all(Array.from(this.#files.values(), (file) => file.close()));
    this.#files.clear();
  }
}

function resolvePath(folder: string, path: string): string {
  return path.startsWith('/') ? path : `${folder}/${path}`;
}
