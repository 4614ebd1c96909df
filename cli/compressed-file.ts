/** Files that are written and read as a stream, compressed as their name or their content says; `-` is stdout or stdin. */

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import path from 'node:path';
import { pipeline, Readable, type Writable } from 'node:stream';
import zlib from 'node:zlib';
import { asFluxError, FluxError, strerror } from '../core/errno.ts';

interface Compression {
  readonly endings: readonly string[];
  /** The bytes that a compressed file begins with. */
  readonly magic: Buffer;
  /** A program that compresses, and with `-d` decompresses, its stdin to stdout; absent where Node does it. */
  readonly program?: string;
}

const compressions: readonly Compression[] = [
  { endings: ['.tgz', '.tar.gz'], magic: Buffer.from([0x1f, 0x8b]) },
  { endings: ['.tbz', '.tbz2', '.tar.bz2'], magic: Buffer.from('BZh'), program: 'bzip2' },
  { endings: ['.txz', '.tar.xz'], magic: Buffer.from([0xfd, 0x37, 0x7a, 0x58, 0x5a]), program: 'xz' },
  { endings: ['.tzst', '.tar.zst'], magic: Buffer.from([0x28, 0xb5, 0x2f, 0xfd]), program: 'zstd' },
];

const others: readonly { readonly magic: Buffer; readonly name: string }[] = [
  { magic: Buffer.from('PK\x03\x04'), name: 'a zip' },
  { magic: Buffer.from('0707'), name: 'a cpio' },
  { magic: Buffer.from('7z\xbc\xaf\x27\x1c', 'latin1'), name: 'a 7-Zip' },
];

// ---- writing

const WRITE_BYTES = 256 * 1024;

/** A file that is being written. What it replaces stays until it is complete. */
export class OutputFile {
  readonly #file: Writable;
  readonly #head: Writable;
  readonly #compressor: ChildProcess | undefined;
  readonly #finish: () => void;
  readonly #discard: () => void;
  #failure: Error | undefined;
  // Many small writes are made one large one.
  #waiting: Uint8Array[] = [];
  #waitingBytes = 0;

