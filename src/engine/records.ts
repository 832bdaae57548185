/**
 * The records of workloads: ROOT/state.db, SQLite in WAL mode. A thing is recorded before it is made. Commits
 * are not synced one by one (`synchronous = NORMAL`): a killed daemon loses nothing, and a power cut takes the
 * sandboxes with it anyway.
 */
import { constants, Database, SQLiteError } from "bun:sqlite";
import { statSync } from "node:fs";
import { HullError, messageOf } from "../contract/errors.ts";
import { shortId } from "./names.ts";
import type { Life, State, WorkloadRecord } from "./record.ts";
import { type Row, recordOf } from "./row.ts";

/** One entry per schema version, in order; never edited once released. */
const migrations: readonly string[] = [
  `CREATE TABLE workloads (
     id TEXT PRIMARY KEY,
     short TEXT NOT NULL UNIQUE,
     name TEXT NOT NULL UNIQUE,
     wall TEXT NOT NULL,
     image TEXT NOT NULL,
     created_at REAL NOT NULL,
     state TEXT NOT NULL,
     life TEXT NOT NULL,
     plan TEXT NOT NULL
   ) STRICT;`,
];

const pageBytes = 4096;
/** Pages of the write-ahead log, and free ones in the database, that are kept for bad times: 1 MiB each. */
const reservedPages = 256;

export class Records implements Disposable {
  readonly #path: string;
  readonly #database: Database;
  readonly #insert;
  readonly #settle;
  readonly #change;
  readonly #rename;
  readonly #forget;
  readonly #holder;

  constructor(path: string) {
    this.#path = path;
    this.#database = openDatabase(path);
    this.#insert = this.#database.query<
      null,
      [string, string, string, string, string, number, string, string, string]
    >(
      "INSERT INTO workloads (id, short, name, wall, image, created_at, state, life, plan) VALUES (?,?,?,?,?,?,?,?,?)",
    );
    this.#settle = this.#database.query<null, [string, string, string]>(
      "UPDATE workloads SET state = ?, life = ? WHERE id = ?",
    );
    this.#change = this.#database.query<null, [string, string, string, string, string]>(
      "UPDATE workloads SET wall = ?, state = ?, life = ?, plan = ? WHERE id = ?",
    );
    this.#rename = this.#database.query<null, [string, string]>("UPDATE workloads SET name = ? WHERE id = ?");
    this.#forget = this.#database.query<null, [string]>("DELETE FROM workloads WHERE id = ?");
    this.#holder = this.#database.query<{ id: string }, [string]>("SELECT id FROM workloads WHERE name = ?");
  }

  /** Adds a record and with it reserves the id and the name. Throws `nameInUse`. */
  insert(record: WorkloadRecord): void {
    const { request, spec, mounts, stopSignal, labels } = record;
    this.#reserving(record.name, () =>
      this.#insert.run(
        record.id,
        shortId(record.id),
        record.name,
        record.wall,
        record.image,
        record.createdAt,
        record.state,
        JSON.stringify(record.life),
        JSON.stringify({ request, spec, mounts, stopSignal, labels }),
      ),
    );
  }

  settle(id: string, state: State, life: Life): void {
    this.#writing(() => this.#settle.run(state, JSON.stringify(life), id));
  }

  /** Records a workload's wall and plan with its state. */
  change(record: WorkloadRecord): void {
    const { request, spec, mounts, stopSignal, labels } = record;
    const plan = JSON.stringify({ request, spec, mounts, stopSignal, labels });
    this.#writing(() =>
      this.#change.run(record.wall, record.state, JSON.stringify(record.life), plan, record.id),
    );
  }

  /** Throws `nameInUse`. */
  rename(id: string, name: string): void {
    this.#reserving(name, () => this.#rename.run(name, id));
  }

  forget(id: string): void {
    this.#writing(() => this.#forget.run(id));
  }

  /** Every record, and the ids of rows that do not parse, with the reason. */
  load(): { records: WorkloadRecord[]; broken: { id: string; why: string }[] } {
    const records: WorkloadRecord[] = [];
    const broken: { id: string; why: string }[] = [];
    for (const row of this.#rows()) {
      try {
        records.push(recordOf(row));
      } catch (error) {
        broken.push({ id: row.id, why: messageOf(error) });
      }
    }
    return { records, broken };
  }

  #rows(): Row[] {
    try {
      return this.#database.query<Row, []>("SELECT * FROM workloads ORDER BY created_at").all();
    } catch (error) {
      throw storageError(error, this.#path);
    }
  }

  [Symbol.dispose](): void {
    this.#database.close();
  }

  #writing(write: () => void): void {
    try {
      write();
    } catch (error) {
      throw storageError(error, this.#path);
    }
  }

  #reserving(name: string, write: () => void): void {
    try {
      write();
    } catch (error) {
      const holder = this.#holder.get(name)?.id;
      if (error instanceof SQLiteError && error.code?.startsWith("SQLITE_CONSTRAINT") && holder !== undefined)
        throw new HullError("nameInUse", { name, id: shortId(holder) }, { cause: error });
      throw storageError(error, this.#path);
    }
  }
}

