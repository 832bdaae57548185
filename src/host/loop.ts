/** A file system in a file, mounted through a loop device that the kernel lets go of with the last mount of it. */
import { HullError } from "../contract/errors.ts";
import { mount } from "./mount.ts";
import { run } from "./spawn.ts";
import { errnoNameOf } from "./system-error.ts";

/** The device of an earlier mount may go at the very moment that it was found. */
const mostTries = 5;

/**
 * Mounts it once more where it is mounted already, by whichever daemon: a second device of the same file would be a
 * second file system on the same blocks.
 */
export async function mountFile(path: string, type: string, target: string): Promise<void> {
  for (let tries = 1; ; tries++) {
    const found = await deviceOf(path);
    const device = found ?? (await attach(path));
    try {
      mount({ source: device, target, type });
      return;
    } catch (error) {
      if (found === undefined || tries === mostTries) throw error;
      if (!["ENXIO", "EINVAL", "EIO"].includes(errnoNameOf(error) ?? "")) throw error;
    } finally {
      // While it is mounted this only marks it to be cleared.
      if (found === undefined) await run(["losetup", "--detach", device]);
    }
  }
}

async function deviceOf(path: string): Promise<string | undefined> {
  const { code, stdout } = await run(["losetup", "--associated", path, "--noheadings", "--output", "NAME"]);
  const device = stdout.trim().split("\n")[0] ?? "";
  return code === 0 && device !== "" ? device : undefined;
}

async function attach(path: string): Promise<string> {
  const { code, stdout, stderr } = await run(["losetup", "--find", "--show", path]);
  if (code === 0) return stdout.trim();
  throw new HullError("hostMissing", {
    what: `a loop device, which a limit of the writable layer needs here (${stderr.trim()})`,
    remedy: "run `modprobe loop`, or leave --storage-opt out",
  });
}
