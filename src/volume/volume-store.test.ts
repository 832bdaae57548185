import { afterEach, beforeEach, expect, test } from "bun:test";
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { volumeMount } from "./local-options.ts";
import { VolumeRecords } from "./volume-records.ts";
import { openVolumeStore } from "./volume-store.ts";

let root = "";
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "volume-store-"));
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

const plain = { driver: "", anonymous: false, options: {}, labels: {} };

test("volumes outlive the store, and go with their files", async () => {
  {
    using store = await openVolumeStore(root);
    const { volume, made } = store.create({ ...plain, name: "data", labels: { a: "b" } });
    expect(made).toBe(true);
    expect(store.create({ ...plain, name: "data" }).made).toBe(false);
    writeFileSync(join(volume.mountpoint, "file"), "kept");
  }
  using store = await openVolumeStore(root);
  expect(store.list()).toMatchObject([{ name: "data", labels: { a: "b" }, anonymous: false }]);
  expect(await store.bytes("data")).toBeGreaterThan(0);
  await store.remove("data");
  expect(store.list()).toEqual([]);
  expect(readdirSync(join(root, "volumes"))).toEqual([]);
  expect(() => store.get("data")).toThrow("No such volume: data");
});

test("a removal that was cut short is finished, a creation too", async () => {
  {
    using store = await openVolumeStore(root);
    store.create({ ...plain, name: "going" });
    store.create({ ...plain, name: "coming" });
    using records = new VolumeRecords(join(root, "volumes.db"));
    records.markRemoving("going", true);
    rmSync(join(root, "volumes", "coming"), { recursive: true });
  }
  using store = await openVolumeStore(root);
  expect(store.list().map(({ name }) => name)).toEqual(["coming"]);
  expect(existsSync(store.get("coming").mountpoint)).toBe(true);
  expect(existsSync(join(root, "volumes", "going"))).toBe(false);
});

test("a volume with options is mounted while it is held, and its files are never removed with it", async () => {
  using store = await openVolumeStore(root);
  const elsewhere = mkdtempSync(join(root, "elsewhere-"));
  writeFileSync(join(elsewhere, "precious"), "");
  const options = { type: "none", o: "bind", device: elsewhere };
  const { mountpoint } = store.create({ ...plain, name: "bound", options }).volume;
  const [one, two] = [await store.hold("bound"), await store.hold("bound")];
  expect(readdirSync(mountpoint)).toEqual(["precious"]);
  await expect(store.remove("bound")).rejects.toThrow("in use");
  one[Symbol.dispose]();
  expect(readdirSync(mountpoint)).toEqual(["precious"]);
  two[Symbol.dispose]();
  two[Symbol.dispose]();
  await Promise.resolve();
  expect(readdirSync(mountpoint)).toEqual([]);
  await store.remove("bound");
  expect(readdirSync(elsewhere)).toEqual(["precious"]);
});

test("what is in memory is its workloads' alone once the daemon is another", async () => {
  using store = await openVolumeStore(root);
  store.create({ ...plain, name: "memory", options: { type: "tmpfs", device: "tmpfs" } });
  const held = await store.holdAgain("memory");
  await expect(store.hold("memory")).rejects.toThrow("before the daemon was restarted");
  await expect(store.remove("memory")).rejects.toThrow("in use");
  held[Symbol.dispose]();
  (await store.hold("memory"))[Symbol.dispose]();
  await Promise.resolve();
  await store.remove("memory");
});

test("a volume whose removal goes on is not given to anybody, and is there again if the removal fails", async () => {
  using store = await openVolumeStore(root);
  const { mountpoint } = store.create({
    ...plain,
    name: "stuck",
    options: { type: "tmpfs", device: "tmpfs" },
  }).volume;
  writeFileSync(join(mountpoint, "not ours"), "");
  const removal = store.remove("stuck");
  expect(() => store.create({ ...plain, name: "stuck" })).toThrow("is being removed");
  await expect(removal).rejects.toThrow();
  expect(store.get("stuck").name).toBe("stuck");
  rmSync(join(mountpoint, "not ours"));
  await store.remove("stuck");
  expect(store.list()).toEqual([]);
});

test("what cannot be mounted says why, and is not held", async () => {
  using store = await openVolumeStore(root);
  const options = { type: "none", o: "bind", device: join(root, "absent") };
  store.create({ ...plain, name: "absent", options });
  await expect(store.hold("absent")).rejects.toThrow(`cannot mount ${join(root, "absent")}`);
  await store.remove("absent");
});

test.each(["", "a/b", "..", ".hidden", "a", "x".repeat(300)])("%p is no name of a volume", async (name) => {
  using store = await openVolumeStore(root);
  expect(() => store.directoryOf(name)).toThrow("invalid volume name");
});

test.each([
  [{ sort: "x" }, "volume option sort"],
  [{ device: "/x" }, "option type"],
  [{ type: "nfs" }, "option device"],
  [{ type: "none", device: "-x" }, "hyphen"],
  [{ type: "a,b", device: "x" }, "option type"],
] as const)("options %j are refused", (options, why) => {
  expect(() => volumeMount(options)).toThrow(why);
});

test("a driver that is not there, and other options for a name that is taken", async () => {
  using store = await openVolumeStore(root);
  expect(() => store.create({ ...plain, name: "xx", driver: "nfs" })).toThrow("one driver, local");
  store.create({ ...plain, name: "xx" });
  const options = { type: "tmpfs", device: "tmpfs" };
  expect(() => store.create({ ...plain, name: "xx", options })).toThrow("other options");
});
