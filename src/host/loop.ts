/**
 * A file system in a file, mounted through a loop device. The mount program makes the device so that the kernel lets go of
 * it with the last mount of it, or with whoever has it open: a daemon that is killed meanwhile leaves none.
 */
import { HullError } from "../contract/errors.ts";
import { run } from "./spawn.ts";

/** The device of an earlier mount may go at the very moment that it was found. */
const mostTries = 5;

export interface FileMount {
  readonly path: string;
  readonly type: string;
  readonly target: string;
  readonly readOnly?: boolean;
}

/**
 * Mounts it once more where it is mounted already, by whichever daemon: a second device of the same file would be a
 * second file system on the same blocks (mount(8), "loop", takes the one that is there).
 */
export async function mountFile({ path, type, target, readOnly = false }: FileMount): Promise<void> {
  const options = readOnly ? "loop,ro,nodev" : "loop";
  for (let tries = 1; ; tries++) {
    // No helper program of the file system's (-i), no translated messages.
    const { code, stderr } = await run(["mount", "-i", "-t", type, "-o", options, path, target]);
    if (code === 0) return;
    if (tries === mostTries || !/already mounted|lost|No such device or address/.test(stderr))
      throw explain(path, type, stderr.trim());
  }
}

function explain(path: string, type: string, said: string): HullError {
  if (said.includes("unknown filesystem type"))
    return new HullError("hostMissing", {
      what: `the kernel's ${type} file system`,
      remedy: `run \`modprobe ${type}\``,
    });
  if (said.includes("loop device"))
    return new HullError("hostMissing", {
      what: `a loop device for ${path} (${said})`,
      remedy: "run `modprobe loop`",
    });
  return new HullError("corrupt", { what: path, why: `it cannot be mounted (${said})` });
}
