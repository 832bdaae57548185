/**
 * A suspended machine on disk: DIRECTORY/suspended/ with
 *
 *   memory         the parts of the guest's memory that hold something, one after the other
 *   devices        QEMU's state of the devices
 *   manifest.json  what it is, where the parts of the memory go, and the sums of both files; first its own sum
 *
 * It is written beside, to the disk itself, and renamed when whole: from then on the machine is suspended, whatever is
 * left of its QEMU. It is taken away before the machine goes on, and so can be used once.
 */
import { createHash } from "node:crypto";
import { closeSync, existsSync } from "node:fs";
import { mkdir, open, readFile, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import * as v from "valibot";
import { HullError, messageOf } from "../../../contract/errors.ts";
import { explainWriteError } from "../../../host/system-error.ts";
import { suspendedPlace } from "../../wall.ts";
import { loadMemory, type MachineImage, saveMemory } from "../template/files.ts";

const format = 2;

const descriptionSchema = v.object({
  format: v.literal(format, "another version of Hull saved it"),
  id: v.string(),
  memoryBytes: v.pipe(v.number(), v.integer(), v.minValue(1)),
  processors: v.number(),
  /** Null: the machine had booted by itself, rather than from a template. */
  layerPlaces: v.nullable(v.number()),
  /** See `MachineState`. */
  freshDisk: v.boolean(),
  wiredCards: v.optional(v.boolean(), false),
  acceleration: v.picklist(["kvm", "tcg"]),
  /** Sum of QEMU's program: another one may not understand the state. */
  qemu: v.string(),
  /** Size of the log before the workload's first output, and how much of that output is in no log of its own. */
  logStart: v.number(),
  logOffset: v.tuple([v.number(), v.number()]),
  /** Files of the writable disk. */
  disks: v.array(v.string()),
});
const manifestSchema = v.object({
  ...descriptionSchema.entries,
  ranges: v.array(v.tuple([v.number(), v.number()])),
  memorySum: v.string(),
  devicesSum: v.string(),
});
export type SavedDescription = Omit<v.InferOutput<typeof descriptionSchema>, "format">;

export interface SavedMachine extends SavedDescription {
  /** Whoever has it closes its memory. */
  readonly image: MachineImage;
}

/** Called after each step, with its name, for tests that end the daemon there. */
export type StepTaken = (name: string) => void;

/** Writes a machine's state; nothing is left of a failed attempt. Throws `noSpace` on a full disk. */
export async function writeSaved(
  directory: string,
  description: SavedDescription,
  image: MachineImage,
  step: StepTaken,
): Promise<void> {
  const place = suspendedPlace(directory);
  const draft = `${place}.draft`;
  try {
    await rm(draft, { recursive: true, force: true });
    await mkdir(draft, { mode: 0o700 });
    const memory = await saveMemory(join(draft, "memory"), image.memory, image.memoryBytes);
    await syncFile(join(draft, "memory"));
    await writeWhole(join(draft, "devices"), image.devices);
    const manifest = JSON.stringify({ format, ...description, ...memory, devicesSum: sumOf(image.devices) });
    await writeWhole(
      join(draft, "manifest.json"),
      Buffer.from(`${sumOf(Buffer.from(manifest))}\n${manifest}`),
    );
    for (const name of description.disks) await syncFile(join(directory, "disks", name));
    step("suspend:written");
    await rename(draft, place);
    await syncFile(directory).catch(async (error: unknown) => {
      await rm(place, { recursive: true, force: true });
      throw error;
    });
  } catch (error) {
    await rm(draft, { recursive: true, force: true });
    throw explainWriteError(error, "the machine's memory", directory);
  }
}

/** Throws `cannotResume` when it is damaged. */
export async function readSaved(directory: string, name: string): Promise<SavedMachine> {
  const place = suspendedPlace(directory);
  try {
    const text = await readFile(join(place, "manifest.json"), "utf8");
    const [sum = "", json = ""] = text.split("\n", 2);
    if (sum !== sumOf(Buffer.from(json))) throw new Error("its description has another sum");
    const manifest = v.parse(manifestSchema, JSON.parse(json));
    const devices = await readFile(join(place, "devices"));
    if (sumOf(devices) !== manifest.devicesSum) throw new Error("the devices' state has another sum");
    const memory = await loadMemory(join(place, "memory"), manifest);
    return { ...manifest, image: { ...memory, devices } };
  } catch (error) {
    throw new HullError("cannotResume", { name, why: messageOf(error) }, { cause: error });
  }
}

export function isSaved(directory: string): boolean {
  return existsSync(suspendedPlace(directory));
}

export function closeImage(image: MachineImage): void {
  closeSync(image.memory);
}

function sumOf(data: Buffer): string {
  return createHash("sha256").update(data).digest("hex");
}

async function writeWhole(path: string, content: Buffer): Promise<void> {
  await using file = await open(path, "wx", 0o600);
  await file.writeFile(content);
  await file.sync();
}

async function syncFile(path: string): Promise<void> {
  await using file = await open(path, "r");
  await file.sync();
}
