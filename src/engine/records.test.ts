import { Database } from "bun:sqlite";
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { planCreate } from "./plan.ts";
import { newLife, type WorkloadRecord } from "./record.ts";
import { Records } from "./records.ts";
import { requestOf } from "./testing/engine-bench.ts";
import { imageWith } from "./testing/fake-images.ts";

let directory: string;
let path: string;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "records-"));
  path = join(directory, "state.db");
});
afterEach(() => rm(directory, { recursive: true }));

function recordNamed(name: string, digit: string): WorkloadRecord {
  const request = requestOf("echo hi", { name, size: { columns: 1, rows: 2 }, stopTimeout: 3 });
  const facts = { id: digit.repeat(64), name, now: 5.25, root: "/r", state: "/s", mounts: [] };
  const [first] = planCreate(request, imageWith(), facts);
  if (first?.do !== "record") throw new Error("a creation begins with its record");
  return first.record;
}

describe("records", () => {
  test("come back as they were, whoever reads them", () => {
    const one = recordNamed("one", "1");
    const two = { ...recordNamed("two", "2"), createdAt: 6 };
    const life = { ...newLife, startedAt: 1.5, exitCode: 3, error: "why", before: "exited" as const };
    {
      using records = new Records(path);
      records.insert(one);
      records.insert(two);
      records.settle(two.id, "starting", life);
    }
    using records = new Records(path);
    const { records: loaded, broken } = records.load();
    expect(broken).toEqual([]);
    expect(loaded).toEqual([one, { ...two, state: "starting", life }]);
  });

  test("reserve a name for one, also against a rename", () => {
    using records = new Records(path);
    records.insert(recordNamed("one", "1"));
    records.insert(recordNamed("two", "2"));
    expect(() => records.insert(recordNamed("one", "3"))).toThrow(
      "the name one is already in use by container 111111111111",
    );
    expect(() => records.rename("2".repeat(64), "one")).toThrow("already in use");
    records.forget("1".repeat(64));
    records.rename("2".repeat(64), "one");
    expect(records.load().records.map(({ name }) => name)).toEqual(["one"]);
  });

  test("a row that does not parse is reported and does not hide the others", () => {
    using records = new Records(path);
    records.insert(recordNamed("one", "1"));
    records.insert(recordNamed("two", "2"));
    const database = new Database(path);
    database.run("UPDATE workloads SET life = '{' WHERE name = 'one'");
    database.close();
    const { records: loaded, broken } = records.load();
    expect(loaded.map(({ name }) => name)).toEqual(["two"]);
    expect(broken.map(({ id }) => id)).toEqual(["1".repeat(64)]);
  });

  test("a file that is no database is refused with what to do", async () => {
    await writeFile(path, "this is no database, but it is long enough to be looked at".repeat(50));
    expect(() => new Records(path)).toThrow("move it away");
  });

  test("a database with a damaged page is refused with what to do", async () => {
    new Records(path)[Symbol.dispose]();
    const database = new Database(path);
    database.run("PRAGMA wal_checkpoint(TRUNCATE)");
    database.close();
    const bytes = Buffer.from(await readFile(path));
    bytes.fill(0x58, 4096, 8192);
    await writeFile(path, bytes);
    expect(() => new Records(path).load()).toThrow("move it away");
  });

  test("a file of a newer schema is refused", () => {
    const database = new Database(path);
    database.run("PRAGMA user_version = 99");
    database.close();
    expect(() => new Records(path)).toThrow("newer Hull");
  });
});
