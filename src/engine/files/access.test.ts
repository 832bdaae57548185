import { afterEach, beforeEach, expect, test } from "bun:test";
import { isHullError } from "../../contract/errors.ts";
import { tarEnd, tarHeader, tarPadding } from "../../contract/tar-header.ts";
import { EngineBench, requestOf } from "../testing/engine-bench.ts";
import type { Workload } from "../workload.ts";

let bench: EngineBench;
beforeEach(async () => {
  bench = await EngineBench.open();
});
afterEach(() => bench[Symbol.asyncDispose]());

const create = (changes: Parameters<typeof requestOf>[1] = {}): Promise<Workload> =>
  bench.engine.create(requestOf("sleep", changes));

async function* tarOf(path: string, content: string): AsyncGenerator<Uint8Array> {
  const bytes = Buffer.from(content);
  yield tarHeader({ path, type: "file", mode: 0o644, uid: 0, gid: 0, mtimeSeconds: 0, size: bytes.length });
  yield bytes;
  yield tarPadding(bytes.length);
  yield tarEnd;
}

const put = { keepKind: false };

async function failure(attempt: Promise<unknown>): Promise<unknown> {
  return attempt.then(
    () => undefined,
    (error: unknown) => error,
  );
}

test("files of a workload that does not run hold it: it starts when they are let go", async () => {
  const workload = await create();
  const files = await bench.engine.files(workload, { mounts: true });
  await files.extract("/etc", tarOf("./note", "words"), put);
  expect(await files.status("etc/note")).toMatchObject({ path: "note", size: 5 });
  const start = bench.engine.start(workload);
  await Bun.sleep(0);
  expect(workload.state).toBe("created");
  await files[Symbol.asyncDispose]();
  await start;
  expect(workload.state).toBe("running");
  await using again = await bench.engine.files(workload, { mounts: true });
  expect((await again.changes()).map(({ path }) => path)).toEqual(["/etc/note"]);
});

test("what a crash leaves of opened files is taken away, and the workload is as it was", async () => {
  const workload = await create();
  await bench.engine.files(workload, { mounts: true });
  expect(workload.record.life.sandbox).toBe(true);
  await bench.comeBack();
  const found = bench.engine.find(workload.id);
  expect([found.state, found.record.life.sandbox]).toEqual(["created", false]);
  await bench.engine.start(found);
});

test("a suspended workload's files are not touched, and a read-only one's are only read", async () => {
  const suspended = await create({ wall: "vm" });
  await bench.engine.start(suspended);
  await bench.engine.suspend(suspended);
  expect(
    isHullError(await failure(bench.engine.files(suspended, { mounts: true })), "workloadSuspended"),
  ).toBe(true);
  const readOnly = await create({ readOnlyRoot: true });
  await using files = await bench.engine.files(readOnly, { mounts: true });
  const refused = await failure(files.extract("/", tarOf("x", "y"), put));
  expect(isHullError(refused, "readOnlyRoot")).toBe(true);
});

test("an archive that leads out of its directory is refused", async () => {
  const workload = await create();
  await using files = await bench.engine.files(workload, { mounts: true });
  for (const path of ["../x", "a/../../x", ".."])
    expect(isHullError(await failure(files.extract("/d", tarOf(path, "y"), put)), "invalidParameter")).toBe(
      true,
    );
  await files.extract("/d", tarOf("/a/../b", "y"), put);
  expect((await files.changes()).map(({ path }) => path)).toEqual(["/d/b"]);
});

test("paths are read as docker reads them", async () => {
  const workload = await create();
  await using files = await bench.engine.files(workload, { mounts: true });
  await files.extract("/d", tarOf("e/f", "y"), put);
  const firstOf = async (path: string): Promise<string> => {
    for await (const bytes of files.archive(path))
      return Buffer.from(bytes.subarray(0, 100)).toString().split("\0")[0] ?? "";
    return "";
  };
  expect(await firstOf("/d/e")).toBe("e/");
  expect(await firstOf("d//e/")).toBe("e/");
  expect(await firstOf("/d/e/../e/f")).toBe("f");
  expect(await failure(files.status("/none"))).toMatchObject({ code: "noSuchFile" });
});
