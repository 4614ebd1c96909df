/** A client of the PMI-1 wire protocol, over the socket that the launcher left as a file descriptor (RFC 13). */

import net from 'node:net';
import type { Duplex } from 'node:stream';
import { FluxError } from '../errno.ts';
import type { Pmi } from './pmi.ts';
import { decodePmi, encodePmi, type PmiFields, PmiLines } from './wire.ts';

interface Asked {
  readonly resolve: (answer: PmiFields) => void;
  readonly reject: (error: FluxError) => void;
}

export class SimplePmi implements Pmi {
  readonly method = 'simple';
  readonly rank: number;
  readonly size: number;
  #name = '';
  readonly #stream: Duplex;
  readonly #trace: (text: string) => void;
  readonly #lines = new PmiLines();
  #asked: Asked | undefined;
  #failure: FluxError | undefined;

  private constructor(stream: Duplex, rank: number, size: number, trace: (text: string) => void) {
    this.rank = rank;
    this.size = size;
    this.#stream = stream;
    this.#trace = trace;
    stream.setEncoding('utf8');
    stream.on('data', (text: string) => this.#receive(text));
    stream.on('error', (error) => this.#fail(new FluxError('EIO', `the PMI server: ${error.message}`)));
    stream.on('end', () => this.#fail(new FluxError('ECONNRESET', 'the PMI server is gone')));
  }

  /**
   * The client that a launcher has made ready by `PMI_FD`, `PMI_RANK` and `PMI_SIZE`.
   *
   * @param trace is told each line
   * @throws FluxError ENOENT: one of them is not set; EINVAL: it makes no sense; or what the server says
   */
  static async fromEnvironment(
    environment: Readonly<Record<string, string | undefined>>,
    trace: (text: string) => void = () => {},
  ): Promise<SimplePmi> {
    const number = (name: string): number => {
      const text = environment[name];
      if (text === undefined) throw new FluxError('ENOENT', `${name} not found in environ`);
      if (!/^\d+$/.test(text)) throw new FluxError('EINVAL', `${name}=${text} is no number`);
      return Number(text);
    };
    const [fd, rank, size] = ['PMI_FD', 'PMI_RANK', 'PMI_SIZE'].map(number) as [number, number, number];
    let socket: net.Socket;
    try {
      socket = new net.Socket({ fd, readable: true, writable: true });
    } catch (error) {
      throw new FluxError('EBADF', `PMI_FD=${fd}: ${(error as Error).message}`);
    }
    return SimplePmi.open(socket, rank, size, trace);
  }

  /** A client at one end of a stream. */
  static async open(
    stream: Duplex,
    rank: number,
    size: number,
    trace: (text: string) => void = () => {},
  ): Promise<SimplePmi> {
    const client = new SimplePmi(stream, rank, size, trace);
    try {
      await client.#initialize();
      return client;
    } catch (error) {
      client.close();
      throw error;
    }
  }

  async #initialize(): Promise<void> {
    await this.#ask({ cmd: 'init', pmi_version: '1', pmi_subversion: '1' }, 'response_to_init');
    await this.#ask({ cmd: 'get_maxes' }, 'maxes');
    this.#name = (await this.#ask({ cmd: 'get_my_kvsname' }, 'my_kvsname')).kvsname ?? '';
  }

  get name(): string {
    return this.#name;
  }

  // ---- lines

  #receive(text: string): void {
    try {
      for (const line of this.#lines.take(text)) {
        this.#trace(`server: ${line}`);
        const answer = decodePmi(line);
        const asked = this.#asked;
        if (!asked) throw new FluxError('EPROTO', `the PMI server says '${line}' without being asked`);
        this.#asked = undefined;
        asked.resolve(answer);
      }
    } catch (error) {
      this.#fail(error as FluxError);
    }
  }

  #fail(error: FluxError): void {
    this.#failure ??= error;
    this.#asked?.reject(this.#failure);
    this.#asked = undefined;
  }

  async #ask(request: PmiFields, expected: string): Promise<PmiFields> {
    const answer = await new Promise<PmiFields>((resolve, reject) => {
      if (this.#failure) {
        reject(this.#failure);
        return;
      }
      if (this.#asked) throw new FluxError('EBUSY', 'PMI is asked one thing at a time');
      this.#asked = { resolve, reject };
      this.#send(request);
    });
    const { cmd, rc = '0', msg } = answer;
    if (cmd !== expected) throw new FluxError('EPROTO', `the PMI server answers ${request.cmd} with ${cmd}`);
    if (rc !== '0') throw new FluxError('EIO', `${request.cmd} failed: ${msg ?? `the PMI server answers rc=${rc}`}`);
    return answer;
  }

  #send(request: PmiFields): void {
    const line = encodePmi(request);
    this.#trace(`client: ${line.trimEnd()}`);
    this.#stream.write(line);
  }

  // ---- calls

  async put(key: string, value: string): Promise<void> {
    await this.#ask({ cmd: 'put', kvsname: this.#name, key, value }, 'put_result');
  }

  async get(key: string): Promise<string> {
    return (await this.#ask({ cmd: 'get', kvsname: this.#name, key }, 'get_result')).value ?? '';
  }

  async barrier(): Promise<void> {
    await this.#ask({ cmd: 'barrier_in' }, 'barrier_out');
  }

  /** The launcher ends all processes, this one too. */
  async abort(message: string): Promise<never> {
    const line = encodePmi({ cmd: 'abort', exitcode: '1', error_msg: message });
    this.#trace(`client: ${line.trimEnd()}`);
    await new Promise((resolve) => this.#stream.write(line, resolve));
    throw new FluxError('ECANCELED', message);
  }

  async finalize(): Promise<void> {
    await this.#ask({ cmd: 'finalize' }, 'finalize_ack');
  }

  close(): void {
    this.#stream.destroy();
  }
}
