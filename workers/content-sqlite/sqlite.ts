/**
 * A BlobDatabase in SQLite, with flux-core's tables, so that the file of one opens in the other.
 *
 * flux-core binds digests as text, bytes that are no UTF-8 though they are; as blobs they would be other keys.
 */

import fs from 'node:fs';
import path from 'node:path';
import type { DatabaseSyncInstance, StatementSyncInstance } from '@photostructure/sqlite';
import { about, asFluxError, type ErrnoName, FluxError } from '../../core/errno.ts';
import type { BlobDatabase, BlobRow, CountedRow, NewRow, StoredCheckpoint, SweepRange } from './blob-database.ts';

export interface SqliteOptions {
  readonly journalMode: string;
  readonly synchronous: string;
  /** Whether to begin anew. */
  readonly truncate: boolean;
  /** Told of what is wrong with the file beyond what keeps it from being opened, and of what was changed. */
  readonly log: (severity: 'err' | 'info', text: string) => void;
}

const tables = `
  CREATE TABLE IF NOT EXISTS objects(
    hash BLOB PRIMARY KEY,
    size INT,
    object BLOB,
    epoch INT DEFAULT 0
  );
  CREATE TABLE IF NOT EXISTS checkpt_v2(
    id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    value TEXT
  );`;

/**
 * References to rows that are there since the database was opened: rows without an entry have one. It is not in the file:
 * who was to be counted there is not known any more after a crash.
 */
const counts = 'CREATE TEMP TABLE refs(id INTEGER PRIMARY KEY, count INT)';
/** Instead of a count: stored by somebody else than the KVS, and then read. */
const UNREAD = -1;
const READ = -2;

/** Faults of the file that are logged. */
const FAULTS_SHOWN = 10;

/** The first byte of SQLite's codes. */
const errnos: Readonly<Record<number, ErrnoName>> = {
  3: 'EPERM',
  4: 'EPERM',
  5: 'EBUSY',
  6: 'EBUSY',
  7: 'ENOMEM',
  8: 'EPERM',
  10: 'EIO',
  11: 'EIO',
  13: 'ENOSPC',
  14: 'EACCES',
  18: 'EFBIG',
  26: 'EIO',
};

function sqliteError(error: unknown): FluxError {
  const { errcode } = error as { errcode?: number };
  if (errcode === undefined) return asFluxError(error);
  return new FluxError(errnos[errcode & 0xff] ?? 'EINVAL', `${(error as Error).message}(${errcode})`, { cause: error });
}

/** Pages of a backup that are copied in one go: four megabytes. */
const BACKUP_PAGES = 1000;

type Statement = StatementSyncInstance;
type Row = readonly (number | string | Uint8Array | null)[];

/**
 * Opens a database, and makes it when there is none.
 *
 * @param file a path, or `:memory:`
 * @throws FluxError EACCES: not to be read and written; EIO: no database; EBUSY: another program has it open
 */
export async function openSqlite(file: string, options: SqliteOptions): Promise<BlobDatabase> {
  const { DatabaseSync } = await import('@photostructure/sqlite');
  try {
    if (options.truncate) for (const suffix of ['', '-wal', '-shm']) fs.rmSync(file + suffix, { force: true });
    const exists = file !== ':memory:' && fs.existsSync(file);
    if (exists) fs.accessSync(file, fs.constants.R_OK | fs.constants.W_OK);
    const database = new DatabaseSync(file);
    try {
      const blobs = blobsIn(database, file, options);
      if (exists) checkFile(database, options);
      return blobs;
    } catch (error) {
      release(database);
      throw error;
    }
  } catch (error) {
    const { errno, message } = sqliteError(error);
    throw new FluxError(errno, message.startsWith(file) ? message : `${file}: ${message}`, { cause: error });
  }
}

/** The blobs in an open database; the tables are made when there are none. */
export function blobsIn(database: DatabaseSyncInstance, file: string, options: SqliteOptions): BlobDatabase {
  database.exec(`PRAGMA journal_mode=${options.journalMode}`);
  database.exec(`PRAGMA synchronous=${options.synchronous}`);
  database.exec('PRAGMA locking_mode=EXCLUSIVE');
  database.exec(tables);
  // Some bytes for each row; and nobody's folder for temporary files has to be writable.
  database.exec('PRAGMA temp_store=MEMORY');
  database.exec(counts);
  upgrade(database, options);
  return new SqliteDatabase(database, file);
}

/**
 * Closes a database. Statements hold their connection until they are collected as garbage, so its lock is given up before,
 * and what is in the write-ahead log goes into the file.
 */
