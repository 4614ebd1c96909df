/** What the service `content-sqlite` needs of a database: rows of blobs, checkpoints, and what garbage collection asks. */

export interface BlobRow {
  /** The blob, or its LZ4 block. */
  readonly object: Uint8Array;
  /** Bytes of the blob when it is compressed, otherwise -1. */
  readonly size: number;
}

export interface NewRow extends BlobRow {
  readonly digest: Uint8Array;
  /** The KVS has stored it, which tells who refers to it. */
  readonly isCounted: boolean;
}

/** Where a blob is, and who is known to refer to it. */
export interface CountedRow {
  readonly row: number;
  /** How many places; Infinity for what was there when the database was opened, or is not the KVS's. */
  readonly references: number;
  /** It is not the KVS's, and to what it refers itself has not been counted. */
  readonly isUnread: boolean;
}

/** A stretch of rows in the order in which they were stored; `cursor` is the last row before it. */
export interface SweepRange {
  readonly cursor: number;
  readonly end: number;
}

export interface StoredCheckpoint {
  readonly id: number;
  /** JSON text. */
  readonly value: string;
}

/** Every method throws a FluxError that says what the database said. */
export interface BlobDatabase {
  load(digest: Uint8Array): BlobRow | undefined;
  has(digest: Uint8Array): boolean;
  /**
   * Stores rows in one transaction: all or none. A row that is there already gets the epoch, and one reference more.
   */
  store(rows: readonly NewRow[], epoch: number): void;
  /** Newest first. */
  checkpoints(): readonly StoredCheckpoint[];
  /** Adds a checkpoint, keeps the newest `keep`, and returns its id. */
  putCheckpoint(value: string, keep: number): number;
  /** The id of the newest checkpoint there ever was; 0 without one. */
  lastCheckpoint(): number;
  count(): number;
  /** The number of the last row. */
  highWater(): number;
  /** Rows with an epoch before this one: all are looked at. */
  countBefore(epoch: number): number;
  /** Raises the epoch of rows to at least this one, in one transaction, and returns how many of them are there. */
  mark(digests: readonly Uint8Array[], epoch: number): number;
  /** Deletes up to `limit` rows of a stretch that have an epoch before this one, and returns their numbers, ascending. */
  sweep(range: SweepRange, epoch: number, limit: number): readonly number[];
  /** Does it all or nothing. */
  transaction<T>(action: () => T): T;
  /** References are counted from when the database was opened. */
  find(digest: Uint8Array): CountedRow | undefined;
  /** Counts references to a row; what is Infinity stays so. */
  setReferences(row: CountedRow, references: number): void;
  /** Notes that what an unread row refers to has been counted. */
  setRead(row: CountedRow): void;
  /** It is not known any more who refers to a row, nor to what it refers. */
  setUnread(row: CountedRow): void;
  remove(row: CountedRow): void;
  /** Bytes of the file, and bytes free where it is. */
  sizes(): { readonly file: number; readonly free: number };
  /**
   * Copies the database as it is at the end of that into a file, while it is used.
   *
   * @returns bytes of the file; rejects with EEXIST when it is there already
   */
  backup(file: string): Promise<number>;
  close(): void;
}
