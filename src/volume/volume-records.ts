/** The records of volumes: ROOT/volumes.db. A volume is recorded before its directory is made. */
import { Database, SQLiteError } from "bun:sqlite";
import * as v from "valibot";
import { dictionary } from "../contract/dictionary.ts";
import { HullError, messageOf } from "../contract/errors.ts";

export interface VolumeRecord {
  readonly name: string;
  readonly options: Readonly<Record<string, string>>;
  readonly labels: Readonly<Record<string, string>>;
  readonly anonymous: boolean;
  readonly createdAt: number;
  /** Its removal has begun: it is in no list. */
  readonly removing: boolean;
}

/** One entry per schema version, in order; never edited once released. */
const migrations: readonly string[] = [
  `CREATE TABLE volumes (
     name TEXT PRIMARY KEY, options TEXT NOT NULL, labels TEXT NOT NULL, anonymous INTEGER NOT NULL,
     created REAL NOT NULL, removing INTEGER NOT NULL DEFAULT 0
   ) STRICT;`,
];

const texts = dictionary(v.string());
const row = v.pipe(
  v.object({
    name: v.string(),
    options: v.string(),
    labels: v.string(),
    anonymous: v.number(),
    created: v.number(),
    removing: v.number(),
  }),
  v.transform(
    ({ name, options, labels, anonymous, created, removing }): VolumeRecord => ({
      name,
      options: v.parse(texts, JSON.parse(options)),
      labels: v.parse(texts, JSON.parse(labels)),
      anonymous: anonymous !== 0,
      createdAt: created,
      removing: removing !== 0,
    }),
  ),
);

export class VolumeRecords implements Disposable {
  readonly #path: string;
  readonly #database: Database;

  constructor(path: string) {
    this.#path = path;
    try {
      this.#database = new Database(path, { create: true, strict: true });
      this.#database.run("PRAGMA journal_mode = WAL");
      // A volume holds what its user wants to keep: its record outlives a power cut.
      this.#database.run("PRAGMA synchronous = FULL");
      this.#migrate();
    } catch (error) {
      throw this.#explain(error);
    }
  }

  /** Throws when the name is taken: the caller has looked. */
  insert(record: VolumeRecord): void {
    const { name, options, labels, anonymous, createdAt } = record;
    this.#writing(() =>
      this.#database
        .query("INSERT INTO volumes (name, options, labels, anonymous, created) VALUES (?,?,?,?,?)")
        .run(name, JSON.stringify(options), JSON.stringify(labels), anonymous ? 1 : 0, createdAt),
    );
  }

  markRemoving(name: string, removing: boolean): void {
    this.#writing(() =>
      this.#database.query("UPDATE volumes SET removing = ? WHERE name = ?").run(removing ? 1 : 0, name),
    );
  }

  forget(name: string): void {
    this.#writing(() => this.#database.query("DELETE FROM volumes WHERE name = ?").run(name));
  }

  load(): VolumeRecord[] {
    try {
      const rows = this.#database.query("SELECT * FROM volumes ORDER BY created").all();
      return v.parse(v.array(row), rows);
    } catch (error) {
      throw this.#explain(error);
    }
  }

  [Symbol.dispose](): void {
    this.#database.close();
  }

  #migrate(): void {
    const { user_version: version } = v.parse(
      v.object({ user_version: v.number() }),
      this.#database.query("PRAGMA user_version").get(),
    );
    if (version > migrations.length)
      throw new HullError("conflict", { what: `${this.#path} was written by a newer Hull: update Hull` });
    for (const [index, sql] of migrations.entries()) {
      if (index < version) continue;
      this.#database.transaction(() => {
        this.#database.run(sql);
        this.#database.run(`PRAGMA user_version = ${index + 1}`);
      })();
    }
  }

  #writing(write: () => void): void {
    try {
      write();
    } catch (error) {
      throw this.#explain(error);
    }
  }

  #explain(error: unknown): unknown {
    if (error instanceof HullError) return error;
    if (error instanceof SQLiteError && error.code === "SQLITE_FULL")
      return new HullError("noSpace", { what: "the records of volumes", path: this.#path }, { cause: error });
    return new HullError(
      "internal",
      { what: `the records of volumes ${this.#path}: ${messageOf(error)}` },
      { cause: error },
    );
  }
}