function release(database: DatabaseSyncInstance): void {
  try {
    database.exec('PRAGMA journal_mode=DELETE');
    database.exec('PRAGMA locking_mode=NORMAL');
    // The lock goes with the next access.
    database.exec('SELECT 1 FROM sqlite_master');
  } catch {
    // It is no database, or its log stays where it is and is read by whoever opens it next.
  }
  database.close();
}

/** What is damaged is logged; the rest can be read. */
function checkFile(database: DatabaseSyncInstance, { log }: SqliteOptions): void {
  for (const fault of faultsOf(database)) if (fault !== 'ok') log('err', `the database is damaged: ${fault}`);
}

function faultsOf(database: DatabaseSyncInstance): readonly string[] {
  try {
    const rows = database.prepare(`PRAGMA quick_check(${FAULTS_SHOWN})`, { returnArrays: true }).all() as [string][];
    return rows.map(([fault]) => fault);
  } catch (error) {
    return [sqliteError(error).message];
  }
}

/** Brings the tables of older versions of flux-core to what they are now. */
function upgrade(database: DatabaseSyncInstance, { log }: SqliteOptions): void {
  const columns = database.prepare('PRAGMA table_info(objects)').all() as { name: string }[];
  if (!columns.some(({ name }) => name === 'epoch')) {
    log('info', 'adding epoch column to objects table');
    database.exec('ALTER TABLE objects ADD COLUMN epoch INT DEFAULT 0');
  }
  const old = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND tbl_name = 'checkpt'";
  if (!database.prepare(old).get()) return;
  const row = database.prepare("SELECT value FROM checkpt WHERE key = 'kvs-primary'").get() as
    | { value: string }
    | undefined;
  if (row && !isJson(row.value)) throw new FluxError('EINVAL', 'invalid checkpoint format in legacy checkpt table');
  database.exec('BEGIN');
  if (row) database.prepare('INSERT INTO checkpt_v2 (value) VALUES (?1)').run(row.value);
  database.exec('DROP TABLE checkpt; COMMIT');
}

function isJson(text: string): boolean {
  try {
    return typeof JSON.parse(text) === 'object';
  } catch {
    return false;
  }
}

class SqliteDatabase implements BlobDatabase {
  readonly #database: DatabaseSyncInstance;
  readonly #file: string;
  readonly #statements = new Map<string, Statement>();
  /** The last row that was there before. */
  readonly #lastOldRow: number;

  constructor(database: DatabaseSyncInstance, file: string) {
    this.#database = database;
    this.#file = file;
    this.#lastOldRow = this.highWater();
  }

