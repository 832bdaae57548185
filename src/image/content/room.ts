/**
 * Room that images leave on a disk. What a layer becomes is known only once it is inflated, a thousand times its bytes
 * at worst, and workloads and the daemon's own records need the disk as well: layers stop before its last byte.
 */
import { statfsSync } from "node:fs";
import { dirname } from "node:path";
import { HullError } from "../../contract/errors.ts";

const mostReserved = 256 * 1024 * 1024;
/** Of a small disk. */
const reservedShare = 1 / 20;

/** Throws `noSpace` when `bytes` more for the file at `path` would leave less room than images have to. */
export function checkRoom(path: string, bytes: number): void {
  const { bavail, blocks, bsize } = statfsSync(dirname(path));
  // A file system that knows no bound, as some tmpfs, or does not tell.
  if (blocks === 0) return;
  const reserved = Math.min(mostReserved, Math.floor(blocks * bsize * reservedShare));
  if (bavail * bsize - bytes >= reserved) return;
  const megabytes = Math.ceil(reserved / 1e6);
  throw new HullError("noSpace", {
    what: path,
    path: `${path} (images leave ${megabytes} MB of this disk free)`,
  });
}
