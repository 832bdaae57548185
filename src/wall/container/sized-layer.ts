/**
 * The writable layer of a container with a limit: `upper` and `work` are in an ext4 file system in a sparse file of
 * that size, so that a full one is ENOSPC inside and nothing outside. Quotas of the host's own file system would need
 * XFS or ext4 with `prjquota`, which few hosts have. Without a limit the layer is in the workload's directory itself.
 */
import { existsSync, mkdirSync, mkdtempSync, rmdirSync } from "node:fs";
import { open, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { HullError } from "../../contract/errors.ts";
import { mountFile } from "../../host/loop.ts";
import { unmount } from "../../host/mount.ts";
import { run } from "../../host/spawn.ts";
import { explainWriteError } from "../../host/system-error.ts";
import type { SandboxSpec } from "../wall.ts";

export const sizedLayerName = "layer.ext4";

/** Directory of `upper` and `work` until disposed of; what is mounted from there keeps it. */
export interface LayerDirectory extends Disposable {
  readonly path: string;
}

export async function openLayerDirectory(spec: SandboxSpec): Promise<LayerDirectory> {
  const { storageBytes, directory, runtimeDirectory } = spec;
  if (storageBytes === undefined) return { path: directory, [Symbol.dispose]: () => undefined };
  const file = join(directory, sizedLayerName);
  if (!existsSync(file)) await makeFile(file, storageBytes);
  mkdirSync(runtimeDirectory, { recursive: true, mode: 0o700 });
  const path = mkdtempSync(join(runtimeDirectory, "layer-"));
  try {
    await mountFile({ path: file, type: "ext4", target: path });
  } catch (error) {
    rmdirSync(path);
    throw error;
  }
  return {
    path,
    [Symbol.dispose]() {
      unmount(path);
      rmdirSync(path);
    },
  };
}

/** A half-made one never has the layer's name. */
async function makeFile(path: string, bytes: number): Promise<void> {
  const draft = `${path}.draft`;
  try {
    const file = await open(draft, "w", 0o600);
    await file.truncate(bytes);
    await file.close();
    const options = "lazy_itable_init=1,lazy_journal_init=1,nodiscard";
    const { code, stderr } = await run(["mkfs.ext4", "-q", "-F", "-m", "0", "-E", options, draft]);
    if (code !== 0) {
      if (/no space left/i.test(stderr)) throw new HullError("noSpace", { what: "the writable layer", path });
      throw new HullError("internal", { what: `mkfs.ext4 could not make ${path}: ${stderr.trim()}` });
    }
    await rename(draft, path);
  } catch (error) {
    await rm(draft, { force: true });
    throw explainWriteError(error, "the writable layer", path);
  }
}
