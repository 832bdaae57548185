/**
 * The records of networks and of workloads on them: ROOT/network.db, SQLite in WAL mode, all of it held in memory
 * too. A thing is recorded before it is made.
 */
import { Database } from "bun:sqlite";
import * as v from "valibot";
import { dictionary } from "../../contract/dictionary.ts";
import { HullError, messageOf } from "../../contract/errors.ts";
import type { NetworkRecord, WorkloadRecord } from "./types.ts";

const migrations: readonly string[] = [
  `CREATE TABLE networks (id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, record TEXT NOT NULL) STRICT;
   CREATE TABLE workloads (id TEXT PRIMARY KEY, record TEXT NOT NULL) STRICT;
   CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;`,
];

const text = v.string();
const texts = v.array(text);
const members = dictionary(text);
const protocol = v.picklist(["tcp", "udp", "sctp"]);

const networkSchema = v.object({
  id: text,
  name: text,
  createdAt: v.number(),
  driver: v.picklist(["bridge", "host", "null"]),
  subnets: v.array(
    v.object({ subnet: text, gateway: text, range: v.exactOptional(text), auxiliary: members }),
  ),
  ipv6: v.boolean(),
  internal: v.boolean(),
  attachable: v.boolean(),
  labels: members,
  options: members,
  ipamOptions: members,
  automatic: v.boolean(),
  bridge: text,
});

const endpointEntries = {
  aliases: texts,
  links: texts,
  ipv4: v.exactOptional(text),
  ipv6: v.exactOptional(text),
  mac: v.exactOptional(text),
  options: members,
  gatewayPriority: v.number(),
};

export const networkRequestSchema = v.object({
  mode: text,
  endpoints: dictionary(v.object(endpointEntries)),
  ports: v.array(
    v.object({ protocol, port: v.number(), hostAddress: text, hostFirst: v.number(), hostLast: v.number() }),
  ),
  publishAll: v.boolean(),
  dns: texts,
  dnsSearch: texts,
  dnsOptions: texts,
  extraHosts: texts,
  domainname: text,
  egress: v.exactOptional(texts),
  ingressRate: v.exactOptional(v.number()),
  egressRate: v.exactOptional(v.number()),
});

const workloadSchema = v.object({
  id: text,
  name: text,
  wall: v.picklist(["container", "vm"]),
  hostname: text,
  request: networkRequestSchema,
  exposed: texts,
  endpoints: v.array(
    v.object({
      ...endpointEntries,
      id: text,
      network: text,
      address4: v.exactOptional(text),
      address6: v.exactOptional(text),
      hardware: v.exactOptional(text),
      interface: text,
      hostLink: text,
    }),
  ),
  bound: v.array(v.object({ protocol, port: v.number(), hostAddress: text, hostPort: v.number() })),
  queue: v.exactOptional(text),
  live: v.boolean(),
});

export class NetworkRecords implements Disposable {
  readonly networks = new Map<string, NetworkRecord>();
  readonly workloads = new Map<string, WorkloadRecord>();
  readonly #database: Database;
  readonly #path: string;

  /** Rows that do not parse are forgotten; `report` is told of them. */
  constructor(path: string, report: (what: string, why: string) => void) {
    this.#path = path;
    this.#database = openDatabase(path);
    for (const row of this.#rows("networks")) {
      const parsed = parse(networkSchema, row.record);
      if (parsed.success) this.networks.set(row.id, parsed.value);
      else this.#forgetBroken("networks", row.id, parsed.why, report);
    }
    for (const row of this.#rows("workloads")) {
      const parsed = parse(workloadSchema, row.record);
      if (parsed.success) this.workloads.set(row.id, parsed.value);
      else this.#forgetBroken("workloads", row.id, parsed.why, report);
    }
  }

  putNetwork(record: NetworkRecord): void {
    this.#write(
      "INSERT INTO networks (id, name, record) VALUES (?1, ?2, ?3) ON CONFLICT (id) DO UPDATE SET name = ?2, record = ?3",
      record.id,
      record.name,
      JSON.stringify(record),
    );
    this.networks.set(record.id, record);
  }

  deleteNetwork(id: string): void {
    this.#write("DELETE FROM networks WHERE id = ?", id);
    this.networks.delete(id);
  }

  putWorkload(record: WorkloadRecord): void {
    this.#write(
      "INSERT INTO workloads (id, record) VALUES (?1, ?2) ON CONFLICT (id) DO UPDATE SET record = ?2",
      record.id,
      JSON.stringify(record),
    );
    this.workloads.set(record.id, record);
  }

  deleteWorkload(id: string): void {
    this.#write("DELETE FROM workloads WHERE id = ?", id);
    this.workloads.delete(id);
  }

  fact(name: string): string | undefined {
    return this.#database
      .query<{ value: string }, [string]>("SELECT value FROM facts WHERE name = ?")
      .get(name)?.value;
  }

  putFact(name: string, value: string | undefined): void {
    if (value === undefined) this.#write("DELETE FROM facts WHERE name = ?", name);
    else
      this.#write(
        "INSERT INTO facts (name, value) VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET value = ?2",
        name,
        value,
      );
  }

  [Symbol.dispose](): void {
    this.#database.close();
  }

  #rows(table: "networks" | "workloads"): { id: string; record: string }[] {
    return this.#database
      .query<{ id: string; record: string }, []>(`SELECT id, record FROM ${table} ORDER BY rowid`)
      .all();
  }

  #forgetBroken(
    table: "networks" | "workloads",
    id: string,
    why: string,
    report: (what: string, why: string) => void,
  ): void {
    report(`the record of ${table} ${id}`, why);
    this.#write(`DELETE FROM ${table} WHERE id = ?`, id);
  }

  #write(sql: string, ...values: string[]): void {
    try {
      this.#database.query<null, string[]>(sql).run(...values);
    } catch (error) {
      if (messageOf(error).includes("full"))
        throw new HullError(
          "noSpace",
          { what: "the records of networks", path: this.#path },
          { cause: error },
        );
      throw new HullError("notWritable", { path: this.#path, why: messageOf(error) }, { cause: error });
    }
  }
}

function parse<const TSchema extends v.GenericSchema>(
  schema: TSchema,
  record: string,
): { success: true; value: v.InferOutput<TSchema> } | { success: false; why: string } {
  try {
    return { success: true, value: v.parse(schema, JSON.parse(record)) };
  } catch (error) {
    return { success: false, why: messageOf(error) };
  }
}

function openDatabase(path: string): Database {
  try {
    const database = new Database(path, { create: true, strict: true });
    database.run("PRAGMA journal_mode = WAL");
    database.run("PRAGMA synchronous = NORMAL");
    const version =
      database.query<{ user_version: number }, []>("PRAGMA user_version").get()?.user_version ?? 0;
    for (const [index, sql] of migrations.entries()) {
      if (index < version) continue;
      database.transaction(() => {
        for (const statement of sql.split(";")) if (statement.trim() !== "") database.run(statement);
        database.run(`PRAGMA user_version = ${index + 1}`);
      })();
    }
    return database;
  } catch (error) {
    throw new HullError(
      "corrupt",
      {
        what: `the file of networks ${path}`,
        why: `${messageOf(error)}: move it away; networks are then to be made again`,
      },
      { cause: error },
    );
  }
}
