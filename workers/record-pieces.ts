/**
 * Records of which there are many and few change, such as those of jobs that are over, in the KVS in pieces of a thousand:
 * so a restart has them a hundred times sooner than one by one.
 *
 *     checkpoint.job-list.17    the records of a piece
 *
 * What is added is gathered until `close` puts it into pieces. What changes in the KVS is for the owner to commit, all of it
 * together: then each record is in one piece, or in none.
 */

import { asFluxError, FluxError } from '../core/errno.ts';
import type { Kvs } from '../core/handle/kvs.ts';
import type { JsonValue } from '../core/json.ts';

/** Records of one piece. */
const PIECE_MAX = 1000;
/** Pieces that are read at a time. */
const READ_AHEAD = 16;
/** The place of what is gathered. */
const GATHERED = 0;

/** What can be in a piece. */
export interface Recorded {
  /** Number of the piece that it is in; none when undefined. For `RecordPieces` alone. */
  piece: number | undefined;
}

export interface RecordCodec<T> {
  encode(records: readonly T[]): JsonValue;
  /** @throws when that is no piece */
  decode(value: JsonValue): T[];
}

/** A key that is to have another value; undefined: it is to be removed. */
export interface KeyChange {
  readonly key: string;
  readonly value: JsonValue | undefined;
}

export class RecordPieces<T extends Recorded> {
  readonly #directory: string;
  readonly #codec: RecordCodec<T>;
  readonly #pieces = new Map<number, T[]>();
  readonly #changed = new Set<number>();
  #gathered = new Set<T>();
  /** The newest piece, which has room perhaps. */
  #last = GATHERED;

  /** @param directory key of the KVS below which the pieces are */
  constructor(directory: string, codec: RecordCodec<T>) {
    this.#directory = directory;
    this.#codec = codec;
  }

  /** Records that are in no piece yet. */
  get gathered(): number {
    return this.#gathered.size;
  }

  /** Whether there is enough for a piece. */
  get isDue(): boolean {
    return this.#gathered.size >= PIECE_MAX;
  }

  add(record: T): void {
    record.piece = GATHERED;
    this.#gathered.add(record);
  }

  remove(record: T): void {
    const { piece } = record;
    if (piece === undefined) return;
    record.piece = undefined;
    if (piece === GATHERED) {
      this.#gathered.delete(record);
      return;
    }
    const left = this.#pieces.get(piece)!.filter((each) => each !== record);
    if (left.length) this.#pieces.set(piece, left);
    else this.#pieces.delete(piece);
    this.#changed.add(piece);
  }

  /** Puts what was gathered into pieces. */
  close(): void {
    for (const record of this.#gathered) {
      let piece = this.#pieces.get(this.#last);
      if (!piece || piece.length >= PIECE_MAX) {
        piece = [];
        this.#pieces.set(++this.#last, piece);
      }
      piece.push(record);
      record.piece = this.#last;
      this.#changed.add(this.#last);
    }
    this.#gathered = new Set();
  }

  /** What is to be committed since this was asked last. */
  takeChanges(): KeyChange[] {
    const changes = Array.from(this.#changed, (piece) => {
      const records = this.#pieces.get(piece);
      return { key: `${this.#directory}.${piece}`, value: records && this.#codec.encode(records) };
    });
    this.#changed.clear();
    return changes;
  }

  /**
   * Reads all records; those of pieces that are half empty are put together.
   *
   * @throws FluxError what the KVS says; EINVAL: there is something else
   */
  async load(kvs: Kvs): Promise<T[]> {
    const numbers = await this.#numbers(kvs);
    for (let at = 0; at < numbers.length; at += READ_AHEAD) {
      const some = numbers.slice(at, at + READ_AHEAD);
      const pieces = await Promise.all(some.map((piece) => this.#read(kvs, `${this.#directory}.${piece}`)));
      for (const [index, records] of pieces.entries()) this.#take(some[index]!, records);
    }
    const all = [...this.#pieces.values()].flat();
    this.#join([...this.#pieces].filter(([, records]) => records.length < PIECE_MAX / 2));
    return all;
  }

  #take(piece: number, records: T[]): void {
    this.#last = piece;
    this.#pieces.set(piece, records);
    for (const record of records) record.piece = piece;
  }

  #join(pieces: readonly (readonly [piece: number, records: readonly T[]])[]): void {
    if (pieces.length < 2) return;
    for (const [piece, records] of pieces) {
      this.#pieces.delete(piece);
      this.#changed.add(piece);
      for (const record of records) this.add(record);
    }
    this.close();
  }

  async #numbers(kvs: Kvs): Promise<number[]> {
    try {
      const names = [...(await kvs.readdir(this.#directory)).keys()];
      return names.map(Number).sort((a, b) => a - b);
    } catch (error) {
      if (asFluxError(error).code === 'ENOENT') return [];
      throw error;
    }
  }

  async #read(kvs: Kvs, key: string): Promise<T[]> {
    const value = await kvs.getJson(key);
    try {
      return this.#codec.decode(value);
    } catch (error) {
      throw new FluxError('EINVAL', `${key}: ${(error as Error).message}`, { cause: error });
    }
  }
}
