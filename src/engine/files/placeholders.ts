/**
 * What a wall itself makes in a writable layer, so that something can be mounted there. Docker keeps such things in a
 * layer of their own; here they are left out of what a workload is said to have changed, and of images made from it.
 */
import type { LayerEntry } from "../../wall/files.ts";

const directories = new Set(["proc", "sys", "dev", "dev/pts", "dev/shm", "dev/mqueue"]);
const files = new Set(["etc/hosts", "etc/hostname", "etc/resolv.conf", "dev/console"]);
/** Made, or given a new time, for what is in them. */
const parents = new Set(["", "etc", "dev"]);
const machineId = "etc/machine-id";

export function isPlaceholder(entry: LayerEntry): boolean {
  const { type, path, below, size } = entry;
  // A virtual machine that comes with an empty one is given one of its own: its copies are to be given theirs.
  if (path === machineId) return type === "file" && below?.type === "file" && below.size === 0;
  if (below !== undefined) return false;
  return type === "directory" ? directories.has(path) : type === "file" && size === 0 && files.has(path);
}

/** Whether a directory says nothing by itself: it is as the image has it but for its time, or made for placeholders. */
export function isBareParent(entry: LayerEntry): boolean {
  if (entry.type !== "directory" || entry.opaque || !parents.has(entry.path)) return false;
  const { below } = entry;
  if (below === undefined) return entry.mode === 0o755 && entry.uid === 0 && entry.gid === 0;
  return hasSameOwner(entry);
}

/** Whether a directory is as the image has it. */
export function isUnchangedDirectory(entry: LayerEntry): boolean {
  if (entry.type !== "directory" || entry.opaque || !hasSameOwner(entry)) return false;
  const { below, mtime } = entry;
  return mtime.seconds === below?.mtime.seconds && mtime.nanoseconds === below.mtime.nanoseconds;
}

function hasSameOwner({ below, mode, uid, gid }: LayerEntry): boolean {
  return below?.type === "directory" && mode === below.mode && uid === below.uid && gid === below.gid;
}