  /**
   * Opens a file to write tar archives to.
   *
   * @param name `-` for stdout; else its ending tells how it is compressed
   * @throws FluxError EINVAL: an ending that is not known; or what the file could not be opened for
   */
  constructor(name: string) {
    const compression = compressions.find(({ endings }) => endings.some((ending) => name.endsWith(ending)));
    if (!compression && name !== '-' && !name.endsWith('.tar') && isOrdinary(name) && path.basename(name).includes('.'))
      throw new FluxError('EINVAL', `${name}: the format of an archive is told by its ending: ${endings()}`);
    const target = openTarget(name);
    this.#file = target.stream;
    this.#finish = target.finish;
    this.#discard = target.discard;
    const fail = (error: Error | null | undefined) => {
      this.#failure ??= error ?? undefined;
    };
    this.#file.on('error', fail);
    if (compression?.program) {
      this.#compressor = spawn(compression.program, ['-c'], { stdio: ['pipe', 'pipe', 'inherit'] });
      this.#compressor.on('error', () => fail(new FluxError('ENOENT', `${compression.program} is not installed`)));
      this.#head = this.#compressor.stdin!;
      this.#head.on('error', fail);
      pipeline(this.#compressor.stdout!, this.#file, fail);
    } else if (compression) {
      const gzip = zlib.createGzip();
      this.#head = gzip;
      pipeline(gzip, this.#file, fail);
    } else this.#head = this.#file;
  }

  /** Writes bytes, which must not change; what is returned resolves when there is room for more. */
  write(bytes: Uint8Array): void | Promise<void> {
    this.#waiting.push(bytes);
    this.#waitingBytes += bytes.length;
    if (this.#waitingBytes >= WRITE_BYTES) return this.#flush();
  }

  async #flush(): Promise<void> {
    this.#throwFailure();
    const bytes = Buffer.concat(this.#waiting);
    this.#waiting = [];
    this.#waitingBytes = 0;
    if (this.#head.write(bytes) || this.#failure) return;
    await firstOf(this.#head, ['drain', 'close']);
  }

  /** Ends the file; what it replaces is replaced now. */
  async end(): Promise<void> {
    await this.#flush();
    this.#throwFailure();
    // Stdout stays open when it has ended.
    const done = once(this.#file, this.#file === process.stdout ? 'finish' : 'close');
    const compressed = this.#compressor && once(this.#compressor, 'close');
    this.#head.end();
    const [code] = (await compressed) ?? [0];
    await done.catch(() => {});
    if (code) throw new FluxError('EIO', 'the program that compresses failed');
    this.#throwFailure();
    this.#finish();
  }

  /** Gives the file up. */
  discard(): void {
    if (this.#file === process.stdout) return;
    this.#head.destroy();
    this.#file.destroy();
    this.#discard();
  }

  #throwFailure(): void {
    if (this.#failure) throw this.#failure;
  }
}

/** Resolves at the first of some events. */
function firstOf(emitter: Writable, events: readonly string[]): Promise<void> {
  return new Promise((resolve) => {
    const end = () => {
      for (const event of events) emitter.off(event, end);
      resolve();
    };
    for (const event of events) emitter.on(event, end);
  });
}

function endings(): string {
  return ['.tar', ...compressions.flatMap(({ endings }) => endings)].join(', ');
}

/** Whether there is no such file, or one with content of its own: no pipe, and no device. */
function isOrdinary(name: string): boolean {
  return fs.statSync(name, { throwIfNoEntry: false })?.isFile() ?? true;
}

interface Target {
  readonly stream: Writable;
  finish(): void;
  discard(): void;
}

function openTarget(name: string): Target {
  if (name === '-') return { stream: process.stdout, finish() {}, discard() {} };
  if (!isOrdinary(name))
    return { stream: fs.createWriteStream('', { fd: openFile(name, 'w') }), finish() {}, discard() {} };
  const target = fs.existsSync(name) ? fs.realpathSync(name) : name;
  const temporary = `${target}.${process.pid}.part`;
  const fd = openFile(temporary, 'wx', name);
  return {
    stream: fs.createWriteStream('', { fd, flush: true } as object),
    finish: () => fs.renameSync(temporary, target),
    discard: () => fs.rmSync(temporary, { force: true }),
  };
}

function openFile(name: string, flags: string, shown = name): number {
  try {
    return fs.openSync(name, flags);
  } catch (error) {
    const { errno } = asFluxError(error);
    throw new FluxError(errno, `${shown}: ${strerror(errno)}`);
  }
}

// ---- reading

/**
 * The bytes of a file, decompressed; its first bytes tell how.
 *
 * @param name `-` for stdin
 * @throws FluxError in the loop: it cannot be read, or not be decompressed; EINVAL: an archive in another format
 */
export async function* readCompressed(name: string): AsyncGenerator<Uint8Array, void, undefined> {
  const file =
    name === '-' ? process.stdin : fs.createReadStream('', { fd: openFile(name, 'r'), highWaterMark: 1 << 18 });
  const chunks = file[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
  let start = Buffer.alloc(0);
  while (start.length < 8) {
    const { done, value } = await chunks.next();
    if (done) break;
    start = Buffer.concat([start, value]);
  }
  const begins = ({ magic }: { readonly magic: Buffer }) => start.subarray(0, magic.length).equals(magic);
  const other = others.find(begins);
  if (other) throw new FluxError('EINVAL', `${name} is ${other.name} archive; only tar archives are read`);
  async function* all() {
    yield start;
    for (let next = await chunks.next(); !next.done; next = await chunks.next()) yield next.value;
  }
  const compression = compressions.find(begins);
  yield* compression ? decompress(all(), compression) : all();
}

async function* decompress(
  compressed: AsyncIterable<Buffer>,
  { program }: Compression,
): AsyncGenerator<Uint8Array, void, undefined> {
  const source = Readable.from(compressed);
  if (!program) {
    const gunzip = zlib.createGunzip();
    pipeline(source, gunzip, () => {});
    return yield* gunzip;
  }
  const child = spawn(program, ['-dc'], { stdio: ['pipe', 'pipe', 'inherit'] });
  const ended = once(child, 'close').catch(() => [`${program} is not installed`]);
  pipeline(source, child.stdin, () => {});
  yield* child.stdout;
  const [code] = await ended;
  if (code !== 0) throw new FluxError('EIO', typeof code === 'string' ? code : `${program} failed`);
}
