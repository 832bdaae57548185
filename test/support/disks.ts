/** Directories and disks of a test's own. */
import { expect } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runProgram } from "./daemon.ts";

/** A directory of the test's own. */
export async function scratch(): Promise<AsyncDisposable & { path: string }> {
  const path = await mkdtemp(join(tmpdir(), "h-"));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}

/** A file system of the test's own, mounted for as long as the test lasts. */
export async function mounted(...args: string[]): Promise<AsyncDisposable & { path: string }> {
  const path = await mkdtemp(join(tmpdir(), "h-"));
  const result = await runProgram(["mount", ...args, path]);
  expect(result).toMatchObject({ code: 0, stderr: "" });
  return {
    path,
    async [Symbol.asyncDispose]() {
      await runProgram(["umount", path]);
      await rm(path, { recursive: true, force: true });
    },
  };
}

/** An image of a small disk, to be mounted through a loop device. */
export async function smallDisk(directory: string): Promise<string> {
  const image = join(directory, "disk");
  const made = await runProgram(["sh", "-c", `truncate -s 32M ${image} && mkfs.ext4 -q ${image}`]);
  expect(made.code).toBe(0);
  return image;
}