function openDatabase(path: string): Database {
  let database: Database | undefined;
  try {
    database = new Database(path, { create: true, strict: true });
    database.run("PRAGMA journal_mode = WAL");
    database.run("PRAGMA synchronous = NORMAL");
    database.fileControl(constants.SQLITE_FCNTL_PERSIST_WAL, 1);
    database.run(`PRAGMA wal_autocheckpoint = ${reservedPages / 2}`);
    migrate(database, path);
    reserveSpace(database, path);
    // The schema is read with the first query only.
    database.query("SELECT id FROM workloads LIMIT 1").get();
    return database;
  } catch (error) {
    database?.close();
    throw storageError(error, path);
  }
}

/**
 * Removing things has to work on a full disk. So the write-ahead log is made large once, kept, and started over
 * long before it would grow, and the database has as many free pages: from then on ordinary writes take no room.
 */
function reserveSpace(database: Database, path: string): void {
  const log = statSync(`${path}-wal`, { throwIfNoEntry: false })?.size ?? 0;
  if (log >= reservedPages * pageBytes) return;
  try {
    database.run("CREATE TABLE IF NOT EXISTS unused (bytes BLOB) STRICT");
    database.query("INSERT INTO unused VALUES (zeroblob(?))").run(reservedPages * pageBytes);
    database.run("DROP TABLE unused");
    database.run("PRAGMA wal_checkpoint(RESTART)");
  } catch (error) {
    // A disk that is full already is found out by the first write that matters.
    if (!(error instanceof SQLiteError && error.code === "SQLITE_FULL")) throw error;
  }
}

function migrate(database: Database, path: string): void {
  const version =
    database.query<{ user_version: number }, []>("PRAGMA user_version").get()?.user_version ?? 0;
  if (version > migrations.length)
    throw new HullError("conflict", {
      what: `${path} was written by a newer Hull (schema ${version}, this one knows ${migrations.length}): update Hull, or give it another --root`,
    });
  for (const [index, sql] of migrations.entries()) {
    if (index < version) continue;
    database.transaction(() => {
      database.run(sql);
      database.run(`PRAGMA user_version = ${index + 1}`);
    })();
  }
}

function storageError(error: unknown, path: string): unknown {
  if (!(error instanceof SQLiteError)) return error;
  if (error.code === "SQLITE_NOTADB" || error.code?.startsWith("SQLITE_CORRUPT"))
    return new HullError(
      "corrupt",
      {
        what: `the state file ${path}`,
        why: `${error.message}: move it away, and what it recorded is cleaned up`,
      },
      { cause: error },
    );
  if (error.code === "SQLITE_FULL")
    return new HullError("noSpace", { what: "the state file", path }, { cause: error });
  if (error.code === "SQLITE_READONLY" || error.code === "SQLITE_CANTOPEN")
    return new HullError("notWritable", { path, why: error.message }, { cause: error });
  return error;
}
