import { afterEach, beforeEach, expect, test } from "bun:test";
import {
  closeSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readSync,
  rmSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isHullError } from "../../../contract/errors.ts";
import { createMemoryFile } from "../../../host/memory-file.ts";
import { mount, unmount } from "../../../host/mount.ts";
import { diskBytes } from "../disk.ts";
import {
  type Description,
  listTemplates,
  loadTemplate,
  removeDrafts,
  removeTemplate,
  saveTemplate,
} from "./files.ts";

const mebibyte = 1024 * 1024;
const description: Description = {
  key: "ab".repeat(32),
  memoryBytes: 64 * mebibyte,
  processors: 1,
  layerPlaces: 6,
  acceleration: "tcg",
  createdAt: 1,
  parts: { kernel: "k", initramfs: "i", qemu: "q" },
};
const { key, memoryBytes } = description;
const devices = Buffer.from("the state of the devices");
/** What the memory holds, by where it is. */
const content = new Map([
  [0, Buffer.alloc(3 * mebibyte, "low")],
  [20 * mebibyte + 4096, Buffer.from("in the middle")],
  [memoryBytes - 5, Buffer.from("above")],
]);

let directory = "";
let memory = -1;
let disk = -1;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "templates-"));
  memory = createMemoryFile("test", memoryBytes);
  for (const [at, data] of content) writeSync(memory, data, 0, data.length, at);
  disk = createMemoryFile("test", diskBytes);
  writeSync(disk, "file system", diskBytes - 64);
  // Memory that was used and is not any more.
  writeSync(memory, Buffer.alloc(mebibyte), 0, mebibyte, 40 * mebibyte);
});
afterEach(() => {
  closeSync(memory);
  closeSync(disk);
  rmSync(directory, { recursive: true, force: true });
});

async function whyNot(): Promise<string> {
  const error = await loadTemplate(directory, key).catch((reason: unknown) => reason);
  return isHullError(error, "corrupt") ? error.message : `no damage found: ${String(error)}`;
}

test("a template comes back from the disk as it was, and takes the place of what it holds", async () => {
  expect(await loadTemplate(directory, key)).toBeUndefined();
  await saveTemplate(directory, description, { memory, disk, devices });
  const image = await loadTemplate(directory, key);
  if (image === undefined) throw new Error("there is no template");
  try {
    expect(image.devices).toEqual(devices);
    expect(image.usedBytes).toBeLessThan(4 * mebibyte);
    const [one, other] = [Buffer.alloc(mebibyte), Buffer.alloc(mebibyte)];
    for (let at = 0; at < memoryBytes; at += mebibyte) {
      readSync(memory, one, 0, mebibyte, at);
      readSync(image.memory, other, 0, mebibyte, at);
      expect(other.equals(one)).toBe(true);
    }
    readSync(image.disk, one, 0, 64, diskBytes - 64);
    expect(one.subarray(0, 11).toString()).toBe("file system");
    for (const file of [image.memory, image.disk]) expect(() => writeSync(file, "x", 0)).toThrow();
  } finally {
    closeSync(image.memory);
    closeSync(image.disk);
  }
  const [entry] = await listTemplates(directory);
  expect(entry).toMatchObject({ key, manifest: { processors: 1, memoryBytes } });
  expect(entry?.bytes).toBeLessThan(4 * mebibyte);
  await removeTemplate(directory, key);
  expect(await listTemplates(directory)).toEqual([]);
});

test("every kind of damage is found", async () => {
  const place = join(directory, key);
  const damages: Record<string, () => void> = {
    "the memory has another sum": () => {
      const bytes = readFileSync(join(place, "memory"));
      bytes[100] = 1;
      writeFileSync(join(place, "memory"), bytes);
    },
    "the memory is cut short": () => truncateSync(join(place, "memory"), mebibyte),
    "the devices' state has another sum": () => truncateSync(join(place, "devices"), 3),
    "no such file": () => rmSync(join(place, "memory")),
    "disk'": () => rmSync(join(place, "disk")),
    "it has no manifest": () => rmSync(join(place, "manifest.json")),
    JSON: () => truncateSync(join(place, "manifest.json"), 20),
    "its parts have no place": () => {
      const manifest = JSON.parse(readFileSync(join(place, "manifest.json"), "utf8"));
      manifest.ranges = [[memoryBytes, memoryBytes * 2]];
      writeFileSync(join(place, "manifest.json"), JSON.stringify(manifest));
    },
  };
  for (const [why, damage] of Object.entries(damages)) {
    await saveTemplate(directory, description, { memory, disk, devices });
    damage();
    expect(await whyNot()).toContain(why);
  }
});

test("a full disk is named, and nothing is left on it", async () => {
  const full = join(directory, "full");
  mkdirSync(full);
  mount({ source: "tmpfs", target: full, type: "tmpfs", data: "size=1m" });
  try {
    const error = await saveTemplate(full, description, { memory, disk, devices }).catch(
      (reason: unknown) => reason,
    );
    expect(isHullError(error, "noSpace")).toBe(true);
    expect(readdirSync(full)).toEqual([]);
  } finally {
    unmount(full);
  }
});

test("half-written templates of a daemon that was killed go", async () => {
  await saveTemplate(directory, description, { memory, disk, devices });
  mkdirSync(join(directory, `${"cd".repeat(32)}.draft-123`));
  await removeDrafts(directory);
  expect(readdirSync(directory)).toEqual([key]);
});
