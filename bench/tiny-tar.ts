/** A root file system with busybox alone, as a tar for `docker import`. */
import { copyFile, mkdir, mkdtemp, rm, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runProgram } from "../test/support/daemon.ts";

export async function tinyTar(): Promise<Uint8Array> {
  const directory = await mkdtemp(join(tmpdir(), "tiny-"));
  try {
    await mkdir(join(directory, "bin"));
    await copyFile("/bin/busybox", join(directory, "bin/busybox"));
    await symlink("busybox", join(directory, "bin/true"));
    const { code, stderr, stdoutBytes } = await runProgram(["tar", "-C", directory, "-c", "."]);
    if (code !== 0) throw new Error(`tar: ${stderr}`);
    return stdoutBytes;
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}
