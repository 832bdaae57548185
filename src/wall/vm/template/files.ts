/**
 * A template on disk: DIRECTORY/KEY/ with
 *
 *   memory         the parts of the guest's memory that hold something, one after the other
 *   disk           likewise of the writable disk of new workloads, which the guest has mounted
 *   devices        QEMU's state of the devices
 *   manifest.json  what it is, where the parts of the memory go, and the sums of both files
 *
 * It is written to KEY.draft-… and renamed when whole, so a directory with a key's name is a whole template,
 * unless somebody damaged it: that is what the sums tell.
 */
import { createHash, type Hash } from "node:crypto";
import { closeSync, readSync } from "node:fs";
import { type FileHandle, mkdir, open, readdir, readFile, rename, rm, stat } from "node:fs/promises";
import * as v from "valibot";
import { HullError, messageOf } from "../../../contract/errors.ts";
import { createMemoryFile, dataRanges, sealMemoryFile, writeAt } from "../../../host/memory-file.ts";
import { errnoNameOf, explainWriteError } from "../../../host/system-error.ts";
import { diskBytes } from "../disk.ts";

/** Bytes handled at once; a piece of zeros is left out. */
const piece = 64 * 1024;
const chunk = 1024 * 1024;
const zeros = Buffer.alloc(piece);

const manifestSchema = v.object({
  key: v.string(),
  memoryBytes: v.pipe(v.number(), v.integer(), v.minValue(1)),
  processors: v.number(),
  layerPlaces: v.number(),
  acceleration: v.picklist(["kvm", "tcg"]),
  /** Milliseconds since the epoch. */
  createdAt: v.number(),
  parts: v.object({ kernel: v.string(), initramfs: v.string(), qemu: v.string() }),
  /** Where in the guest's memory the parts of the file go: start and end. */
  ranges: v.array(v.tuple([v.number(), v.number()])),
  memorySum: v.string(),
  /** Likewise of the disk. */
  disk: v.object({ ranges: v.array(v.tuple([v.number(), v.number()])), memorySum: v.string() }),
  devicesSum: v.string(),
});
export type SavedMemory = Pick<Manifest, "memoryBytes" | "ranges" | "memorySum">;
export type Manifest = v.InferOutput<typeof manifestSchema>;
export type Description = Omit<Manifest, "ranges" | "memorySum" | "disk" | "devicesSum">;

/** What a machine starts from: its memory is sealed. */
export interface MachineImage {
  /** Descriptor of a memory file; whoever has the image closes it. */
  readonly memory: number;
  readonly memoryBytes: number;
  /** How much of the memory holds something. */
  readonly usedBytes: number;
  readonly devices: Buffer;
}

/** Why a QEMU is not kept as a process; for good when none of its kind ever can be. */
export interface Refusal {
  readonly why: string;
  readonly forGood: boolean;
}

export interface TemplateImage extends MachineImage {
  /** Descriptor of a memory file as well: the writable disk. */
  readonly disk: number;
  /** Likewise: the QEMU that its copies go on as, instead of one that reads the state of the devices (process.ts). */
  readonly process?: number;
  /** Why there is none, although there might. */
  readonly notProcess?: Refusal;
}

const draftMark = ".draft-";

/** Writes a template. Nothing is left of a failed attempt. Throws `noSpace` on a full disk. */
export async function saveTemplate(
  directory: string,
  description: Description,
  image: Pick<TemplateImage, "memory" | "devices" | "disk">,
): Promise<void> {
  const draft = `${directory}/${description.key}${draftMark}${process.pid}`;
  const target = `${directory}/${description.key}`;
  try {
    await mkdir(directory, { recursive: true, mode: 0o700 });
    await rm(draft, { recursive: true, force: true });
    await mkdir(draft, { mode: 0o700 });
    const memory = await saveMemory(`${draft}/memory`, image.memory, description.memoryBytes);
    await writeWhole(`${draft}/devices`, image.devices);
    const disk = await saveMemory(`${draft}/disk`, image.disk, diskBytes);
    const manifest: Manifest = { ...description, ...memory, disk, devicesSum: sumOf(image.devices) };
    await writeWhole(`${draft}/manifest.json`, Buffer.from(JSON.stringify(manifest)));
    await rm(target, { recursive: true, force: true });
    await rename(draft, target);
  } catch (error) {
    await rm(draft, { recursive: true, force: true });
    throw explainWriteError(error, "a template of virtual machines", directory);
  }
}

/** Undefined when there is none. Throws `corrupt` when it is damaged. */
export async function loadTemplate(directory: string, key: string): Promise<TemplateImage | undefined> {
  const place = `${directory}/${key}`;
  try {
    const manifest = await readManifest(place);
    if (manifest === undefined) return undefined;
    if (manifest.key !== key) throw new Error(`it is the template ${manifest.key}`);
    const devices = await readFile(`${place}/devices`);
    if (sumOf(devices) !== manifest.devicesSum) throw new Error("the devices' state has another sum");
    const loaded = await loadMemory(`${place}/memory`, manifest);
    try {
      const disk = await loadMemory(`${place}/disk`, { memoryBytes: diskBytes, ...manifest.disk });
      return { ...loaded, devices, disk: disk.memory };
    } catch (error) {
      closeSync(loaded.memory);
      throw error;
    }
  } catch (error) {
    throw new HullError(
      "corrupt",
      { what: `the template ${key.slice(0, 12)}`, why: messageOf(error) },
      { cause: error },
    );
  }
}

