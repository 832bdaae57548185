/** The writable layer: a sparse file with an ext4 file system, made once and kept with the workload. */
import { existsSync } from "node:fs";
import { chmod, chown, open, rename, rm } from "node:fs/promises";
import { HullError } from "../../contract/errors.ts";
import { run } from "../../host/spawn.ts";
import { explainWriteError } from "../../host/system-error.ts";

export interface DiskOptions {
  readonly path: string;
  /** Size the guest sees; the file takes what is written. */
  readonly bytes: number;
  /** The user that QEMU runs as. */
  readonly owner: number;
}

/** Makes the disk unless it is there. A half-made one never has the disk's name. */
export async function prepareDisk({ path, bytes, owner }: DiskOptions): Promise<void> {
  if (existsSync(path)) {
    await chown(path, owner, owner);
    return;
  }
  const draft = `${path}.draft`;
  try {
    const file = await open(draft, "w", 0o600);
    await file.truncate(bytes);
    await file.close();
    // A sparse file is zero already, so nothing has to be zeroed, now or by the guest.
    const options = "lazy_itable_init=1,lazy_journal_init=1,nodiscard";
    const { code, stderr } = await run(["mkfs.ext4", "-q", "-F", "-m", "0", "-E", options, draft]);
    if (code !== 0)
      throw /no space left/i.test(stderr)
        ? new HullError("noSpace", { what: "the writable disk", path })
        : new HullError("internal", { what: `mkfs.ext4 could not make ${path}: ${stderr.trim()}` });
    await chmod(draft, 0o600);
    await chown(draft, owner, owner);
    await rename(draft, path);
  } catch (error) {
    await rm(draft, { force: true });
    throw explainWriteError(error, "the writable disk", path);
  }
}