  /** Prepared when first needed, and kept. */
  #statement(sql: string): Statement {
    let statement = this.#statements.get(sql);
    if (!statement) {
      statement = this.#database.prepare(sql, { returnArrays: true });
      this.#statements.set(sql, statement);
    }
    return statement;
  }

  #row(sql: string, ...values: unknown[]): Row | undefined {
    return this.#try(() => this.#statement(sql).get(...values) as Row | undefined);
  }

  #number(sql: string, ...values: unknown[]): number {
    return (this.#row(sql, ...values)?.[0] as number | null | undefined) ?? 0;
  }

  #try<T>(action: () => T): T {
    try {
      return action();
    } catch (error) {
      throw sqliteError(error);
    }
  }

  transaction<T>(action: () => T): T {
    return this.#try(() => {
      this.#database.exec('BEGIN');
      try {
        const result = action();
        this.#database.exec('COMMIT');
        return result;
      } catch (error) {
        // SQLite has rolled back some faults itself.
        if (this.#database.isTransaction) this.#database.exec('ROLLBACK');
        throw error;
      }
    });
  }

  load(digest: Uint8Array): BlobRow | undefined {
    const row = this.#row('SELECT object, size FROM objects WHERE hash = CAST(?1 AS TEXT)', digest);
    if (!row) return undefined;
    const [object, size] = row;
    // An empty blob of flux-core's is NULL.
    if (object !== null && !(object instanceof Uint8Array)) throw new FluxError('EBADMSG', 'the object is no blob');
    if (typeof size !== 'number') throw new FluxError('EBADMSG', 'the size is no number');
    return { object: object ?? new Uint8Array(), size };
  }

  has(digest: Uint8Array): boolean {
    return this.#row('SELECT 1 FROM objects WHERE hash = CAST(?1 AS TEXT)', digest) !== undefined;
  }

  store(rows: readonly NewRow[], epoch: number): void {
    const insert = this.#statement(
      'INSERT INTO objects (hash, size, object, epoch) VALUES (CAST(?1 AS TEXT), ?2, ?3, ?4) ON CONFLICT(hash) DO NOTHING',
    );
    this.transaction(() => {
      for (const { digest, size, object, isCounted } of rows) {
        const { changes, lastInsertRowid } = insert.run(digest, size, object, epoch);
        if (!changes) this.#storeAgain(digest, epoch);
        else if (!isCounted) this.#setCount(Number(lastInsertRowid), UNREAD);
      }
    });
  }

  #storeAgain(digest: Uint8Array, epoch: number): void {
    this.#statement('UPDATE objects SET epoch = ?1 WHERE hash = CAST(?2 AS TEXT)').run(epoch, digest);
    const row = this.find(digest)!;
    this.setReferences(row, row.references + 1);
  }

  find(digest: Uint8Array): CountedRow | undefined {
    const found = this.#row(
      'SELECT objects.rowid, count FROM objects LEFT JOIN refs ON id = objects.rowid WHERE hash = CAST(?1 AS TEXT)',
      digest,
    ) as [number, number | null] | undefined;
    if (!found) return undefined;
    const [row, count] = found;
    if (row <= this.#lastOldRow) return { row, references: Infinity, isUnread: false };
    if (count === null) return { row, references: 1, isUnread: false };
    return { row, references: count < 0 ? Infinity : count, isUnread: count === UNREAD };
  }

  setReferences({ row, references: before }: CountedRow, references: number): void {
    if (before === Infinity) return;
    if (references === 1) this.#statement('DELETE FROM refs WHERE id = ?1').run(row);
    else this.#setCount(row, references);
  }

  setRead({ row }: CountedRow): void {
    this.#setCount(row, READ);
  }

  setUnread({ row }: CountedRow): void {
    this.#setCount(row, UNREAD);
  }

  #setCount(row: number, count: number): void {
    this.#statement('INSERT OR REPLACE INTO refs (id, count) VALUES (?1, ?2)').run(row, count);
  }

  remove({ row }: CountedRow): void {
    this.#removeRow(row);
  }

  #removeRow(row: number): void {
    this.#statement('DELETE FROM objects WHERE rowid = ?1').run(row);
    this.#statement('DELETE FROM refs WHERE id = ?1').run(row);
  }

  checkpoints(): readonly StoredCheckpoint[] {
    const rows = this.#try(
      () => this.#statement('SELECT id, value FROM checkpt_v2 ORDER BY id DESC').all() as [number, string][],
    );
    return rows.map(([id, value]) => ({ id, value }));
  }

  putCheckpoint(value: string, keep: number): number {
    return this.transaction(() => {
      const { lastInsertRowid } = this.#statement('INSERT INTO checkpt_v2 (value) VALUES (?1)').run(value);
      this.#statement(
        'DELETE FROM checkpt_v2 WHERE id IN (SELECT id FROM checkpt_v2 ORDER BY id DESC LIMIT -1 OFFSET ?1)',
      ).run(keep);
      return Number(lastInsertRowid);
    });
  }

  lastCheckpoint(): number {
    return this.#number('SELECT MAX(id) FROM checkpt_v2');
  }

  count(): number {
    return this.#number('SELECT COUNT(1) FROM objects');
  }

  highWater(): number {
    return this.#number('SELECT MAX(rowid) FROM objects');
  }

  countBefore(epoch: number): number {
    return this.#number('SELECT COUNT(*) FROM objects WHERE epoch < ?1', epoch);
  }

  mark(digests: readonly Uint8Array[], epoch: number): number {
    const update = this.#statement('UPDATE objects SET epoch = MAX(epoch, ?1) WHERE hash = CAST(?2 AS TEXT)');
    return this.transaction(() => digests.reduce((sum, digest) => sum + Number(update.run(epoch, digest).changes), 0));
  }

  sweep({ cursor, end }: SweepRange, epoch: number, limit: number): readonly number[] {
    const select = this.#statement(
      'SELECT rowid FROM objects WHERE epoch < ?1 AND rowid > ?2 AND rowid <= ?3 ORDER BY rowid LIMIT ?4',
    );
    return this.transaction(() => {
      const rows = (select.all(epoch, cursor, end, limit) as [number][]).map(([row]) => row);
      for (const row of rows) this.#removeRow(row);
      return rows;
    });
  }

  sizes(): { file: number; free: number } {
    if (this.#file === ':memory:') return { file: 0, free: 0 };
    const { bsize, bavail } = fs.statfsSync(path.dirname(this.#file));
    return { file: fs.statSync(this.#file).size, free: bsize * bavail };
  }

  async backup(file: string): Promise<number> {
    if (fs.existsSync(file)) throw new FluxError('EEXIST', `${file} exists already`);
    try {
      const { backup } = await import('@photostructure/sqlite');
      await backup(this.#database, file, { rate: BACKUP_PAGES });
      return fs.statSync(file).size;
    } catch (error) {
      fs.rmSync(file, { force: true });
      throw about(file, sqliteError(error));
    }
  }

  close(): void {
    release(this.#database);
  }
}