export async function removeTemplate(directory: string, key: string): Promise<void> {
  await rm(`${directory}/${key}`, { recursive: true, force: true });
}

/** Takes away what a daemon that was killed left half-written. */
export async function removeDrafts(directory: string): Promise<void> {
  for (const name of await namesIn(directory))
    if (name.includes(draftMark)) await rm(`${directory}/${name}`, { recursive: true, force: true });
}

export interface TemplateEntry {
  readonly key: string;
  /** Undefined when it is damaged. */
  readonly manifest: Manifest | undefined;
  /** Bytes that it takes on the disk. */
  readonly bytes: number;
}

export async function listTemplates(directory: string): Promise<TemplateEntry[]> {
  const names = (await namesIn(directory)).filter((name) => /^[0-9a-f]{64}$/.test(name)).sort();
  return Promise.all(
    names.map(async (key) => {
      const place = `${directory}/${key}`;
      const sizes = ["memory", "disk", "devices", "manifest.json"].map((name) =>
        stat(`${place}/${name}`).then(
          ({ blocks }) => blocks * 512,
          () => 0,
        ),
      );
      const bytes = (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0);
      return { key, manifest: await readManifest(place).catch(() => undefined), bytes };
    }),
  );
}

async function namesIn(directory: string): Promise<string[]> {
  try {
    return await readdir(directory);
  } catch (error) {
    if (errnoNameOf(error) === "ENOENT") return [];
    throw error;
  }
}

async function readManifest(place: string): Promise<Manifest | undefined> {
  let text: string;
  try {
    text = await readFile(`${place}/manifest.json`, "utf8");
  } catch (error) {
    if (errnoNameOf(error) !== "ENOENT") throw error;
    if (await stat(place).catch(() => undefined)) throw new Error("it has no manifest");
    return undefined;
  }
  return v.parse(manifestSchema, JSON.parse(text));
}

function sumOf(data: Buffer): string {
  return createHash("sha256").update(data).digest("hex");
}

async function writeWhole(path: string, content: Buffer): Promise<void> {
  await using file = await open(path, "wx", 0o600);
  await file.writeFile(content);
}

/** Writes what a memory file holds, without its zeros. */
export async function saveMemory(
  path: string,
  memory: number,
  bytes: number,
): Promise<{ ranges: [number, number][]; memorySum: string }> {
  const ranges: [number, number][] = [];
  const hash = createHash("sha256");
  const buffer = Buffer.alloc(piece);
  await using file = await open(path, "wx", 0o600);
  for (const { start, end } of dataRanges(memory, bytes))
    for (let at = start; at < end; at += piece) {
      const length = readSync(memory, buffer, 0, Math.min(piece, end - at), at);
      const data = buffer.subarray(0, length);
      if (data.equals(zeros.subarray(0, length))) continue;
      hash.update(data);
      await file.appendFile(data);
      const last = ranges.at(-1);
      if (last?.[1] === at) last[1] = at + length;
      else ranges.push([at, at + length]);
    }
  return { ranges, memorySum: hash.digest("hex") };
}

/** The memory file again, sealed. Throws when it is not what was saved. */
export async function loadMemory(
  path: string,
  manifest: SavedMemory,
): Promise<Omit<MachineImage, "devices">> {
  const { memoryBytes, ranges, memorySum } = manifest;
  await using file = await open(path, "r");
  const memory = createMemoryFile("template", memoryBytes);
  try {
    const hash = createHash("sha256");
    let usedBytes = 0;
    let last = 0;
    for (const [start, end] of ranges) {
      if (start < last || end <= start || end > memoryBytes) throw new Error("its parts have no place");
      await copyRange({ file, from: usedBytes, memory, start, end, hash });
      usedBytes += end - start;
      last = end;
    }
    if (hash.digest("hex") !== memorySum) throw new Error("the memory has another sum");
    sealMemoryFile(memory);
    return { memory, memoryBytes, usedBytes };
  } catch (error) {
    closeSync(memory);
    throw error;
  }
}

interface RangeCopy {
  readonly file: FileHandle;
  readonly from: number;
  readonly memory: number;
  readonly start: number;
  readonly end: number;
  readonly hash: Hash;
}

async function copyRange({ file, from, memory, start, end, hash }: RangeCopy): Promise<void> {
  const buffer = Buffer.alloc(Math.min(chunk, end - start));
  for (let at = start; at < end; ) {
    const { bytesRead } = await file.read(buffer, 0, Math.min(chunk, end - at), from + at - start);
    if (bytesRead === 0) throw new Error("the memory is cut short");
    const data = buffer.subarray(0, bytesRead);
    hash.update(data);
    writeAt(memory, data, at);
    at += bytesRead;
  }
}
