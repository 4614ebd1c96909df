/**
 * The server's side of the PMI-1 wire protocol (RFC 13), for the processes of one program: what it answers to their lines.
 * It does no I/O.
 */

import { FluxError } from '../errno.ts';
import { decodePmi, encodePmi, type PmiFields, pmiMaxes } from './wire.ts';

export interface PmiServerOptions {
  /** Of the key-value space. */
  readonly name: string;
  readonly size: number;
  /** How many of the processes this server is for; all when absent. */
  readonly localSize?: number;
  /**
   * What the processes of all servers have put, once they are all in a barrier; `pending` are those of this server since the
   * last one. When absent there are no other servers.
   */
  readonly exchange?: (pending: Readonly<Record<string, string>>) => Promise<Readonly<Record<string, string>>>;
  /** Keys that are there from the start. */
  readonly values?: Readonly<Record<string, string>>;
  /** Sends a line to a process. */
  send(rank: number, line: string): void;
  /** A process wants all to be ended. */
  abort(rank: number, exitCode: number, message: string): void;
}

/** What keys begin with that are put and got on one node only, as Cray's PMI has them. */
const LOCAL_PREFIX = 'local::';

/** Server-wide, so that `put` of one process is `get` of another one. */
export class PmiServer {
  readonly #options: PmiServerOptions;
  readonly #values: Map<string, string>;
  readonly #inBarrier = new Set<number>();
  readonly #finalized = new Set<number>();
  #pending: Record<string, string> = {};

  constructor(options: PmiServerOptions) {
    this.#options = options;
    this.#values = new Map(Object.entries(options.values ?? {}));
  }

  get #localSize(): number {
    return this.#options.localSize ?? this.#options.size;
  }

  /** Whether all processes have said that they are done. */
  get isDone(): boolean {
    return this.#finalized.size === this.#localSize;
  }

  /**
   * Takes a line of a process, without its newline.
   *
   * @throws FluxError EPROTO: it is none; that process has a bug, and its connection is not to be trusted
   */
  receive(rank: number, line: string): void {
    const request = decodePmi(line);
    const answer = this.#answer(rank, request);
    if (answer) this.#send(rank, answer);
  }

  #send(rank: number, fields: PmiFields): void {
    this.#options.send(rank, encodePmi(fields));
  }

  #answer(rank: number, request: PmiFields): PmiFields | undefined {
    const { name, size } = this.#options;
    switch (request.cmd) {
      case 'init':
        return init(request);
      case 'get_maxes':
        return {
          cmd: 'maxes',
          rc: '0',
          kvsname_max: String(pmiMaxes.kvsname),
          keylen_max: String(pmiMaxes.key),
          vallen_max: String(pmiMaxes.value),
        };
      case 'get_appnum':
        return { cmd: 'appnum', rc: '0', appnum: '0' };
      case 'get_my_kvsname':
        return { cmd: 'my_kvsname', rc: '0', kvsname: name };
      case 'get_universe_size':
        return { cmd: 'universe_size', rc: '0', size: String(size) };
      case 'put':
        return this.#put(request);
      case 'get':
        return this.#get(request);
      case 'barrier_in':
        this.#enterBarrier(rank);
        return undefined;
      case 'publish_name':
      case 'unpublish_name':
      case 'lookup_name':
        return { cmd: `${request.cmd.replace('_name', '')}_result`, rc: '-1', msg: 'not_supported' };
      case 'abort':
        this.#options.abort(rank, Number(request.exitcode ?? 1), request.error_msg ?? '');
        return undefined;
      case 'finalize':
        this.#finalized.add(rank);
        return { cmd: 'finalize_ack', rc: '0' };
      default:
        throw new FluxError('EPROTO', `PMI has no command '${request.cmd}'`);
    }
  }

  #put({ kvsname, key = '', value }: PmiFields): PmiFields {
    const fault =
      this.#fault(kvsname, key) ?? (value === undefined || isLong(value, pmiMaxes.value) ? 'invalid_value' : undefined);
    if (fault) return { cmd: 'put_result', rc: '-1', msg: fault };
    this.#values.set(key, value!);
    // Keys of one node are nobody else's business.
    if (this.#options.exchange && !key.startsWith(LOCAL_PREFIX)) this.#pending[key] = value!;
    return { cmd: 'put_result', rc: '0', msg: 'success' };
  }

  #get({ kvsname, key = '' }: PmiFields): PmiFields {
    const value = this.#values.get(key);
    const fault = this.#fault(kvsname, key) ?? (value === undefined ? 'key_not_found' : undefined);
    if (fault) return { cmd: 'get_result', rc: '-1', msg: fault };
    return { cmd: 'get_result', rc: '0', value: value! };
  }

  #fault(kvsname: string | undefined, key: string): string | undefined {
    if (kvsname !== this.#options.name) return 'invalid_kvsname';
    return key === '' || isLong(key, pmiMaxes.key) ? 'invalid_key' : undefined;
  }

  #enterBarrier(rank: number): void {
    this.#inBarrier.add(rank);
    if (this.#inBarrier.size < this.#localSize) return;
    const { exchange } = this.#options;
    if (exchange) void this.#exchange(exchange);
    else this.#leaveBarrier('0');
  }

  async #exchange(exchange: NonNullable<PmiServerOptions['exchange']>): Promise<void> {
    const pending = this.#pending;
    this.#pending = {};
    try {
      const values = await exchange(pending);
      for (const key in values) this.#values.set(key, values[key]!);
      this.#leaveBarrier('0');
    } catch {
      this.#leaveBarrier('-1');
    }
  }

  #leaveBarrier(rc: string): void {
    const ranks = [...this.#inBarrier];
    this.#inBarrier.clear();
    for (const each of ranks) this.#send(each, { cmd: 'barrier_out', rc });
  }
}

function isLong(text: string, max: number): boolean {
  return Buffer.byteLength(text) >= max;
}

/** Version 1.1 is what there is; who wants another is told so. */
function init({ pmi_version, pmi_subversion }: PmiFields): PmiFields {
  const rc = pmi_version === '1' && pmi_subversion === '1' ? '0' : '-1';
  return { cmd: 'response_to_init', rc, pmi_version: '1', pmi_subversion: '1' };
}
