/**
 * The writable layer: a directory of files that lie one over the other. `0.raw` is a sparse file with an ext4 file
 * system, made once and kept with the workload. A fork puts a file over it (`1.qcow2`, and so on), which takes
 * what is written from then on; those below are never written to again, and the siblings have links to them. So
 * whichever workload is removed last takes a file with it.
 */
import { closeSync, openSync, readSync } from "node:fs";
import { chmod, chown, link, mkdir, open, readdir, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { HullError } from "../../contract/errors.ts";
import { isOpenForWriting } from "../../host/file-lease.ts";
import { dataRanges, writeAt } from "../../host/memory-file.ts";
import { run } from "../../host/spawn.ts";
import { errnoNameOf, explainWriteError } from "../../host/system-error.ts";
import type { SandboxSpec } from "../wall.ts";

/** What the guest sees of a workload's disk. */
export const diskBytes = 10 * 1024 * 1024 * 1024;

/** A workload that asks for no size has what templates have. */
export function diskBytesOf({ storageBytes }: Pick<SandboxSpec, "storageBytes">): number {
  return storageBytes ?? diskBytes;
}

export interface DiskOptions {
  readonly directory: string;
  /** Size the guest sees; the file takes what is written. */
  readonly bytes: number;
  /** The user that QEMU runs as. */
  readonly owner: number;
}

/** Each file under the last one is looked into for what those over it do not have. */
const mostFiles = 64;

/** Names of the files, lowest first; none when there is no disk yet. */
export async function diskFiles(directory: string): Promise<string[]> {
  let names: string[];
  try {
    names = await readdir(directory);
  } catch (error) {
    if (errnoNameOf(error) === "ENOENT") return [];
    throw error;
  }
  const present = new Set(names);
  const files: string[] = [];
  for (let name = fileName(0); present.has(name); name = fileName(files.length)) files.push(name);
  return files;
}

export function fileName(index: number): string {
  return index === 0 ? "0.raw" : `${index}.qcow2`;
}

/**
 * Makes the disk unless it is there, with a new file system or as a copy of `original` (a file of that size); gives its
 * files. A half-made one never has the disk's name.
 */
export async function prepareDisk(
  { directory, bytes, owner }: DiskOptions,
  original?: number,
): Promise<string[]> {
  const files = await diskFiles(directory);
  const top = files.at(-1);
  if (top !== undefined) {
    await chown(join(directory, top), owner, owner);
    return files;
  }
  const path = join(directory, fileName(0));
  const draft = `${path}.draft`;
  try {
    await makeDirectory(directory);
    const file = await open(draft, "w", 0o600);
    await file.truncate(bytes);
    if (original !== undefined) copyData(original, file.fd, bytes);
    await file.close();
    // A sparse file is zero already, so nothing has to be zeroed, now or by the guest.
    const options = "lazy_itable_init=1,lazy_journal_init=1,nodiscard";
    if (original === undefined)
      await runTool(["mkfs.ext4", "-q", "-F", "-m", "0", "-E", options, draft], path);
    await chmod(draft, 0o600);
    await chown(draft, owner, owner);
    await rename(draft, path);
    return [fileName(0)];
  } catch (error) {
    await rm(draft, { force: true });
    throw explainWriteError(error, "the writable disk", path);
  }
}

/** Makes the file that takes what is written from now on, over `below` others; resolves to its name. */
export async function addDiskFile({ directory, bytes, owner }: DiskOptions, below: number): Promise<string> {
  if (below >= mostFiles)
    throw new HullError("tooLarge", { what: "the writable disk", value: `${below} forks`, limit: mostFiles });
  const name = fileName(below);
  const path = join(directory, name);
  const draft = `${path}.draft`;
  try {
    await makeDirectory(directory);
    await runTool(["qemu-img", "create", "-q", "-f", "qcow2", draft, String(bytes)], path);
    await chmod(draft, 0o600);
    await chown(draft, owner, owner);
    await rename(draft, path);
    return name;
  } catch (error) {
    await rm(draft, { force: true });
    throw explainWriteError(error, "the writable disk", path);
  }
}

/**
 * Makes the files of a disk the base of more than one: nobody can write to them any more. Throws when somebody who
 * has opened one of them to write still could.
 */
export async function sealDiskFiles(directory: string, files: readonly string[]): Promise<void> {
  for (const name of files) {
    const path = join(directory, name);
    await chown(path, 0, 0);
    await chmod(path, 0o444);
    const descriptor = openSync(path, "r");
    try {
      if (isOpenForWriting(descriptor)) throw new Error(`QEMU does not let go of ${name}`);
    } finally {
      closeSync(descriptor);
    }
  }
}

/** Gives another disk the same base. */
export async function linkDiskFiles(from: string, files: readonly string[], to: string): Promise<void> {
  try {
    await makeDirectory(to);
    for (const name of files) await link(join(from, name), join(to, name));
  } catch (error) {
    throw explainWriteError(error, "the writable disk", to);
  }
}

/** QEMU can look for files in it, and make none. */
async function makeDirectory(directory: string): Promise<void> {
  await mkdir(directory, { recursive: true, mode: 0o755 });
  // The daemon's umask may be narrow.
  await chmod(directory, 0o755);
}

async function runTool(command: readonly string[], path: string): Promise<void> {
  const { code, stderr } = await run(command);
  if (code === 0) return;
  throw /no space left/i.test(stderr)
    ? new HullError("noSpace", { what: "the writable disk", path })
    : new HullError("internal", { what: `${command[0]} could not make ${path}: ${stderr.trim()}` });
}

/** Copies a file that is mostly zeros: a file system without files is two megabytes of data. */
export function copyData(from: number, to: number, bytes: number): void {
  const buffer = Buffer.alloc(256 * 1024);
  for (const { start, end } of dataRanges(from, bytes))
    for (let at = start; at < end; ) {
      const length = readSync(from, buffer, 0, Math.min(buffer.length, end - at), at);
      if (length === 0) throw new Error("the original is cut short");
      writeAt(to, buffer.subarray(0, length), at);
      at += length;
    }
}
